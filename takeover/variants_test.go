package takeover

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// TestImportOfStartTimes has the record and chunk types with start timestamps,
// the other compression of logs, and a snapshot of the memory.
func TestImportOfStartTimes(t *testing.T) {
	opts := promOptions()
	opts.EnableSTStorage, opts.EnableHistogramSTEncoding = true, true
	opts.FloatChunkEncoding = chunkenc.EncXOR2
	opts.WALCompression = compression.Zstd
	opts.EnableMemorySnapshotOnShutdown = true
	p := openPrometheus(t, t.TempDir(), opts)
	for n := range 400 {
		t0 := start + int64(n)*minute
		p.begin()
		p.add(labels.FromStrings(model.MetricNameLabel, "c"), t0-int64(n%50)*minute, t0, float64(n), nil, nil)
		p.add(labels.FromStrings(model.MetricNameLabel, "h"), start-1, t0, 0, tsdbutil.GenerateTestHistogram(int64(n)), nil)
		p.add(labels.FromStrings(model.MetricNameLabel, "fh"), start+int64(n/100), t0, 0, nil, tsdbutil.GenerateTestFloatHistogram(int64(n)))
		p.float(labels.FromStrings(model.MetricNameLabel, "g"), t0, 1)
		p.commit()
	}
	p.compact()
	want := p.content()
	p.close()
	mem := vfs.NewMem()
	s := imported(t, mem, p.dir, "data", ImportOptions{})
	require.Equal(t, 4, s.Imported)
	got := ourContent(t, mem, "data")
	requireContent(t, want, got)
	require.Contains(t, got[`{__name__="h"}`][399], fmt.Sprintf("%d %d ", start+399*minute, start-1), "there are start times")
}

// TestImportOfStaleSeries has a series that went into a block because it was
// stale, was deleted there, and came back: the log still has what was deleted.
func TestImportOfStaleSeries(t *testing.T) {
	p := openPrometheus(t, t.TempDir(), promOptions())
	gone := labels.FromStrings(model.MetricNameLabel, "gone")
	at := func(n int, v float64, ls labels.Labels) {
		p.begin()
		p.float(ls, start+int64(n)*minute, v)
		p.commit()
	}
	for n := range 60 {
		at(n, float64(n), gone)
		at(n, float64(n), labels.FromStrings(model.MetricNameLabel, "stays"))
	}
	at(60, math.Float64frombits(value.StaleNaN), gone)
	require.NoError(t, p.db.CompactStaleHead())
	p.delete(0, 30, model.MetricNameLabel, "gone")
	for n := range 20 {
		at(70+n, float64(n), gone)
	}
	want := p.content()
	require.Len(t, want[gone.String()], 30+20)
	source := copyFolder(t, p.dir)
	p.close()
	mem := vfs.NewMem()
	imported(t, mem, source, "data", ImportOptions{})
	requireContent(t, want, ourContent(t, mem, "data"))
}

// TestImportOfExemplarsAndMetadata has those that Prometheus keeps in its log.
func TestImportOfExemplarsAndMetadata(t *testing.T) {
	source, _ := lived(t)
	mem := vfs.NewMem()
	imported(t, mem, source, "data", ImportOptions{})
	db := openOurs(t, mem, "data")
	defer func() { require.NoError(t, db.Close()) }()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	name := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "with_exemplar")
	got, err := q.Exemplars(context.Background(), []*labels.Matcher{name})
	require.NoError(t, err)
	require.Len(t, got, 1)
	var want []exemplar.Exemplar
	for n := 360; n < 570; n++ { // what is older is in blocks, which have none
		if n%7 == 0 {
			want = append(want, exemplar.Exemplar{Labels: labels.FromStrings("trace", fmt.Sprint(n)), Value: 1, Ts: start + int64(n)*minute, HasTs: true})
		}
	}
	require.Equal(t, want, got[0].Exemplars)
	meta, err := q.Metadata(context.Background(), "with_exemplar")
	require.NoError(t, err)
	require.Equal(t, []metadata.Metadata{{Type: model.MetricTypeCounter, Unit: "bytes", Help: "help 2"}}, meta["with_exemplar"])

	bounded := vfs.NewMem()
	imported(t, bounded, source, "data", ImportOptions{MaxExemplars: 3})
	db2 := openOurs(t, bounded, "data")
	defer func() { require.NoError(t, db2.Close()) }()
	q2, err := db2.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q2.Close()
	got, err = q2.Exemplars(context.Background(), []*labels.Matcher{name})
	require.NoError(t, err)
	require.Equal(t, want[len(want)-3:], got[0].Exemplars)
}

// TestImportOfSnapshot imports what Prometheus's API makes, with and without its
// head.
func TestImportOfSnapshot(t *testing.T) {
	p := openPrometheus(t, t.TempDir(), promOptions())
	for n := range 200 {
		p.scrape(n)
	}
	p.compact()
	want := p.content()
	dir := t.TempDir()
	require.NoError(t, p.db.Snapshot(dir, true))
	p.close()
	mem := vfs.NewMem()
	imported(t, mem, dir, "data", ImportOptions{})
	requireContent(t, want, ourContent(t, mem, "data"))
}

// TestImportAfterPrometheusCompacted imports, lets Prometheus compact and go on,
// and imports again: blocks that were made of imported ones are known.
func TestImportAfterPrometheusCompacted(t *testing.T) {
	p := openPrometheus(t, t.TempDir(), promOptions())
	for n := range 400 {
		p.scrape(n)
		if n%120 == 119 {
			p.compact()
		}
	}
	p.close()
	mem := vfs.NewMem()
	first := imported(t, mem, p.dir, "data", ImportOptions{})
	p = openPrometheus(t, p.dir, promOptions())
	for n := 400; n < 800; n++ {
		p.scrape(n)
		if n%120 == 119 {
			p.compact()
		}
	}
	require.True(t, hasLevel(p.db, 2), "Prometheus joined blocks")
	want := p.content()
	p.close()
	second := imported(t, mem, p.dir, "data", ImportOptions{})
	require.Positive(t, second.Present)
	require.Less(t, second.Imported, first.Imported+second.Present+8)
	requireContent(t, want, ourContent(t, mem, "data"))
	third := imported(t, mem, p.dir, "data", ImportOptions{})
	require.Zero(t, third.Imported)
}

func hasLevel(db *promtsdb.DB, level int) bool {
	for _, b := range db.Blocks() {
		if b.Meta().Compaction.Level >= level {
			return true
		}
	}
	return false
}
