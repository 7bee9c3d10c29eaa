package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
)

// The server's own files in the folder.
const (
	certificates = "certificates"
	tokensFile   = "tokens.csv"
	keyFile      = "service-accounts.key"
)

// The tokens of the two users. They admit to a server on loopback that has a test's data.
const (
	adminToken = "admin-token"
	guestToken = "guest-token"
)

// writeCredentials writes what the server needs before it starts. The key that signs the
// tokens of service accounts stays, so that they are good after a restart.
func writeCredentials(dir string) error {
	tokens := adminToken + ",admin,admin,\"system:masters\"\n" + guestToken + ",guest,guest\n"
	if err := write(dir, tokensFile, []byte(tokens)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, keyFile)); !os.IsNotExist(err) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return write(dir, keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// writeClientFiles writes what clients need.
func writeClientFiles(dir, url string) error {
	ca, err := os.ReadFile(caFile(dir))
	if err != nil {
		return err
	}
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: ca.crt}}]
users: [{name: admin, user: {token: %s}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
`, url, adminToken)
	for name, content := range map[string][]byte{
		"ca.crt":      ca,
		"admin.token": []byte(adminToken),
		"guest.token": []byte(guestToken),
		"kubeconfig":  []byte(kubeconfig),
	} {
		if err := write(dir, name, content); err != nil {
			return err
		}
	}
	return nil
}

func write(dir, name string, content []byte) error {
	return os.WriteFile(filepath.Join(dir, name), content, 0o600)
}

// caFile is written by the server: its certificate and that which signed it.
func caFile(dir string) string { return filepath.Join(dir, certificates, "apiserver.crt") }

// adminConfig is for clients within this process.
func adminConfig(dir, url string) *rest.Config {
	return &rest.Config{
		Host:            url,
		BearerToken:     adminToken,
		UserAgent:       "kubeapi",
		TLSClientConfig: rest.TLSClientConfig{CAFile: caFile(dir)},
		WarningHandler:  rest.NoWarnings{}, // That endpoints are deprecated.
		// The clients of a test are not slowed down.
		QPS: -1,
	}
}
