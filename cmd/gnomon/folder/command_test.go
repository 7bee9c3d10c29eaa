package folder

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the reference documentation anew")

func TestReference(t *testing.T) {
	const path = "../../../documentation/reference/tsdb.md"
	var want bytes.Buffer
	require.NoError(t, writeReference(&want, newCommands(io.Discard, nil).app.Model()))
	if *update {
		require.NoError(t, os.WriteFile(path, want.Bytes(), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(have), "%s is out of date: go test ./cmd/gnomon/folder -run TestReference -update", path)
}

// ran runs a command line and returns its exit code and what it said.
func ran(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = Execute(args, &o, &e)
	return code, o.String(), e.String()
}

// must runs a command line that must work and returns what it said.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := ran(args...)
	require.Zero(t, code, "%v: %s%s", args, out, errs)
	require.Empty(t, errs)
	return out
}

// smallPrometheus is the folder of a Prometheus with a few samples.
func smallPrometheus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := promtsdb.Open(dir, nil, nil, promtsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	for n := range int64(200) {
		app := db.AppenderV2(context.Background())
		for _, i := range []string{"1", "2"} {
			ls := labels.FromStrings(model.MetricNameLabel, "m", "i", i)
			_, err := app.Append(0, ls, 0, 1_790_006_400_000+n*60_000, float64(n), nil, nil, promstorage.AOptions{})
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.NoError(t, db.Compact(context.Background()))
	require.NotEmpty(t, db.Blocks())
	require.NoError(t, db.Close())
	return dir
}

// TestThereAndBack takes a Prometheus over, looks at what came of it by every
// command, and gives it back.
func TestThereAndBack(t *testing.T) {
	source, data, back := smallPrometheus(t), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "back")
	path := "--storage.tsdb.path=" + data
	require.Contains(t, must(t, "import", "prometheus", source, path), "400 samples in them")
	require.Contains(t, must(t, "import", "prometheus", source, path), "0 parts imported")

	list := must(t, "list", path, "-r")
	require.Contains(t, list, "BLOCK ULID")
	name := strings.Fields(strings.Split(list, "\n")[1])[0]
	require.Contains(t, must(t, "analyze", data, name, "--match={i=\"1\"}"), "Series: 1 of 2")
	require.Equal(t, list, must(t, "list", data, "-r"), "the folder as an argument")
	require.Contains(t, must(t, "verify", path), "block "+name+": sound: 2 series")
	require.Contains(t, must(t, "verify", data, name), "block "+name+": sound: 2 series")
	dump := must(t, "dump", path, "--match=m", "--min-time=2026-09-21T16:00:00Z", "--max-time=1790006460000")
	require.Equal(t, strings.Join([]string{
		`{__name__="m", i="1"} 0 1790006400000`, `{__name__="m", i="1"} 1 1790006460000`,
		`{__name__="m", i="2"} 0 1790006400000`, `{__name__="m", i="2"} 1 1790006460000`, ``,
	}, "\n"), dump)

	require.Contains(t, must(t, "export", path, back), "400 samples in them")
	again := "--storage.tsdb.path=" + filepath.Join(t.TempDir(), "again")
	must(t, "import", "prometheus", back, again)
	require.Equal(t, must(t, "dump", path), must(t, "dump", again))
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"nonsense", 2, "nonsense"},
		{"import", 2, "subcommand"},
		{"import prometheus", 2, "required argument 'folder'"},
		{"dump --min-time=yesterday", 2, `"yesterday" is neither milliseconds`},
		{"list --storage.tsdb.path=/nowhere", 1, "there is no folder /nowhere"},
		{"list /nowhere", 1, "there is no folder /nowhere"},
		{"dump --storage.tsdb.path=/nowhere --match={", 1, "--match {:"},
		{"dump --storage.tsdb.path=/nowhere --min-time=2 --max-time=1", 1, "is before --min-time"},
		{"import prometheus /nowhere", 1, "no such file"},
	} {
		code, out, errs := ran(strings.Fields(c.args)...)
		require.Equal(t, c.code, code, "%s: %s%s", c.args, out, errs)
		require.Contains(t, errs, c.want, c.args)
		require.Empty(t, out, c.args)
	}
}

func TestHelp(t *testing.T) {
	whole := must(t)
	for _, want := range []string{"import prometheus", "export", "list", "analyze", "dump", "verify"} {
		require.Contains(t, whole, "\n"+want+" ", "help of everything")
	}
	require.Equal(t, 1, strings.Count(whole, "usage:"))
	require.Contains(t, must(t, "import", "prometheus", "--help"), "--[no-]blocks-only")
}
