package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// A binary in an empty folder watches itself and its machine, and says so.
func TestZeroConfiguration(t *testing.T) {
	// Folders below a symbolic link would be reported by another name than Dir.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	server := harness.NewGnomon(t, harness.Options{Dir: dir})

	begin := time.Now()
	server.Start(t)
	took := time.Since(begin)
	t.Logf("ready after %s", took)
	require.Less(t, took, 10*time.Second, "the aim on a quiet machine is 1 s")

	harness.Eventually(t, 10*time.Second, "the greeting on the terminal", func() error {
		output := server.Output(t)
		for _, part := range []string{
			server.URL,                        // which address to open
			filepath.Join(server.Dir, "data"), // where the data is
			"gnomon", "node",                  // what it watches
		} {
			if !containsFold(output, part) {
				return fmt.Errorf("the output does not name %q:\n%s", part, output)
			}
		}
		return nil
	})
	require.DirExists(t, filepath.Join(server.Dir, "data"))

	// The default interval is 15 s, and the first scrape comes anywhere within it.
	server.WaitFor(t, time.Minute, `up{job="gnomon"}`, 1)
	server.WaitFor(t, time.Minute, `up{job="node"}`, 1)
	for _, expr := range []string{
		`count(gnomon_build_info or prometheus_build_info)`,
		`count(node_memory_MemTotal_bytes > 0)`,
		`count(count by (cpu) (node_cpu_seconds_total{mode="idle"})) > bool 0`,
	} {
		server.WaitFor(t, 10*time.Second, expr, 1)
	}
	server.Terminate(t)
}
