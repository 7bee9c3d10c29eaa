package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// What a server has scraped can be given to a Prometheus and be taken over from there: every
// row is the same afterwards, and a second import finds nothing to do. While a server has
// the folder the head cannot be exported, and its blocks and log can be verified.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, 3, 50)
	first := harness.StartGnomon(t, harness.Options{
		Config: "scrape_configs:\n" + load.ScrapeConfig("load", 250*time.Millisecond),
	})
	waitScrapes(t, load, 20)
	out := filepath.Join(t.TempDir(), "prometheus")
	code, output := harness.RunGnomon(t, first.Dir, "tsdb", "export", out)
	require.Equal(t, 1, code, output)
	require.Contains(t, output, "in use by process")
	code, output = harness.RunGnomon(t, first.Dir, "tsdb", "verify")
	require.Equal(t, 0, code, output)
	before := readRows(t, first, load)
	require.Greater(t, len(before), 50, "too few rows to judge by")
	first.Terminate(t)

	code, output = harness.RunGnomon(t, first.Dir, "tsdb", "export", out)
	require.Equal(t, 0, code, output)

	second := harness.NewGnomon(t, harness.Options{Config: "global: {}\n"})
	code, output = harness.RunGnomon(t, second.Dir, "tsdb", "import", "prometheus", out)
	require.Equal(t, 0, code, output)
	require.Contains(t, output, "read back and the same")
	second.Start(t)
	requireKept(t, before, readRows(t, second, load))

	code, output = harness.RunGnomon(t, second.Dir, "tsdb", "import", "prometheus", out)
	require.Equal(t, 0, code, output)
	require.Contains(t, output, "0 parts imported")
	second.Terminate(t)
	code, output = harness.RunGnomon(t, second.Dir, "tsdb", "verify")
	require.Equal(t, 0, code, output)
	code, output = harness.RunGnomon(t, second.Dir, "tsdb", "list", "--human-readable")
	require.Equal(t, 0, code, output)
	require.Contains(t, output, "BLOCK ULID")
}

// A server that is started on the folder of a Prometheus says how to take it over.
func TestFolderOfPrometheusIsNamed(t *testing.T) {
	t.Parallel()
	server := harness.NewGnomon(t, harness.Options{Config: "global: {}\n"})
	require.NoError(t, os.MkdirAll(filepath.Join(server.Dir, "data", "chunks_head"), 0o700))
	server.Start(t)
	require.Contains(t, server.Output(t), "gnomon tsdb import prometheus data/")
	code, output := harness.RunGnomon(t, server.Dir, "tsdb", "list")
	require.Equal(t, 1, code, output)
	require.Contains(t, output, "take it over with gnomon tsdb import prometheus")
}
