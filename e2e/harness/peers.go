package harness

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Peer is a real server beside the one under test. It keeps its folder and address over
// restarts.
type Peer struct {
	*Process // The current run, or the last one.

	Address string // Address is host:port.
	URL     string // URL has no slash at its end.

	spec      Spec
	readyPath string
}

// Start starts the peer again after it was killed or terminated.
func (p *Peer) Start(t testing.TB) {
	t.Helper()
	p.Process = Start(t, p.spec)
	p.WaitReady(t, &http.Client{Timeout: requestWithin}, p.URL+p.readyPath)
}

// StartAt starts the peer again in its folder, but at another address.
func (p *Peer) StartAt(t testing.TB, address string) {
	t.Helper()
	args := make([]string, len(p.spec.Args))
	for i, arg := range p.spec.Args {
		args[i] = strings.ReplaceAll(arg, p.Address, address)
	}
	p.spec.Args, p.Address, p.URL = args, address, "http://"+address
	p.Start(t)
}

func startPeer(t testing.TB, address, readyPath string, spec Spec) *Peer {
	t.Helper()
	p := &Peer{Address: address, URL: "http://" + address, spec: spec, readyPath: readyPath}
	p.Start(t)
	return p
}

// StartEtcd starts an etcd of one member. Its metrics are on its client address.
func StartEtcd(t testing.TB) *Peer {
	t.Helper()
	dir := t.TempDir()
	client, peer := FreeAddress(t), "http://"+FreeAddress(t)
	return startPeer(t, client, "/health", Spec{
		Name: "etcd",
		Path: tool(t, etcdPackage),
		Args: []string{
			"--name=e2e",
			"--data-dir=" + filepath.Join(dir, "data"),
			"--listen-client-urls=http://" + client,
			"--advertise-client-urls=http://" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=e2e=" + peer,
		},
		Dir: dir,
	})
}

// StartAlertmanager starts an Alertmanager with the given configuration.
func StartAlertmanager(t testing.TB, config string) *Peer {
	t.Helper()
	dir, address := t.TempDir(), FreeAddress(t)
	configFile := filepath.Join(dir, "alertmanager.yml")
	WriteFile(t, configFile, config)
	return startPeer(t, address, "/-/ready", Spec{
		Name: "alertmanager",
		Path: tool(t, alertmanagerPackage),
		Args: []string{
			"--config.file=" + configFile,
			"--storage.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + address,
			"--cluster.listen-address=",
		},
		Dir: dir,
	})
}

// StartNodeExporter starts a node exporter on this machine.
func StartNodeExporter(t testing.TB) *Peer {
	t.Helper()
	address := FreeAddress(t)
	return startPeer(t, address, "/metrics", Spec{
		Name: "node_exporter",
		Path: tool(t, nodeExporterPackage),
		Args: []string{"--web.listen-address=" + address},
		Dir:  t.TempDir(),
	})
}
