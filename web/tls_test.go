package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// writeCertificate makes a certificate for the loopback address and returns the
// pool that trusts it.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gnomon"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) []byte {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
		return text
	}
	write("key.pem", "EC PRIVATE KEY", keyDER)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(write("cert.pem", "CERTIFICATE", der)))
	return pool
}

// TestWebConfigFile serves with TLS, basic authentication and headers, on two
// listeners.
func TestWebConfigFile(t *testing.T) {
	dir := t.TempDir()
	pool := writeCertificate(t, dir)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	require.NoError(t, err)
	file := filepath.Join(dir, "web.yml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
tls_server_config: {cert_file: cert.pem, key_file: key.pem}
basic_auth_users: {ann: "%s"}
http_server_config: {headers: {X-Frame-Options: deny}}
`, hash), 0o600))

	s := start(t, Options{WebConfigFile: file})
	s.SetReady(Ready)
	secure := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool},
	}}
	for _, address := range s.Addresses() {
		for password, status := range map[string]int{"secret": 200, "wrong": 401, "": 401} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+address.String()+"/api/v1/labels", nil)
			require.NoError(t, err)
			if password != "" {
				req.SetBasicAuth("ann", password)
			}
			res, err := secure.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, status, res.StatusCode)
			require.Equal(t, "deny", res.Header.Get("X-Frame-Options"))
		}
		res, err := client.Get("http://" + address.String() + "/-/healthy")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "plain HTTP on a TLS port")
	}
}

func TestBrokenWebConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	require.NoError(t, os.WriteFile(file, []byte("basic_auth_user: {}\n"), 0o600))
	s, err := New(Options{ListenAddresses: []string{"127.0.0.1:0"}, WebConfigFile: file})
	require.NoError(t, err)
	err = s.Listen()
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, "basic_auth_user")
}
