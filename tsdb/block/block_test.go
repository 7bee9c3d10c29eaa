package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

func TestDeletionsThatTouchAreOne(t *testing.T) {
	r := func(ids ...uint32) *roaring.Bitmap { return roaring.BitmapOf(ids...) }
	ts := newTombstones(nil)
	for _, d := range []Tombstone{
		{Interval{10, 19}, r(1, 2)},
		{Interval{20, 29}, r(1, 2)},                        // adjacent
		{Interval{5, 12}, r(1, 2)},                         // overlaps
		{Interval{5, 29}, r(3)},                            // the same time
		{Interval{31, 40}, r(1, 2, 3)},                     // a gap
		{Interval{30, 30}, r(1)},                           // other series
		{Interval{math.MinInt64, math.MaxInt64}, r(7)},     // of all time
		{Interval{math.MinInt64, math.MinInt64}, r(7)},     // in it
		{Interval{math.MaxInt64 - 1, math.MaxInt64}, r(7)}, // in it
	} {
		ts = newTombstones(ts.with(d.Interval, d.Series))
	}
	var got []string
	for _, d := range ts.list {
		got = append(got, fmt.Sprintf("%d %d %v", d.MinT, d.MaxT, d.Series.ToArray()))
	}
	require.Equal(t, []string{
		"5 29 [1 2 3]", "31 40 [1 2 3]", "30 30 [1]",
		fmt.Sprintf("%d %d [7]", int64(math.MinInt64), int64(math.MaxInt64)),
	}, got)
	require.Equal(t, []uint32{1, 2, 3, 7}, ts.Series().ToArray())
}

func TestRoundTrip(t *testing.T) {
	for name, opts := range map[string]WriterOptions{
		"default": {},
		"small":   {PageBytes: 300, FrameSeries: 3},
		"large":   {PageBytes: 1 << 20, FrameSeries: 10000},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := vfs.NewMem()
			f := newFixture(1, 5, 21, 300)
			meta, err := f.write(fsys, opts)
			require.NoError(t, err)
			dir := filepath.Join(parent, testID.String())
			r := mustOpen(t, fsys, dir)
			defer r.Close()
			require.Equal(t, meta, r.Meta())
			require.Equal(t, dir, r.Dir())
			require.Equal(t, uint32(len(f.series)), r.NumSeries())
			require.Equal(t, len(f.timelines), r.NumTimelines())
			sizes := r.Sizes()
			require.Equal(t, r.Size(), sizes.Pages+sizes.Columns+sizes.Labels+sizes.Postings)
			require.True(t, sizes.Pages > 1000 && sizes.Columns > 300 && sizes.Labels > 100 && sizes.Postings > 100, "%+v", sizes)
			checkStats(t, f, meta.Stats)
			for i := range f.series {
				require.NoError(t, f.check(t, r, i))
			}
			for n, times := range f.timelines {
				got, err := r.Timeline(uint32(n))
				require.NoError(t, err)
				require.Equal(t, times, got)
				mint, maxt, rows := r.TimelineRange(uint32(n))
				require.Equal(t, []int64{times[0], times[len(times)-1], int64(len(times))}, []int64{mint, maxt, int64(rows)})
			}
			require.NoError(t, r.Verify())
			var e SeriesEntry
			require.Error(t, r.Series(r.NumSeries(), &labels.ScratchBuilder{}, &e))
			_, err = r.Timeline(99)
			require.Error(t, err)
		})
	}
}

func checkStats(t *testing.T, f *fixture, got Stats) {
	want := Stats{NumSeries: uint64(len(f.series)), NumTimelines: uint64(len(f.timelines)), NumGroups: uint64(len(f.timelines))}
	for _, s := range f.series {
		want.NumSamples += uint64(len(s.samples))
		want.NumChunks += uint64(len(s.Chunks))
		want.NumExemplars += uint64(len(s.Exemplars))
		for _, sm := range s.samples {
			if sm.hist != "" {
				want.NumHistogramSamples++
			} else {
				want.NumFloatSamples++
			}
		}
	}
	require.Equal(t, want, got)
}

func TestOnTheMachine(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(2, 2, 5, 100)
	w, err := NewWriter(vfs.OS{}, dir, testID, WriterOptions{})
	require.NoError(t, err)
	for _, times := range f.timelines {
		_, err := w.AddTimeline(times)
		require.NoError(t, err)
	}
	for i := range f.series {
		id, err := w.AddSeries(&f.series[i].Series)
		require.NoError(t, err)
		require.Equal(t, uint32(i), id)
	}
	_, err = w.Finish(Meta{MaxTime: 1})
	require.NoError(t, err)
	require.NoError(t, w.Abort(), "nothing to abort")
	_, err = w.Finish(Meta{MaxTime: 1})
	require.ErrorIs(t, err, ErrClosed)
	r := mustOpen(t, vfs.OS{}, filepath.Join(dir, testID.String()))
	for i := range f.series {
		require.NoError(t, f.check(t, r, i))
	}
	r.Close()
	<-r.Done()
	require.NoError(t, r.unmap.err)
}

func TestEmptyBlock(t *testing.T) {
	fsys := vfs.NewMem()
	r := mustOpen(t, fsys, (&fixture{}).mustWrite(t, fsys, WriterOptions{}))
	require.Zero(t, r.NumSeries())
	set, err := idx.Select(context.Background(), r)
	require.NoError(t, err)
	require.True(t, set.IsEmpty())
	require.NoError(t, r.Verify())
}

// TestSelect holds the block's postings against those of the memory index, which has its own
// tests against brute force.
func TestSelect(t *testing.T) {
	fsys := vfs.NewMem()
	f := newFixture(3, 50, 20, 2)
	r := mustOpen(t, fsys, f.mustWrite(t, fsys, WriterOptions{}))
	symbols := idx.NewSymbols()
	mem := idx.NewMemPostings(symbols)
	for i := range f.series {
		mem.Add(uint32(i), symbols.Intern(nil, f.series[i].Labels))
	}
	ctx := context.Background()
	values := []string{"", "metric_1", "metric_1.*", "host-7", "host-1.|host-2", ".*", ".+", "0", "0|1", "0|", "nothing", "(metric|x).*", "[12]?"}
	names := []string{model.MetricNameLabel, "instance", "job", "extra", "absent", "A_label_before_the_name"}
	for _, name := range names {
		for _, value := range values {
			for typ := labels.MatchEqual; typ <= labels.MatchNotRegexp; typ++ {
				ms := []*labels.Matcher{labels.MustNewMatcher(typ, name, value)}
				for range 2 {
					want, err := idx.Select(ctx, mem, ms...)
					require.NoError(t, err)
					got, err := idx.Select(ctx, r, ms...)
					require.NoError(t, err)
					require.Equal(t, want.ToArray(), got.ToArray(), "%v", ms)
					wantValues, err := labelValues(ctx, mem, "instance", ms...)
					require.NoError(t, err)
					gotValues, err := labelValues(ctx, r, "instance", ms...)
					require.NoError(t, err)
					require.Equal(t, wantValues, gotValues)
					wantNames, err := labelNames(ctx, mem, ms...)
					require.NoError(t, err)
					gotNames, err := labelNames(ctx, r, ms...)
					require.NoError(t, err)
					require.Equal(t, wantNames, gotNames)
					ms = append(ms, labels.MustNewMatcher(labels.MatchRegexp, "job", "1|2"))
				}
			}
		}
	}
	for _, name := range append(names, "none") {
		want, err := mem.Values(name)
		require.NoError(t, err)
		got, err := r.Values(name)
		require.NoError(t, err)
		require.ElementsMatch(t, want, got)
		total := uint64(0)
		require.NoError(t, r.ValueCounts(name, func(_ string, n int) bool { total += uint64(n); return true }))
		has, err := r.Name(name)
		require.NoError(t, err)
		require.Equal(t, has.GetCardinality(), total)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := idx.Select(cancelled, r, labels.MustNewMatcher(labels.MatchRegexp, "instance", "h.*"))
	require.ErrorIs(t, err, context.Canceled)
}

func TestWriterRefuses(t *testing.T) {
	_, err := NewWriter(vfs.NewMem(), parent, testID, WriterOptions{PageBytes: -1, FrameSeries: 1 << 20})
	require.ErrorContains(t, err, "page size")
	require.ErrorContains(t, err, "series a frame")

	w, err := NewWriter(vfs.NewMem(), parent, testID, WriterOptions{})
	require.NoError(t, err)
	for _, times := range [][]int64{nil, {2, 1}, {1, 1}, make([]int64, encoding.MaxRows+1)} {
		_, err := w.AddTimeline(times)
		require.ErrorContains(t, err, "timeline")
	}
	_, err = w.AddTimeline([]int64{1, 2, 3})
	require.NoError(t, err)
	values := []float64{1}
	for what, c := range map[string]Chunk{
		"kind 4":         {Kind: 4, Rows: 1, Floats: values},
		"timeline 1":     {Timeline: 1, Rows: 1, Floats: values},
		"rows 0+0":       {Floats: values},
		"rows 1+3":       {FirstRow: 1, Rows: 3, Floats: values},
		"presence":       {Rows: 1, Presence: storage.Bitmap{2}, Floats: values},
		"without any":    {Rows: 1, Presence: storage.Bitmap{0}, Floats: values},
		"with 1 values":  {Rows: 2, Floats: values},
		"without values": {Kind: storage.KindHistogram, Rows: 1},
	} {
		_, err := w.AddSeries(&Series{Labels: labels.FromStrings("a", "b"), Chunks: []Chunk{c}})
		require.ErrorContains(t, err, what)
	}
	_, err = w.AddSeries(&Series{Labels: labels.FromStrings("A", "z", model.MetricNameLabel, "m")})
	require.NoError(t, err)
	_, err = w.AddSeries(&Series{Labels: labels.FromStrings("A", "a", model.MetricNameLabel, "n")})
	require.NoError(t, err)
	_, err = w.Finish(Meta{MinTime: 2, MaxTime: 1})
	require.ErrorContains(t, err, "time range")
	require.NoError(t, w.Abort())
	for _, ls := range []labels.Labels{labels.FromStrings("A", "z", model.MetricNameLabel, "m"), labels.FromStrings("A", "z", model.MetricNameLabel, "a")} {
		w, err := NewWriter(vfs.NewMem(), parent, testID, WriterOptions{})
		require.NoError(t, err)
		_, err = w.AddSeries(&Series{Labels: labels.FromStrings("A", "z", model.MetricNameLabel, "m")})
		require.NoError(t, err)
		_, err = w.AddSeries(&Series{Labels: ls})
		require.ErrorIs(t, err, ErrOutOfOrder)
		require.NoError(t, w.Abort())
	}
}

// TestUnusedLabels numbers labels that no series has: the block is that of the others.
func TestUnusedLabels(t *testing.T) {
	var files [2][]byte
	for i := range files {
		fsys := vfs.NewMem()
		w, err := NewWriter(fsys, parent, testID, WriterOptions{})
		require.NoError(t, err)
		d := w.Dictionary()
		if i == 1 {
			d.Number("A", "x")
			d.Number("B", "x")
			d.Number(model.MetricNameLabel, "never")
		}
		for _, ls := range []labels.Labels{
			labels.FromStrings("A", "z", model.MetricNameLabel, "m"), labels.FromStrings("C", "z", model.MetricNameLabel, "m"),
		} {
			_, err = w.AddSeries(&Series{Numbered: d.Append(nil, ls)})
			require.NoError(t, err)
		}
		if i == 1 {
			d.Number("A", "zz")
			d.Number("D", "x")
		}
		m, err := w.Finish(Meta{MinTime: 1, MaxTime: 2})
		require.NoError(t, err)
		files[i], err = vfs.ReadFile(fsys, parent+"/"+m.ULID.String()+"/"+IndexFile)
		require.NoError(t, err)
	}
	require.Equal(t, files[0], files[1])
}

// TestWriteFailures lets each operation fail, and takes the power away there: the block is
// there as a whole or not at all.
func TestWriteFailures(t *testing.T) {
	f := newFixture(4, 2, 6, 60)
	fired, complete := true, 0
	for n := 1; fired; n++ {
		mem := vfs.NewMem()
		disk := vfs.NewFail(mem)
		disk.Arm(vfs.Rule{Kinds: vfs.OpMutating | vfs.OpClose, N: n, TearBytes: 100})
		_, err := f.write(disk, WriterOptions{PageBytes: 500})
		fired = disk.Fired()
		disk.Disarm()
		require.Equal(t, fired, err != nil)
		for _, state := range []*vfs.Mem{mem, mem.CrashClone(), mem.CrashCloneSeed(uint64(n))} {
			ids, err := List(state, parent)
			require.NoError(t, err)
			if len(ids) == 0 {
				require.NoError(t, RemoveTemporary(state, parent))
				entries, _ := readDir(state, parent)
				require.Empty(t, entries)
				continue
			}
			require.Equal(t, []ulid.ULID{testID}, ids)
			r := mustOpen(t, state, filepath.Join(parent, testID.String()))
			for i := range f.series {
				require.NoError(t, f.check(t, r, i))
			}
			complete++
		}
		if !fired {
			require.GreaterOrEqual(t, complete, 3)
		}
	}
}

func TestDeleteBlock(t *testing.T) {
	fired := true
	for n := 1; fired; n++ {
		mem := vfs.NewMem()
		f := newFixture(5, 1, 2, 10)
		dir := f.mustWrite(t, mem, WriterOptions{})
		disk := vfs.NewFail(mem)
		disk.Arm(vfs.Rule{N: n})
		err := Delete(disk, parent, testID)
		fired = disk.Fired()
		require.Equal(t, fired, err != nil)
		for _, state := range []*vfs.Mem{mem, mem.CrashClone()} {
			ids, err := List(state, parent)
			require.NoError(t, err)
			if len(ids) > 0 {
				require.NoError(t, mustOpen(t, state, dir).Verify())
			}
		}
	}
	ids, err := List(vfs.NewMem(), "nowhere")
	require.NoError(t, err)
	require.Empty(t, ids)
	require.NoError(t, RemoveTemporary(vfs.NewMem(), "nowhere"))
}

func TestReferences(t *testing.T) {
	fsys := vfs.NewMem()
	r := mustOpen(t, fsys, newFixture(6, 1, 3, 20).mustWrite(t, fsys, WriterOptions{}))
	require.True(t, r.Acquire())
	r.Close()
	r.Close()
	require.False(t, r.Acquire())
	select {
	case <-r.Done():
		t.Fatal("closed under a holder")
	default:
	}
	require.NoError(t, r.Verify())
	r.Release()
	<-r.Done()
	require.Panics(t, r.Release)
}

// TestConcurrentReads reads everything from several goroutines with room for one frame only.
func TestConcurrentReads(t *testing.T) {
	fsys := vfs.NewMem()
	f := newFixture(7, 4, 30, 50)
	dir := f.mustWrite(t, fsys, WriterOptions{PageBytes: 400, FrameSeries: 2})
	r, err := Open(fsys, dir, ReaderOptions{DirectoryCacheBytes: 1})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			if !r.Acquire() {
				t.Error("not acquired")
				return
			}
			defer r.Release()
			for i := range f.series {
				if err := f.check(t, r, (i*7+g*13)%len(f.series)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	kept := 0
	for i := range r.labelFrames.slots {
		if r.labelFrames.slots[i].frame.Load() != nil {
			kept++
		}
	}
	require.LessOrEqual(t, kept, 2)
	r.Close()
	<-r.Done()
}

func TestTimelinesAreShared(t *testing.T) {
	fsys := vfs.NewMem()
	r := mustOpen(t, fsys, newFixture(8, 1, 1, 20).mustWrite(t, fsys, WriterOptions{}))
	a, err := r.Timeline(0)
	require.NoError(t, err)
	runtime.GC()
	b, err := r.Timeline(0)
	require.NoError(t, err)
	require.Same(t, &a[0], &b[0])
	runtime.KeepAlive(a)
	r.Close()
	<-r.Done()
	require.Equal(t, a, b, "outlives the block")
}

func TestMeta(t *testing.T) {
	fsys := vfs.NewMem()
	dir := newFixture(9, 1, 2, 10).mustWrite(t, fsys, WriterOptions{})
	r := mustOpen(t, fsys, dir)
	require.NoError(t, r.SetCompactionFailed())
	require.True(t, r.Meta().Compaction.Failed)
	m, err := ReadMeta(fsys, dir)
	require.NoError(t, err)
	require.Equal(t, r.Meta(), m)
	data, err := vfs.ReadFile(fsys, filepath.Join(dir, MetaFile))
	require.NoError(t, err)
	for _, key := range []string{`"ulid"`, `"minTime"`, `"maxTime"`, `"numSamples"`, `"numSeries"`, `"level"`, `"sources"`, `"version"`} {
		require.Contains(t, string(data), key)
	}
	m.Version = 2
	require.NoError(t, WriteMeta(fsys, dir, m))
	_, err = Open(fsys, dir, ReaderOptions{})
	require.ErrorContains(t, err, "version 2")
	require.NoError(t, fsys.Remove(filepath.Join(dir, MetaFile)))
	_, err = Open(fsys, dir, ReaderOptions{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestTombstones(t *testing.T) {
	fsys := vfs.NewMem()
	dir := newFixture(10, 1, 8, 10).mustWrite(t, fsys, WriterOptions{})
	r := mustOpen(t, fsys, dir)
	require.Zero(t, r.Tombstones().Len())
	require.NoError(t, r.Delete(Interval{1, 2}, roaring.New()))
	require.Zero(t, r.Tombstones().Len())
	require.NoError(t, r.Delete(Interval{10, 20}, roaring.BitmapOf(1, 2)))
	before := r.Tombstones()
	require.NoError(t, r.Delete(Interval{21, 30}, roaring.BitmapOf(2, 3)))
	require.NoError(t, r.Delete(Interval{-5, 3}, roaring.BitmapOf(2)))
	require.NoError(t, r.Delete(Interval{15, 18}, roaring.BitmapOf(2)))
	require.Equal(t, 1, before.Len(), "a snapshot stays")

	for _, state := range []*vfs.Mem{fsys, fsys.CrashClone()} {
		ts, err := ReadTombstones(state, dir)
		require.NoError(t, err)
		require.Equal(t, 4, ts.Len())
		require.Equal(t, []Interval{{10, 20}}, ts.Intervals(nil, 1))
		require.Equal(t, []Interval{{0, 0}, {-5, 3}, {10, 30}}, ts.Intervals([]Interval{{0, 0}}, 2))
		require.Equal(t, []Interval{{21, 30}}, ts.Intervals(nil, 3))
		require.Empty(t, ts.Intervals(nil, 4))
	}
	require.Empty(t, (*Tombstones)(nil).Intervals(nil, 1))
	require.Zero(t, (*Tombstones)(nil).Len())

	disk := vfs.NewFail(fsys)
	disk.Arm(vfs.Rule{Kinds: vfs.OpRename})
	failing := mustOpen(t, disk, dir)
	require.ErrorIs(t, failing.Delete(Interval{0, 1}, roaring.BitmapOf(7)), vfs.ErrInjected)
	require.Equal(t, 4, failing.Tombstones().Len(), "not in effect if not durable")
}

// TestBitFlips flips every bit of every file of a block. It is noticed when the block is
// opened or when what is damaged is read, with the right file and an offset not behind it;
// every series but those of the frame, the page or the label values that it hits is read as
// before.
func TestBitFlips(t *testing.T) {
	const frameSeries = 3
	mem := vfs.NewMem()
	f := newFixture(11, 2, 2, 8)
	dir := f.mustWrite(t, mem, WriterOptions{PageBytes: 16, FrameSeries: frameSeries})
	r := mustOpen(t, mem, dir)
	require.NoError(t, r.Delete(Interval{1, 2}, roaring.BitmapOf(3)))
	for _, file := range []string{MetaFile, IndexFile, DataFile, TombstonesFile} {
		name := filepath.Join(dir, file)
		good, err := vfs.ReadFile(mem, name)
		require.NoError(t, err)
		atOpen, atRead := 0, 0
		for i := range good {
			for bit := range 8 {
				bad := slices.Clone(good)
				bad[i] ^= 1 << bit
				require.NoError(t, vfs.WriteFileAtomic(mem, name, bad))
				r, err := Open(mem, dir, ReaderOptions{})
				if err != nil {
					require.ErrorContains(t, err, name)
					if !regexp.MustCompile(`version \d+, this program`).MatchString(err.Error()) {
						requireCorruption(t, err, name, int64(i))
					}
					atOpen++
					continue
				}
				requireCorruption(t, r.Verify(), name, int64(i))
				label, lost := r.nameAt(file, int64(i)), 0
				for s := range f.series {
					if err := f.check(t, r, s); err != nil {
						requireCorruption(t, err, name, int64(i))
						lost++
						require.True(t, label == "" || f.series[s].Labels.Has(label), "byte %d: series %d", i, s)
					}
				}
				require.True(t, label != "" || lost <= frameSeries, "byte %d: %d series", i, lost)
				atRead++
				r.Close()
			}
		}
		require.NoError(t, vfs.WriteFileAtomic(mem, name, good))
		t.Logf("%s: %d flips found when opening, %d when reading", file, atOpen, atRead)
		require.Positive(t, atOpen)
		require.Equal(t, file == IndexFile || file == DataFile, atRead > 0)
	}
}

// nameAt returns the label name whose values lie at an offset of a file; "" if none do.
func (r *Reader) nameAt(file string, offset int64) string {
	for _, n := range r.index.names {
		if file == IndexFile && uint64(offset) >= n.offset && uint64(offset) < n.offset+n.length {
			return n.name
		}
	}
	return ""
}

func requireCorruption(t *testing.T, err error, file string, at int64) {
	t.Helper()
	require.ErrorIs(t, err, ErrCorrupt)
	var c *CorruptionError
	require.True(t, errors.As(err, &c))
	require.Equal(t, file, c.File)
	require.LessOrEqual(t, c.Offset, at)
	require.Contains(t, err.Error(), fmt.Sprintf("%s: offset %d: ", file, c.Offset))
}

// TestRangeReads takes away all of a block but what the tables say is needed for one series:
// it can be read nevertheless.
func TestRangeReads(t *testing.T) {
	mem := vfs.NewMem()
	f := newFixture(13, 8, 40, 200)
	dir := f.mustWrite(t, mem, WriterOptions{PageBytes: 2000, FrameSeries: 10})
	r := mustOpen(t, mem, dir)
	const series = 123
	frame := &r.index.frames[series/10]
	var e SeriesEntry
	require.NoError(t, r.Series(series, &labels.ScratchBuilder{}, &e))
	index, data := newKept(r.index.data), newKept(r.data.Bytes())
	tables := r.index.frames[len(r.index.frames)-1].labels
	index.keep(tables.offset+uint64(tables.length), uint64(len(r.index.data)))
	index.keep(frame.labels.offset, frame.labels.offset+uint64(frame.labels.length))
	index.keep(frame.columns.offset, frame.columns.offset+uint64(frame.columns.length))
	for i := range r.values {
		v := &r.values[i]
		index.keep(v.entry.offset, v.entry.offset+uint64(len(v.directory)))
		if value := e.Labels.Get(v.entry.name); value != "" {
			b, found, err := v.find(value)
			require.NoError(t, err)
			require.True(t, found)
			body := v.entry.offset + uint64(len(v.directory))
			to := uint64(len(v.body))
			if b.number+1 < v.entry.blocks() {
				to = uint64(v.begin(b.number + 1))
			}
			index.keep(body+uint64(v.begin(b.number)), body+to)
		}
	}
	pages := []uint32{}
	for i := range e.Chunks {
		pages = append(pages, e.Chunks[i].page.number, r.index.timelines[e.Chunks[i].Timeline].at.page)
	}
	if e.exemplars != nil {
		pages = append(pages, e.exemplars.page.number)
	}
	for _, n := range pages {
		p := r.index.pages[n]
		data.keep(p.offset, p.offset+uint64(p.length))
	}
	require.NoError(t, vfs.WriteFileAtomic(mem, filepath.Join(dir, IndexFile), index.bytes))
	require.NoError(t, vfs.WriteFileAtomic(mem, filepath.Join(dir, DataFile), data.bytes))
	require.NoError(t, f.check(t, mustOpen(t, mem, dir), series))
	require.Less(t, index.kept+data.kept, r.Size()/4)
	require.ErrorIs(t, mustOpen(t, mem, dir).Verify(), ErrCorrupt)
}

// kept is a file of which only parts are kept, beside its header.
type kept struct {
	whole, bytes []byte
	kept         int64
}

func newKept(whole []byte) *kept {
	k := &kept{whole: whole, bytes: make([]byte, len(whole))}
	k.keep(0, fileHeader)
	return k
}

func (k *kept) keep(from, to uint64) {
	k.kept += int64(to - from)
	copy(k.bytes[from:to], k.whole[from:to])
}

func TestTruncatedFiles(t *testing.T) {
	mem := vfs.NewMem()
	dir := newFixture(12, 2, 4, 12).mustWrite(t, mem, WriterOptions{})
	require.NoError(t, mustOpen(t, mem, dir).Delete(Interval{1, 2}, roaring.BitmapOf(3)))
	for _, file := range []string{MetaFile, IndexFile, DataFile, TombstonesFile} {
		name := filepath.Join(dir, file)
		good, err := vfs.ReadFile(mem, name)
		require.NoError(t, err)
		for _, bad := range [][]byte{nil, good[:1], good[:len(good)/2], good[:len(good)-1], append(slices.Clone(good), 0)} {
			require.NoError(t, vfs.WriteFileAtomic(mem, name, bad))
			_, err := Open(mem, dir, ReaderOptions{})
			require.ErrorIs(t, err, ErrCorrupt, "%s of %d bytes", file, len(bad))
		}
		require.NoError(t, vfs.WriteFileAtomic(mem, name, good))
	}
}

// labelNames and labelValues are what a querier answers: of the series that match.
func labelNames(ctx context.Context, p idx.Postings, ms ...*labels.Matcher) ([]string, error) {
	set, err := idx.Select(ctx, p, ms...)
	if err != nil {
		return nil, err
	}
	return idx.NamesIn(ctx, p, set, nil)
}

func labelValues(ctx context.Context, p idx.Postings, name string, ms ...*labels.Matcher) ([]string, error) {
	set, err := idx.Select(ctx, p, ms...)
	if err != nil {
		return nil, err
	}
	return idx.ValuesIn(ctx, p, set, name, nil)
}
