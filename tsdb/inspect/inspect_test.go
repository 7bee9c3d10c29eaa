package inspect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

const (
	dir   = "data"
	start = int64(1_790_006_400_000)
)

// filled is a data folder with a block or more, and a head: m{i="0"} to m{i="3"}
// with a sample a minute, short{} in the first ten minutes only, and a histogram
// h.
func filled(t testing.TB) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	db := open(t, mem)
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "test"})
	require.NoError(t, err)
	for i := range 4 {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "m", "i", fmt.Sprint(i)))
		require.NoError(t, err)
	}
	short, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "short"))
	require.NoError(t, err)
	h, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "h"))
	require.NoError(t, err)
	for n := range 300 {
		row := storage.Row{T: start + int64(n)*60_000, Values: []float64{1, float64(n), 0.5, math.NaN(), 7, 0}}
		row.Present = row.Present.Grow(6)
		for c := range 6 {
			if storage.Column(c) != short || n < 10 {
				row.Present.Set(storage.Column(c))
			}
		}
		row.Histograms = []storage.HistogramSample{{Column: h, Histogram: tsdbutil.GenerateTestHistogram(int64(n))}}
		require.NoError(t, g.AppendRow(&row))
	}
	require.NoError(t, g.Close())
	require.NoError(t, db.Maintain(context.Background()))
	require.NotEmpty(t, db.Blocks())
	require.NoError(t, db.Close())
	return mem
}

func open(t testing.TB, fsys vfs.FS) *tsdb.DB {
	t.Helper()
	db, err := tsdb.Open(context.Background(), dir, tsdb.Options{FS: fsys, MaintenanceInterval: -1, Now: func() time.Time { return time.UnixMilli(start) }})
	require.NoError(t, err)
	return db
}

func blocks(t testing.TB, fsys vfs.FS) []string {
	t.Helper()
	ids, err := block.List(fsys, dir)
	require.NoError(t, err)
	var out []string
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}

func TestList(t *testing.T) {
	mem := filled(t)
	var out bytes.Buffer
	require.NoError(t, List(mem, dir, false, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	names := blocks(t, mem)
	require.Len(t, lines, 1+len(names))
	m, err := block.ReadMeta(mem, filepath.Join(dir, names[0]))
	require.NoError(t, err)
	fields := strings.Fields(lines[1])
	require.Equal(t, []string{names[0], fmt.Sprint(m.MinTime), fmt.Sprint(m.MaxTime)}, fields[:3])
	require.Equal(t, []string{fmt.Sprint(m.Stats.NumSamples), fmt.Sprint(m.Stats.NumChunks), "6"}, fields[4:7])
	require.Equal(t, "raw", fields[9])

	out.Reset()
	require.NoError(t, List(mem, dir, true, &out))
	require.Contains(t, out.String(), time.UnixMilli(m.MinTime).UTC().Format(time.RFC3339))

	flip(t, mem, filepath.Join(dir, names[0], block.MetaFile), 30)
	out.Reset()
	require.ErrorContains(t, List(mem, dir, false, &out), names[0])
}

func TestAnalyze(t *testing.T) {
	mem := filled(t)
	var out bytes.Buffer
	first := blocks(t, mem)[0]
	require.NoError(t, Analyze(context.Background(), mem, dir, first, 2, nil, &out))
	for _, want := range []string{
		"Block: " + first + "\n", "Series: 6 of 6\n", "Label names: 2\n", "Label pairs: 7, 10 in all series\n",
		"Label pairs most involved in churn (series that are missing, on average):\n1 __name__=short\n",
		"Most common label pairs:\n4 __name__=m\n1 __name__=h\n… 5 more\n",
		"Label names with the most values:\n4 i\n3 __name__\n",
		"Metric names with the most series:\n4 m\n1 h\n… 1 more\n",
		"Rows of the ",
	} {
		require.Contains(t, out.String(), want)
	}

	out.Reset()
	m := labels.MustNewMatcher(labels.MatchEqual, "i", "2")
	require.NoError(t, Analyze(context.Background(), mem, dir, "", 20, []*labels.Matcher{m}, &out))
	require.Contains(t, out.String(), "Series: 1 of ")
	require.NotContains(t, out.String(), "i=1")
}

func TestDump(t *testing.T) {
	mem := filled(t)
	db, err := Open(context.Background(), mem, dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var out bytes.Buffer
	require.NoError(t, Dump(context.Background(), db, start+60_000, start+120_000, nil, &out))
	h := tsdbutil.GenerateTestHistogram(1).String()
	lines := strings.Split(out.String(), "\n")
	require.Len(t, lines, 2*6+1)
	require.Equal(t, `{__name__="h"} `+h+` 1790006460000`, lines[0])
	require.Equal(t, []string{
		`{__name__="m", i="0"} 1 1790006460000`, `{__name__="m", i="0"} 1 1790006520000`,
		`{__name__="m", i="1"} 1 1790006460000`, `{__name__="m", i="1"} 2 1790006520000`,
		`{__name__="m", i="2"} 0.5 1790006460000`, `{__name__="m", i="2"} 0.5 1790006520000`,
		`{__name__="m", i="3"} NaN 1790006460000`, `{__name__="m", i="3"} NaN 1790006520000`,
		`{__name__="short"} 7 1790006460000`, `{__name__="short"} 7 1790006520000`, ``,
	}, lines[2:])

	out.Reset()
	require.NoError(t, Dump(context.Background(), db, math.MinInt64, math.MaxInt64, [][]*labels.Matcher{
		{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "short")},
		{labels.MustNewMatcher(labels.MatchEqual, "i", "0")},
	}, &out))
	require.Equal(t, 310, strings.Count(out.String(), "\n"), "blocks and head")
}

func verify(t testing.TB, fsys vfs.FS, names ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Verify(context.Background(), fsys, dir, names, &out)
	return out.String(), err
}

func TestVerifyOfSoundFolder(t *testing.T) {
	mem := filled(t)
	fail := vfs.NewFail(mem)
	fail.Arm(vfs.Rule{Kinds: vfs.OpMutating, N: 1})
	out, err := verify(t, fail)
	require.NoError(t, err, out)
	require.False(t, fail.Fired(), "something was changed")
	require.Equal(t, len(blocks(t, mem))+1, strings.Count(out, ": sound: "))

	db := open(t, mem)
	_, err = verify(t, mem)
	require.NoError(t, err, "while the database is open")
	require.NoError(t, db.Delete(context.Background(), start, start+600_000, labels.MustNewMatcher(labels.MatchEqual, "i", "1")))
	out, err = verify(t, mem)
	require.NoError(t, err, out)
	require.Contains(t, out, "1 deletions")
	require.NoError(t, db.Close())
}

// flip turns a bit of a file over.
func flip(t testing.TB, fsys vfs.FS, name string, at int) {
	t.Helper()
	data, err := vfs.ReadFile(fsys, name)
	require.NoError(t, err)
	data = bytes.Clone(data)
	data[at%len(data)] ^= 1 << (at % 8)
	require.NoError(t, vfs.WriteFileAtomic(fsys, name, data))
}

// TestVerifyFindsEveryBit turns over bits all over the files of a block: each is
// found, in the file where it is.
func TestVerifyFindsEveryBit(t *testing.T) {
	mem := filled(t)
	name := blocks(t, mem)[0]
	for _, file := range []string{block.MetaFile, block.IndexFile, block.DataFile} {
		path := filepath.Join(dir, name, file)
		info, err := mem.Stat(path)
		require.NoError(t, err)
		for at := 0; at < int(info.Size); at += 7 {
			flip(t, mem, path, at)
			out, err := verify(t, mem, name)
			require.ErrorIs(t, err, ErrDamaged, "%s at %d", file, at)
			require.Contains(t, out, filepath.Join(name, file), "%s at %d: %s", file, at, out)
			flip(t, mem, path, at)
		}
	}
	out, err := verify(t, mem)
	require.NoError(t, err, out)
}

func TestVerifyFindsDamageInLog(t *testing.T) {
	mem := filled(t)
	entries, err := mem.ReadDir(filepath.Join(dir, logDir))
	require.NoError(t, err)
	var largest string
	size := int64(0)
	for _, e := range entries {
		path := filepath.Join(dir, logDir, e.Name)
		if info, err := mem.Stat(path); err == nil && !e.IsDir && info.Size > size {
			largest, size = path, info.Size
		}
	}
	for at := 0; at < int(size)*3/4; at += 101 {
		flip(t, mem, largest, at)
		out, err := verify(t, mem)
		require.ErrorIs(t, err, ErrDamaged, "offset %d of %d: %s", at, size, out)
		require.Contains(t, out, largest+": offset ")
		flip(t, mem, largest, at)
	}
}

func TestVerifyCounts(t *testing.T) {
	mem := filled(t)
	name := blocks(t, mem)[0]
	m, err := block.ReadMeta(mem, filepath.Join(dir, name))
	require.NoError(t, err)
	m.Stats.NumSamples++
	m.MaxTime -= 60_000
	require.NoError(t, block.WriteMeta(mem, filepath.Join(dir, name), m))
	out, err := verify(t, mem)
	require.ErrorIs(t, err, ErrDamaged)
	require.Contains(t, out, fmt.Sprintf("it says %d samples, there are %d", m.Stats.NumSamples, m.Stats.NumSamples-1))
	require.Contains(t, out, fmt.Sprintf("in a block from %d to before %d", m.MinTime, m.MaxTime))
}

func TestMistakes(t *testing.T) {
	mem := filled(t)
	ctx := context.Background()
	require.ErrorContains(t, List(mem, "nowhere", false, io.Discard), "there is no folder nowhere")
	require.ErrorContains(t, List(mem, filepath.Join(dir, blocks(t, mem)[0], block.MetaFile), false, io.Discard), "is not a folder")
	require.NoError(t, mem.MkdirAll("empty"))
	require.ErrorContains(t, List(mem, "empty", false, io.Discard), "neither blocks nor a log")
	require.NoError(t, mem.MkdirAll("prom/chunks_head"))
	require.ErrorContains(t, List(mem, "prom", false, io.Discard), "gnomon tsdb import prometheus")
	require.ErrorContains(t, Analyze(ctx, mem, dir, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 1, nil, io.Discard), "there is no block 01ARZ3NDEKTSV4RRFFQ69G5FAV")
	_, err := verify(t, mem, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	require.ErrorContains(t, err, "there is no block 01ARZ3NDEKTSV4RRFFQ69G5FAV")
	db := open(t, mem)
	_, err = Open(ctx, mem, dir)
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, db.Close())
}
