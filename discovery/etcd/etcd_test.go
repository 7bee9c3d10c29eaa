package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// patience bounds every wait of the tests; reaching it is a failure.
const patience = 20 * time.Second

// member is a real etcd server in this process that can be stopped and started again
// with the same addresses and data.
type member struct {
	t      *testing.T
	name   string
	dir    string
	client url.URL
	peer   url.URL
	// cluster is the static configuration of all members.
	cluster string
	tls     *transport.TLSInfo
	// tokenTTL is how long a login lasts, in seconds; 0 is etcd's default.
	tokenTTL uint
	server   *embed.Etcd
}

// address returns an address of the loopback interface that was free just now.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// newCluster starts n members, with TLS if tls is not nil.
func newCluster(t *testing.T, n int, tls *transport.TLSInfo, change ...func(*member)) []*member {
	t.Helper()
	var members []*member
	var peers []string
	scheme := "http"
	if tls != nil {
		scheme = "https"
	}
	for i := range n {
		m := &member{
			t:      t,
			name:   fmt.Sprintf("m%d", i),
			dir:    t.TempDir(),
			client: url.URL{Scheme: scheme, Host: address(t)},
			peer:   url.URL{Scheme: "http", Host: address(t)},
			tls:    tls,
		}
		for _, c := range change {
			c(m)
		}
		members = append(members, m)
		peers = append(peers, m.name+"="+m.peer.String())
	}
	for _, m := range members {
		m.cluster = strings.Join(peers, ",")
	}
	start(t, members...)
	t.Cleanup(func() {
		for _, m := range members {
			m.stop()
		}
	})
	return members
}

// start starts members, which need each other to get ready.
func start(t *testing.T, members ...*member) {
	t.Helper()
	for _, m := range members {
		m.launch()
	}
	for _, m := range members {
		select {
		case <-m.server.Server.ReadyNotify():
		case <-time.After(patience):
			t.Fatalf("etcd %s is not ready", m.name)
		}
	}
}

func (m *member) launch() {
	m.t.Helper()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = m.name, m.dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{m.client}, []url.URL{m.client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{m.peer}, []url.URL{m.peer}
	cfg.InitialCluster = m.cluster
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4
	cfg.WatchProgressNotifyInterval = 100 * time.Millisecond
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if m.tokenTTL != 0 {
		cfg.AuthTokenTTL = m.tokenTTL
	}
	if m.tls != nil {
		cfg.ClientTLSInfo = *m.tls
	}
	// The address may be taken for a moment by someone's outgoing connection.
	require.EventuallyWithT(m.t, func(c *assert.CollectT) {
		var err error
		m.server, err = embed.StartEtcd(cfg)
		require.NoError(c, err)
	}, patience, 50*time.Millisecond)
}

// stop stops the member if it runs.
func (m *member) stop() {
	if m.server != nil {
		m.server.Close()
		<-m.server.Server.StopNotify()
		m.server = nil
	}
}

// dial returns a client of the member for the test itself.
func (m *member) dial(opts ...func(*clientv3.Config)) *clientv3.Client {
	m.t.Helper()
	cfg := clientv3.Config{
		Endpoints:   []string{m.client.String()},
		DialTimeout: patience,
		Logger:      zap.NewNop(),
	}
	for _, o := range opts {
		o(&cfg)
	}
	c, err := clientv3.New(cfg)
	require.NoError(m.t, err)
	m.t.Cleanup(func() { _ = c.Close() })
	return c
}

// putKey writes a key.
func putKey(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	_, err := c.Put(bounded(t), key, value)
	require.NoError(t, err)
}

// deleteKey deletes a key.
func deleteKey(t *testing.T, c *clientv3.Client, key string) {
	t.Helper()
	_, err := c.Delete(bounded(t), key)
	require.NoError(t, err)
}

// bounded returns a context that ends with the patience of the tests.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// proxy passes connections on to an address, as long as it is told to.
type proxy struct {
	listener net.Listener
	wg       sync.WaitGroup
	mu       struct {
		sync.Mutex
		target string // "" to refuse connections.
		mute   bool   // Accept connections, but pass nothing on.
		conns  map[net.Conn]struct{}
	}
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l}
	p.mu.conns = make(map[net.Conn]struct{})
	p.set(target, false)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.set("", false)
		p.wg.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// connections returns the number of connections that are open.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.conns)
}

// set cuts all connections and changes where new ones lead.
func (p *proxy) set(target string, mute bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.target, p.mu.mute = target, mute
	for c := range p.mu.conns {
		_ = c.Close()
	}
	clear(p.mu.conns)
}

// accept serves until the listener is closed.
func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target, mute := p.mu.target, p.mu.mute
		switch {
		case target == "":
			_ = in.Close()
		case mute:
			p.mu.conns[in] = struct{}{}
		default:
			if out, err := net.Dial("tcp", target); err != nil {
				_ = in.Close()
			} else {
				p.mu.conns[in], p.mu.conns[out] = struct{}{}, struct{}{}
				p.wg.Go(func() { pass(in, out) })
				p.wg.Go(func() { pass(out, in) })
			}
		}
		p.mu.Unlock()
	}
}

// pass copies until either side ends, and ends both.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// authority is a certificate authority of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return a
}

// issue writes a certificate for 127.0.0.1 and etcd.test and returns its files.
func (a *authority) issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	a.sign(name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"etcd.test"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	return a.file(name + ".pem"), a.file(name + "-key.pem")
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// sign writes a certificate and its key; signed by itself if there is no signer.
func (a *authority) sign(name string, template *x509.Certificate, signer *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := template, key
	if signer != nil {
		parent, parentKey = signer.cert, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	for file, block := range map[string]*pem.Block{
		name + ".pem":     {Type: "CERTIFICATE", Bytes: der},
		name + "-key.pem": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		require.NoError(a.t, os.WriteFile(a.file(file), pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}
