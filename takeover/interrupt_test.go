package takeover

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// brief is the folder of a Prometheus with two blocks and two ranges of logs,
// which is imported in no time. It is shared.
func brief(t testing.TB) (string, content) {
	t.Helper()
	short.once.Do(func() {
		p := openPrometheus(t, filepath.Join(life.dir, "brief"), promOptions())
		for n := range 460 {
			p.begin()
			for i := range 3 {
				p.float(labels.FromStrings(model.MetricNameLabel, "m", "i", fmt.Sprint(i)), start+int64(n)*minute, float64(n*i))
			}
			p.commit()
		}
		p.compact()
		short.content = p.content()
		p.close()
	})
	return filepath.Join(life.dir, "brief"), short.content
}

var short struct {
	once    sync.Once
	content content
}

// requireOnce demands that each source is in one block.
func requireOnce(t testing.TB, fsys vfs.FS, target string) {
	t.Helper()
	ids, err := block.List(fsys, target)
	require.NoError(t, err)
	seen := map[ulid.ULID]bool{}
	for _, id := range ids {
		m, err := block.ReadMeta(fsys, filepath.Join(target, id.String()))
		require.NoError(t, err)
		for _, s := range m.Compaction.Sources {
			require.False(t, seen[s], "source %s was imported twice", s)
			seen[s] = true
		}
	}
	require.NotEmpty(t, seen)
}

// TestImportResumes lets every few operations of the target's disk fail, for
// good, and goes on with what a loss of power leaves of it.
func TestImportResumes(t *testing.T) {
	source, want := brief(t)
	resumed := 0
	for n := 1; ; n += 3 {
		mem := vfs.NewMem()
		fail := vfs.NewFail(mem)
		fail.Arm(vfs.Rule{Kinds: vfs.OpMutating, N: n, Sticky: true, TearBytes: n % 5})
		_, err := Import(context.Background(), source, "data", ImportOptions{FS: fail})
		if !fail.Fired() {
			require.NoError(t, err)
			break
		}
		require.ErrorIs(t, err, vfs.ErrInjected, "operation %d", n)
		for _, disk := range []*vfs.Mem{mem.CrashClone(), mem.CrashCloneSeed(uint64(n))} {
			s, err := Import(context.Background(), source, "data", ImportOptions{FS: disk})
			require.NoError(t, err, "operation %d", n)
			requireOnce(t, disk, "data")
			requireContent(t, want, ourContent(t, disk, "data"))
			if s.Present > 0 {
				resumed++
			}
		}
	}
	require.Greater(t, resumed, 10, "nothing was ever there already")
}

// cancelWriter cancels when a line with a word was written for the n-th time.
type cancelWriter struct {
	word   string
	n      int
	cancel func()
}

func (w *cancelWriter) Write(p []byte) (int, error) {
	if w.n -= bytes.Count(p, []byte(w.word)); w.n == 0 {
		w.cancel()
	}
	return len(p), nil
}

func TestImportCanBeCancelled(t *testing.T) {
	source, want := lived(t)
	for n := range 5 {
		mem := vfs.NewMem()
		ctx, cancel := context.WithCancel(context.Background())
		s, err := Import(ctx, source, "data", ImportOptions{FS: mem, Out: &cancelWriter{"read back", n + 1, cancel}})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, n+1, s.Imported)
		rest := imported(t, mem, source, "data", ImportOptions{})
		require.Equal(t, n+1, rest.Present)
		requireOnce(t, mem, "data")
		requireContent(t, want, ourContent(t, mem, "data"))
	}
}

func TestTwoImportsExcludeEachOther(t *testing.T) {
	source, _ := brief(t)
	mem := vfs.NewMem()
	require.NoError(t, mem.MkdirAll("data/import"))
	held, err := mem.Lock("data/import/lock")
	require.NoError(t, err)
	_, err = Import(context.Background(), source, "data", ImportOptions{FS: mem})
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, held.Close())
}

// TestImportBesideServer imports into a folder that a database has open, and
// which has newer samples of the same series already.
func TestImportBesideServer(t *testing.T) {
	source, want := brief(t)
	mem := vfs.NewMem()
	db := openOurs(t, mem, "data")
	name := labels.FromStrings(model.MetricNameLabel, "m", "i", "1")
	for n := range 120 {
		app := db.Appender(context.Background())
		t0 := start + int64(450+n)*minute + 1
		_, err := app.Append(0, name, t0, -1)
		require.NoError(t, err)
		require.NoError(t, app.Commit())
	}
	both := contentOf(t, db)
	imported(t, mem, source, "data", ImportOptions{})
	for range 3 {
		require.NoError(t, db.Maintain(context.Background()))
		got := contentOf(t, db)
		for series, list := range want {
			require.Subset(t, got[series], list)
			require.Len(t, got[series], len(list)+len(both[series]))
		}
		require.NoError(t, db.Close())
		db = openOurs(t, mem, "data")
	}
	require.NoError(t, db.Close())
}

func TestReportTells(t *testing.T) {
	source, _ := brief(t)
	var out bytes.Buffer
	now := time.UnixMilli(start)
	tick := func() time.Time { now = now.Add(time.Second); return now }
	_, err := Import(context.Background(), source, "data", ImportOptions{FS: vfs.NewMem(), Out: &out, Now: tick, ReportInterval: time.Second})
	require.NoError(t, err)
	require.Contains(t, out.String(), "reading the logs: segment 1 of ")
	for _, want := range []string{"4 parts, about 1380 samples", "1 of 4, logs from ", "4 of 4, block ", "samples/s", "left", "4 parts imported, 12 series and 1380 samples"} {
		require.Contains(t, out.String(), want)
	}
}
