package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
)

// heldFS lets a segment of the log be opened once, to read its definitions, and the second
// time, to read its samples, only when hold is closed.
type heldFS struct {
	vfs.OS
	hold chan struct{}

	mu   sync.Mutex
	seen map[string]bool
}

func (h *heldFS) Open(name string) (vfs.File, error) {
	h.mu.Lock()
	again := h.seen[name]
	h.seen[name] = true
	h.mu.Unlock()
	if again && filepath.Ext(name) == ".wal" {
		<-h.hold
	}
	return h.OS.Open(name)
}

// TestReplayInBackground starts a server whose log is held up: it is ready, scrapes, answers
// queries of new samples and says that old ones may be missing; rules wait for them.
func TestReplayInBackground(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "fresh 1\n")
	}))
	defer target.Close()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("rules.yml", []byte("groups:\n- name: a\n  interval: 50ms\n  rules:\n  - record: recorded\n    expr: old\n"), 0o600))
	require.NoError(t, os.WriteFile("prometheus.yml", []byte(fmt.Sprintf(
		"rule_files: [rules.yml]\nscrape_configs:\n- job_name: t\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  static_configs:\n  - targets: [%q]\n", target.Listener.Addr())), 0o600))
	db, err := tsdb.Open(context.Background(), "data", tsdb.Options{})
	require.NoError(t, err)
	g, err := db.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	_, err = g.AddColumn(labels.FromStrings("__name__", "old"))
	require.NoError(t, err)
	require.NoError(t, g.AppendRow(&storage.Row{T: time.Now().UnixMilli() - 1, Values: []float64{7}}))
	require.NoError(t, db.Close())

	opts, err := parseFlags([]string{"--web.listen-address=127.0.0.1:0", "--log.level=error", "--storage.tsdb.path=data"}, io.Discard)
	require.NoError(t, err)
	s, err := newServer(opts, io.Discard)
	require.NoError(t, err)
	fs := &heldFS{hold: make(chan struct{}), seen: map[string]bool{}}
	s.fs = fs
	defer startServer(t, s)()
	require.Eventually(t, func() bool { status, _ := s.get(t, "/-/ready"); return status == http.StatusOK }, 10*time.Second, time.Millisecond)
	_, body := s.get(t, "/-/ready")
	require.Contains(t, body, "Gnomon is Ready.\nThe write-ahead log is being replayed: ")
	_, body = s.get(t, "/api/v1/status/walreplay")
	require.Contains(t, body, `{"min":1,"max":1,"current":1}`)
	ask := func(expr, want string) func() bool {
		return func() bool { _, body := s.get(t, "/api/v1/query?query="+expr); return strings.Contains(body, want) }
	}
	require.Eventually(t, ask("fresh", `"__name__":"fresh"`), 10*time.Second, 10*time.Millisecond)
	_, body = s.get(t, "/api/v1/query?query=old")
	require.Contains(t, body, `"result":[]`)
	require.Contains(t, body, "the write-ahead log is being replayed")
	require.Zero(t, s.counted("prometheus_rule_evaluations_total"), "rules wait")

	close(fs.hold)
	<-s.replayed
	require.Eventually(t, ask("recorded", `"7"`), 10*time.Second, 10*time.Millisecond)
	_, body = s.get(t, "/api/v1/query?query=old")
	require.NotContains(t, body, "replayed")
	_, body = s.get(t, "/-/ready")
	require.Equal(t, "Gnomon is Ready.\n", body)
}
