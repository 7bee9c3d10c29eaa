package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCommandsAreBesideTheServer: only the first argument chooses a command, and
// whatever starts a Prometheus starts the server.
func TestCommandsAreBesideTheServer(t *testing.T) {
	require.Equal(t, 0, execute([]string{"tsdb", "--help"}))
	require.Equal(t, 1, execute([]string{"tsdb", "list", "--storage.tsdb.path=" + t.TempDir()}))
	require.Equal(t, 2, execute([]string{"tsdb", "nonsense"}))

	o := parsed(t, "--storage.tsdb.path=tsdb")
	require.Equal(t, "tsdb", o.storage.path)
	_, err := parseFlags([]string{"--log.level=info", "tsdb"}, &bytes.Buffer{})
	require.ErrorContains(t, err, "unexpected tsdb")
}
