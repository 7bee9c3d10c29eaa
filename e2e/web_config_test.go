package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// With --web.config.file the server speaks TLS only and answers nobody without a password.
func TestWebConfig(t *testing.T) {
	t.Parallel()
	certificate, key, pool := selfSigned(t)
	trusting := func(user, password string) *http.Client {
		return &http.Client{Timeout: soon, Transport: &login{
			user: user, password: password,
			next: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		}}
	}
	server := harness.NewGnomon(t, harness.Options{
		TLS:    true,
		Client: trusting("ada", "analytical"),
		Args:   []string{"--web.config.file=web.yml"},
	})
	server.WriteConfig(t, strings.Join([]string{
		"global: {scrape_interval: 500ms}",
		"scrape_configs:",
		"- job_name: self",
		"  scheme: https",
		"  tls_config: {ca_file: web.crt}",
		"  basic_auth: {username: ada, password: analytical}",
		"  static_configs: [{targets: ['" + server.Address + "']}]",
	}, "\n"))
	server.WriteFile(t, "web.crt", certificate)
	server.WriteFile(t, "web.key", key)
	server.WriteFile(t, "web.yml", webConfig(t, "analytical"))
	server.Start(t)

	status := func(client *http.Client, path string) int {
		response, err := client.Get(server.URL + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	for _, path := range []string{"/-/ready", "/api/v1/query?query=up", "/metrics", "/", "/debug/pprof/cmdline"} {
		require.Equal(t, http.StatusUnauthorized, status(trusting("", ""), path), path)
		require.Equal(t, http.StatusUnauthorized, status(trusting("ada", "difference"), path), path)
		require.Equal(t, http.StatusUnauthorized, status(trusting("eve", "analytical"), path), path)
	}
	require.Equal(t, http.StatusOK, status(trusting("ada", "analytical"), "/metrics"))

	_, err := (&http.Client{Timeout: soon}).Get(server.URL)
	require.ErrorContains(t, err, "certificate", "a client that does not know the certificate must not trust it")
	response, err := http.Get("http://" + server.Address)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusBadRequest, response.StatusCode)

	// The server can watch itself through the front door.
	server.WaitFor(t, soon, `up{job="self"}`, 1)

	// A new password holds from the next request on.
	server.WriteFile(t, "web.yml", webConfig(t, "difference"))
	require.Equal(t, http.StatusUnauthorized, status(trusting("ada", "analytical"), "/metrics"))
	require.Equal(t, http.StatusOK, status(trusting("ada", "difference"), "/metrics"))
}

// A web configuration with a fault stops the start, rather than leaving the door open.
func TestWebConfigBroken(t *testing.T) {
	t.Parallel()
	server := harness.NewGnomon(t, harness.Options{
		Config: "scrape_configs: []\n",
		Args:   []string{"--web.config.file=web.yml"},
	})
	server.WriteFile(t, "web.yml", "basic_auth_user:\n  ada: x\n")
	server.Launch(t)
	require.NotZero(t, server.Wait(t))
	require.Contains(t, server.Output(t), "basic_auth_user")
}

func webConfig(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	return "tls_server_config: {cert_file: web.crt, key_file: web.key}\nbasic_auth_users:\n  ada: " + string(hash) + "\n"
}

// login adds a name and a password to every request, unless the name is empty.
type login struct {
	user, password string
	next           http.RoundTripper
}

func (l *login) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.user != "" {
		r = r.Clone(r.Context())
		r.SetBasicAuth(l.user, l.password)
	}
	return l.next.RoundTrip(r)
}

// selfSigned returns a certificate for 127.0.0.1 and its key as PEM, and a pool of it.
func selfSigned(t *testing.T) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "gnomon e2e"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(certificate)))
	return certificate, key, pool
}
