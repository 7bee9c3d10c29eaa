package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQueryLogFollowsTheConfiguration logs queries, also after the log was moved away and the
// configuration loaded again, until the configuration names no log any more.
func TestQueryLogFollowsTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	file, log := filepath.Join(dir, "c.yml"), filepath.Join(dir, "queries.log")
	configure := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	configure("global:\n  query_log_file: queries.log\n")
	s, _ := testServer(t, "--config.file="+file)
	stop := startServer(t, s)
	ask := func(expr string) {
		code, body := s.get(t, "/api/v1/query?query="+expr)
		require.Equal(t, 200, code, body)
	}
	logged := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}
	ask("vector(1)")
	require.Contains(t, logged(log), `"query":"vector(1)"`)
	require.Contains(t, logged(log), `"httpRequest":{"clientIP":"127.0.0.1","method":"GET","path":"/api/v1/query"}`)

	require.NoError(t, os.Rename(log, log+".1"))
	ask("vector(2)")
	require.NoError(t, s.reloader.reload(context.Background()))
	ask("vector(3)")
	require.Equal(t, 2, strings.Count(logged(log+".1"), "\n"))
	require.Equal(t, 1, strings.Count(logged(log), "\n"))

	configure("global:\n  query_log_file: no/such/folder/log\n")
	require.ErrorContains(t, s.reloader.reload(context.Background()), "apply the configuration to the query log: open the query log")
	ask("vector(4)")
	require.Equal(t, 2, strings.Count(logged(log), "\n"), "the log before stays in use")
	configure("global: {}\n")
	require.NoError(t, s.reloader.reload(context.Background()))
	ask("vector(5)")
	require.Equal(t, 2, strings.Count(logged(log), "\n"))
	stop()
}

func TestMemoryOfQueries(t *testing.T) {
	perQuery, total := (&queryFlags{}).memory()
	require.Positive(t, total)
	require.Equal(t, total/2, perQuery)
	require.LessOrEqual(t, total, availableMemory()/queryShare)
	perQuery, total = (&queryFlags{maxMemoryTotal: 1 << 30}).memory()
	require.EqualValues(t, 1<<30, total)
	require.EqualValues(t, 1<<29, perQuery)
	perQuery, _ = (&queryFlags{maxMemory: 1 << 20}).memory()
	require.EqualValues(t, 1<<20, perQuery)
}
