package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testServer builds the whole server on a folder and an address of its own. It
// has to be started, and returns what it says on the terminal.
func testServer(t *testing.T, args ...string) (*server, *bytes.Buffer) {
	t.Helper()
	t.Chdir(t.TempDir())
	opts, err := parseFlags(append([]string{"--web.listen-address=127.0.0.1:0", "--log.level=error"}, args...), io.Discard)
	require.NoError(t, err)
	var terminal bytes.Buffer
	s, err := newServer(opts, &terminal)
	require.NoError(t, err)
	return s, &terminal
}

// startServer runs a server, waits until its database is open, and returns what
// stops it in good order.
func startServer(t *testing.T, s *server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	select {
	case <-s.opened:
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	}
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

func (s *server) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + s.web.Addresses()[0].String() + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestServerWithoutConfiguration(t *testing.T) {
	s, terminal := testServer(t)
	stop := startServer(t, s)
	for path, want := range map[string]string{
		"/api/v1/status/config":      "job_name: gnomon",
		"/api/v1/status/flags":       `"storage.tsdb.path":"data/"`,
		"/api/v1/status/runtimeinfo": `"storageRetention":"15d"`,
		"/api/v1/status/tsdb":        `"headStats"`,
		"/api/v1/status/walreplay":   `"current"`,
		"/api/v1/rules":              `"groups":[]`,
		"/metrics":                   "prometheus_config_last_reload_successful 1",
		"/machine/metrics":           "node_memory_MemTotal_bytes",
		"/":                          "gnomon",
	} {
		status, body := s.get(t, path)
		require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
		require.Contains(t, body, want, path)
	}
	stop()
	require.Contains(t, terminal.String(), "this server (job gnomon) and this machine (job node)")
	require.Contains(t, terminal.String(), "data     /")
}

func TestServerStopsWhileItOpens(t *testing.T) {
	s, _ := testServer(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, s.run(ctx))
}

// TestSecondServerLeavesTheFirstAlone starts a server on the folder of another.
func TestSecondServerLeavesTheFirstAlone(t *testing.T) {
	s, _ := testServer(t)
	defer startServer(t, s)()
	before, err := os.Stat("data/queries.active")
	require.NoError(t, err)
	opts, err := parseFlags([]string{"--web.listen-address=127.0.0.1:0", "--log.level=error"}, io.Discard)
	require.NoError(t, err)
	second, err := newServer(opts, io.Discard)
	require.NoError(t, err)
	require.ErrorContains(t, second.run(context.Background()), "is in use by process")
	after, err := os.Stat("data/queries.active")
	require.NoError(t, err)
	require.Equal(t, before.ModTime(), after.ModTime(), "the first server has it mapped: truncating it would kill it")
	status, _ := s.get(t, "/api/v1/query?query=1")
	require.Equal(t, http.StatusOK, status)
}

func TestMistakesAreSaidBeforeDataIsTouched(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("rules.yml", []byte("groups:\n- name: a\n  rules:\n  - alert: x\n    expr: up{\n"), 0o600))
	require.NoError(t, os.WriteFile("bad-rules.yml", []byte("rule_files: [rules.yml]"), 0o600))
	require.NoError(t, os.WriteFile("bad.yml", []byte("global:\n  scrape_intervall: 5s\n"), 0o600))
	for _, c := range []struct{ file, want string }{
		{"bad.yml", "bad.yml:2"},
		{"bad-rules.yml", "rules.yml:5:11"},
		{"missing.yml", "missing.yml"},
	} {
		opts, err := parseFlags([]string{"--config.file=" + c.file, "--web.listen-address=127.0.0.1:0", "--log.level=error"}, io.Discard)
		require.NoError(t, err)
		_, err = newServer(opts, io.Discard)
		require.ErrorContains(t, err, c.want)
	}
	require.NoDirExists(t, "data")
}

// TestServerShowsScrapes waits until the server has scraped itself.
func TestServerShowsScrapes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gnomon.yml")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	s, _ := testServer(t, "--config.file="+file)
	stop := startServer(t, s)
	defer stop()
	require.NoError(t, os.WriteFile(file, []byte("global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n- job_name: self\n  static_configs: [{targets: ['"+s.web.Addresses()[0].String()+"']}]\n"), 0o600))
	require.NoError(t, s.reloader.reload(context.Background()))
	require.Eventually(t, func() bool {
		status, body := s.get(t, "/api/v1/targets/scrapes?limit=1")
		require.Equal(t, http.StatusOK, status, body)
		return strings.Contains(body, `"scrapePool":"self"`) && strings.Contains(body, `"errorClass":"","error":""}],"refusedSeries":{`)
	}, 10*time.Second, 20*time.Millisecond)
}
