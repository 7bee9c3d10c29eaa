package scan

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

func named(name string) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, name, "job", "x")
}

// testBlock has a timeline of 100 to 199 and three series: "full" at every time,
// "odd" at the odd ones up to 149, with start timestamps, and "late" from 150 on.
func testBlock(t *testing.T) (*block.Reader, *vfs.Mem) {
	t.Helper()
	mem := vfs.NewMem()
	require.NoError(t, vfs.MkdirAllSync(mem, "b"))
	w, err := block.NewWriter(mem, "b", ulid.ULID{15: 1}, block.WriterOptions{})
	require.NoError(t, err)
	var times []int64
	var full, odd, late []float64
	var starts []int64
	presence := storage.Bitmap(nil).Grow(100)
	for i := range 100 {
		times, full = append(times, int64(100+i)), append(full, float64(i))
		if i%2 == 1 && i < 50 {
			presence.Set(storage.Column(i))
			odd, starts = append(odd, float64(-i)), append(starts, int64(i))
		}
		if i >= 50 {
			late = append(late, 7)
		}
	}
	line, err := w.AddTimeline(times)
	require.NoError(t, err)
	add := func(name string, c block.Chunk) {
		c.Timeline = line
		_, err := w.AddSeries(&block.Series{Labels: named(name), Chunks: []block.Chunk{c}})
		require.NoError(t, err)
	}
	add("full", block.Chunk{Rows: 100, Floats: full})
	add("late", block.Chunk{FirstRow: 50, Rows: 50, Floats: late})
	add("odd", block.Chunk{Rows: 100, Presence: presence, Floats: odd, StartTimes: encoding.AppendTimes(nil, starts)})
	m, err := w.Finish(block.Meta{MinTime: 100, MaxTime: 200, Compaction: block.Compaction{Level: 1}})
	require.NoError(t, err)
	r, err := block.Open(mem, filepath.Join("b", m.ULID.String()), block.ReaderOptions{})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r, mem
}

// read returns the samples by metric name.
func read(t *testing.T, r *block.Reader, mint, maxt int64) map[string][]batch.Sample {
	t.Helper()
	q, err := NewQuerier(r, 1, mint, maxt)
	require.NoError(t, err)
	defer q.Close()
	out := map[string][]batch.Sample{}
	set := q.Select(context.Background(), &storage.SelectHints{Sorted: true}, labels.MustNewMatcher(labels.MatchEqual, "job", "x"))
	var it storage.BatchIterator
	for set.Next() {
		it = set.At().Batches(it)
		samples, err := batch.Collect(it)
		require.NoError(t, err)
		require.NotEmpty(t, samples, set.At().Labels())
		out[set.At().Labels().Get(model.MetricNameLabel)] = samples
	}
	require.NoError(t, set.Err())
	return out
}

func TestRanges(t *testing.T) {
	r, _ := testBlock(t)
	all := read(t, r, math.MinInt64, math.MaxInt64)
	require.Len(t, all["full"], 100)
	require.Len(t, all["odd"], 25)
	require.Equal(t, batch.Sample{T: 103, ST: 3, V: -3}, all["odd"][1])
	require.Len(t, all["late"], 50)
	require.EqualValues(t, 150, all["late"][0].T)

	got := read(t, r, 102, 102)
	require.Len(t, got, 1, "a series that is absent at the time is not found")
	require.Equal(t, []batch.Sample{{T: 102, V: 2}}, got["full"])
	got = read(t, r, 149, 150)
	require.Len(t, got["odd"], 1)
	require.Len(t, got["late"], 1)
	require.Empty(t, read(t, r, 200, 300))
}

func TestTimelineIsTheBlocks(t *testing.T) {
	r, _ := testBlock(t)
	q, err := NewQuerier(r, 3, 110, 160)
	require.NoError(t, err)
	defer q.Close()
	set := q.Select(context.Background(), nil)
	var b storage.Batch
	lines := map[string]storage.TimelineID{}
	offsets := map[string]int{}
	for set.Next() {
		require.True(t, set.At().Batches(nil).Next(&b))
		name := set.At().Labels().Get(model.MetricNameLabel)
		lines[name], offsets[name] = b.Timeline, b.Offset
	}
	require.NotZero(t, lines["full"])
	require.Equal(t, lines["full"], lines["late"])
	require.Zero(t, lines["odd"], "timestamps of its own")
	require.Equal(t, map[string]int{"full": 10, "late": 50, "odd": 0}, offsets)
}

func TestDeletions(t *testing.T) {
	r, _ := testBlock(t)
	before, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer before.Close()
	require.NoError(t, r.Delete(block.Interval{MinT: 110, MaxT: 189}, roaring.BitmapOf(0)))
	require.NoError(t, r.Delete(block.Interval{MinT: 0, MaxT: 1000}, roaring.BitmapOf(1)))
	got := read(t, r, math.MinInt64, math.MaxInt64)
	require.Len(t, got, 2)
	require.Len(t, got["full"], 20)
	require.EqualValues(t, 190, got["full"][10].T)
	require.NotContains(t, read(t, r, 120, 130), "full")

	set := before.Select(context.Background(), nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "late"))
	require.True(t, set.Next(), "an open querier sees what it saw")

	q, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	names, _, err := q.LabelValues(context.Background(), model.MetricNameLabel, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"full", "odd"}, names, "a deleted series has no labels")

	newest, ok, err := findNewest(r, named("full"))
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 199, newest)
	newest, ok, err = findNewest(r, named("late"))
	require.NoError(t, err)
	require.True(t, ok, "a deletion forgets samples, not the order")
	require.EqualValues(t, 199, newest)
}

func findNewest(r *block.Reader, ls labels.Labels) (int64, bool, error) {
	_, e, ok, err := Find(r, ls)
	if err != nil || !ok {
		return 0, false, err
	}
	return Newest(r, &e)
}

func TestNewestOfASeries(t *testing.T) {
	r, _ := testBlock(t)
	newest, ok, err := findNewest(r, named("odd"))
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 149, newest)
	_, ok, err = findNewest(r, named("none"))
	require.NoError(t, err)
	require.False(t, ok)
	_, ok, err = findNewest(r, labels.FromStrings("job", "x"))
	require.NoError(t, err)
	require.False(t, ok, "others have this label and more")
}

func TestClosedBlock(t *testing.T) {
	r, _ := testBlock(t)
	q, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	r.Close()
	_, err = NewQuerier(r, 1, 0, 1)
	require.ErrorIs(t, err, block.ErrClosed)
	set := q.Select(context.Background(), nil)
	n := 0
	for set.Next() {
		n++
	}
	require.NoError(t, set.Err())
	require.Equal(t, 3, n, "an open querier keeps the block")
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	<-r.Done()
}

// TestDamageIsAnError changes each part of the data in turn: reading says so and
// never shows another value.
func TestDamageIsAnError(t *testing.T) {
	r, mem := testBlock(t)
	want := read(t, r, math.MinInt64, math.MaxInt64)
	name := filepath.Join(r.Dir(), block.DataFile)
	data, err := vfs.ReadFile(mem, name)
	require.NoError(t, err)
	for at := 16; at < len(data); at += 3 {
		bad := append([]byte(nil), data...)
		bad[at] ^= 0x10
		disk := mem.CrashClone()
		require.NoError(t, vfs.WriteFileAtomic(disk, name, bad))
		r, err := block.Open(disk, r.Dir(), block.ReaderOptions{})
		if err != nil {
			require.ErrorIs(t, err, block.ErrCorrupt)
			continue
		}
		q, err := NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
		require.NoError(t, err)
		set := q.Select(context.Background(), nil)
		failed := false
		for set.Next() {
			it := set.At().Batches(nil)
			samples, err := batch.Collect(it)
			failed = failed || err != nil
			right := want[set.At().Labels().Get(model.MetricNameLabel)]
			require.LessOrEqual(t, len(samples), len(right))
			require.Equal(t, right[:len(samples)], append([]batch.Sample{}, samples...), "byte %d", at)
		}
		require.True(t, failed || set.Err() != nil, "byte %d", at)
		require.NoError(t, q.Close())
		r.Close()
	}
}
