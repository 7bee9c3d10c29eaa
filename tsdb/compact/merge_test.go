package compact

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// listSource is series with their samples, in order.
type listSource struct {
	series []listSeries
	at     int
}

type listSeries struct {
	name    string
	samples []batch.Sample
}

func (s *listSource) Next() bool { s.at++; return s.at <= len(s.series) }
func (s *listSource) Err() error { return nil }
func (s *listSource) Series() Series {
	x := s.series[s.at-1]
	return Series{
		Labels:   labels.FromStrings(model.MetricNameLabel, x.name),
		Metadata: metadata.Metadata{Help: x.name},
		Batches:  &listBatches{x.samples},
	}
}

type listBatches struct{ samples []batch.Sample }

func (it *listBatches) Err() error { return nil }
func (it *listBatches) Next(b *storage.Batch) bool {
	if len(it.samples) == 0 {
		return false
	}
	*b = storage.Batch{Values: b.Values[:0], Histograms: b.Histograms[:0], FloatHistograms: b.FloatHistograms[:0]}
	kind := it.samples[0].Kind()
	for len(it.samples) > 0 && it.samples[0].Kind() == kind && b.Len() < 100 {
		batch.Append(b, &it.samples[0])
		it.samples = it.samples[1:]
	}
	return true
}

const hour = int64(time.Hour / time.Millisecond)

func target(fsys vfs.FS) Target {
	return Target{
		FS: fsys, Dir: "blocks", Now: time.UnixMilli(1_790_000_000_000), AlignMillis: 2 * hour,
		Meta: block.Meta{MinTime: 0, MaxTime: 100 * hour},
	}
}

func write(t *testing.T, fsys vfs.FS, sources ...Source) *block.Reader {
	t.Helper()
	require.NoError(t, fsys.MkdirAll("blocks"))
	m, err := Write(context.Background(), target(fsys), sources)
	require.NoError(t, err)
	return open(t, fsys, m)
}

func open(t *testing.T, fsys vfs.FS, m block.Meta) *block.Reader {
	t.Helper()
	r, err := block.Open(fsys, "blocks/"+m.ULID.String(), block.ReaderOptions{})
	require.NoError(t, err)
	require.NoError(t, r.Verify())
	t.Cleanup(r.Close)
	return r
}

// read returns the samples of a series in a range.
func read(t *testing.T, r *block.Reader, name string, mint, maxt int64) []batch.Sample {
	t.Helper()
	q, err := scan.NewQuerier(r, 1, mint, maxt)
	require.NoError(t, err)
	defer q.Close()
	set := q.Select(context.Background(), nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name))
	var out []batch.Sample
	for set.Next() {
		out, err = batch.Collect(set.At().Batches(nil))
		require.NoError(t, err)
	}
	require.NoError(t, set.Err())
	return out
}

func requireSamples(t *testing.T, want, got []batch.Sample) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].T, got[i].T)
		require.Equal(t, want[i].ST, got[i].ST)
		require.True(t, want[i].SameValue(&got[i]), "sample %d: want %v, got %v", i, want[i], got[i])
	}
}

func randomSamples(rng *rand.Rand, n int) []batch.Sample {
	var out []batch.Sample
	t, kind := rng.Int64N(hour), 9
	for range n {
		t += 1 + rng.Int64N(30_000)
		if rng.IntN(100) == 0 {
			kind = rng.IntN(8)
			t += rng.Int64N(3 * hour)
		}
		s := batch.Sample{T: t}
		switch kind {
		case 0:
			s.H = tsdbutil.GenerateTestHistogram(rng.Int64N(100))
		case 1:
			s.FH = tsdbutil.GenerateTestFloatHistogram(rng.Int64N(100))
		case 2:
			s.V = math.Float64frombits(rng.Uint64())
		default:
			s.V = float64(rng.IntN(1000))
		}
		if kind == 3 {
			s.ST = t - 7
		}
		out = append(out, s)
	}
	return out
}

func TestWriteKeepsEverySample(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var list []listSeries
		for _, name := range []string{"a", "b", "c"} {
			list = append(list, listSeries{name, randomSamples(rng, 1+rng.IntN(3000))})
		}
		r := write(t, vfs.NewMem(), &listSource{series: slices.Clone(list)})
		for _, s := range list {
			requireSamples(t, s.samples, read(t, r, s.name, math.MinInt64, math.MaxInt64))
			mint, maxt := s.samples[len(s.samples)/3].T+1, s.samples[len(s.samples)*2/3].T
			var in []batch.Sample
			for _, x := range s.samples {
				if x.T >= mint && x.T <= maxt {
					in = append(in, x)
				}
			}
			requireSamples(t, in, read(t, r, s.name, mint, maxt))
		}
	}
}

func regular(from, to, step int64, v float64) []batch.Sample {
	var out []batch.Sample
	for t := from; t < to; t += step {
		out = append(out, batch.Sample{T: t, V: v + float64(t)})
	}
	return out
}

func TestTimelinesAreShared(t *testing.T) {
	var list []listSeries
	for _, name := range []string{"a", "b", "c", "d"} {
		list = append(list, listSeries{name, regular(0, 6*hour, 15_000, 1)})
	}
	list = append(list, listSeries{"e", regular(2*hour, 6*hour, 15_000, 1)})
	r := write(t, vfs.NewMem(), &listSource{series: list})
	require.EqualValues(t, 3, r.Meta().Stats.NumTimelines, "one for each two hours")
	require.EqualValues(t, 14, r.Meta().Stats.NumChunks)
	require.Equal(t, 1, r.Meta().Compaction.Level)
	require.Equal(t, r.Meta().ULID, r.Meta().Compaction.Sources[0])

	slow := write(t, vfs.NewMem(), &listSource{series: []listSeries{{"slow", regular(0, 96*hour, 300_000, 1)}}})
	require.LessOrEqual(t, slow.Meta().Stats.NumChunks, uint64(6), "slow series have longer ranges")
	fast := write(t, vfs.NewMem(), &listSource{series: []listSeries{{"fast", regular(0, 2*hour, 1000, 1)}}})
	require.EqualValues(t, 1, fast.Meta().Stats.NumTimelines)
	require.EqualValues(t, 15, fast.Meta().Stats.NumChunks, "fast ones several chunks in one")
}

// TestOlderBlocksAreSmaller writes the same samples at each level.
func TestOlderBlocksAreSmaller(t *testing.T) {
	last := int64(math.MaxInt64)
	for level := 1; level <= 3; level++ {
		fsys := vfs.NewMem()
		require.NoError(t, fsys.MkdirAll("blocks"))
		tgt := target(fsys)
		tgt.Meta.Compaction.Level = level
		m, err := Write(context.Background(), tgt, []Source{newTargets(10, 100, 960, 0)})
		require.NoError(t, err)
		require.Equal(t, level, m.Compaction.Level)
		require.EqualValues(t, 960_000, m.Stats.NumSamples)
		require.EqualValues(t, []int{2000, 2000, 1000}[level-1], m.Stats.NumChunks)
		sizes := open(t, fsys, m).Sizes()
		require.Less(t, sizes.Pages+sizes.Columns, last, "level %d", level)
		last = sizes.Pages + sizes.Columns
	}
}

func TestMergeJoinsAndDrops(t *testing.T) {
	fsys := vfs.NewMem()
	a := write(t, fsys, &listSource{series: []listSeries{{"x", regular(0, hour, 15_000, 1)}, {"y", regular(0, hour, 15_000, 1)}}})
	b := write(t, fsys, &listSource{series: []listSeries{{"x", regular(hour/2, 2*hour, 15_000, 1)}, {"z", regular(hour, 2*hour, 15_000, 1)}}})
	all, err := a.All()
	require.NoError(t, err)
	require.NoError(t, a.Delete(block.Interval{MinT: 0, MaxT: hour/4 - 1}, all))
	tgt := target(fsys)
	m, err := Merge(context.Background(), tgt, []*block.Reader{a, b})
	require.NoError(t, err)
	require.Equal(t, 2, m.Compaction.Level)
	require.Len(t, m.Compaction.Sources, 2)
	require.Len(t, m.Compaction.Parents, 2)
	r := open(t, fsys, m)
	requireSamples(t, regular(hour/4, 2*hour, 15_000, 1), read(t, r, "x", math.MinInt64, math.MaxInt64))
	requireSamples(t, regular(hour/4, hour, 15_000, 1), read(t, r, "y", math.MinInt64, math.MaxInt64))
	requireSamples(t, regular(hour, 2*hour, 15_000, 1), read(t, r, "z", math.MinInt64, math.MaxInt64))

	all, err = r.All()
	require.NoError(t, err)
	require.NoError(t, r.Delete(block.Interval{MinT: math.MinInt64, MaxT: math.MaxInt64}, all))
	m, err = Merge(context.Background(), tgt, []*block.Reader{r})
	require.NoError(t, err)
	require.Zero(t, m.ULID, "nothing is left")
	ids, err := block.List(fsys, "blocks")
	require.NoError(t, err)
	require.Len(t, ids, 3)
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	for n := 1; ; n++ {
		mem := vfs.NewMem()
		require.NoError(t, mem.MkdirAll("blocks"))
		fail := vfs.NewFail(mem)
		fail.Arm(vfs.Rule{Kinds: vfs.OpWrite | vfs.OpCreate | vfs.OpSync | vfs.OpRename | vfs.OpMkdir, N: n})
		_, err := Write(context.Background(), target(fail), []Source{&listSource{series: []listSeries{{"x", regular(0, hour, 15_000, 1)}}}})
		if !fail.Fired() {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, vfs.ErrInjected)
		entries, err := mem.ReadDir("blocks")
		require.NoError(t, err)
		require.Empty(t, entries, "operation %d", n)
	}
}

func TestWriteStopsWhenCancelled(t *testing.T) {
	fsys := vfs.NewMem()
	require.NoError(t, fsys.MkdirAll("blocks"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Write(ctx, target(fsys), []Source{&listSource{series: []listSeries{{"x", regular(0, hour, 15_000, 1)}}}})
	require.ErrorIs(t, err, context.Canceled)
}

// TestMergeSurvivesACrash lets each operation of a merge fail, and takes the
// power away there: the old blocks are sound, and the new one is there as a whole
// or not at all.
func TestMergeSurvivesACrash(t *testing.T) {
	made, fired := 0, true
	for n := 1; fired; n++ {
		mem := vfs.NewMem()
		require.NoError(t, vfs.MkdirAllSync(mem, "blocks"))
		a := write(t, mem, &listSource{series: []listSeries{{"x", regular(0, hour, 15_000, 1)}, {"y", regular(0, hour, 15_000, 1)}}})
		b := write(t, mem, &listSource{series: []listSeries{{"x", regular(hour, 2*hour, 15_000, 1)}}})
		disk := vfs.NewFail(mem)
		disk.Arm(vfs.Rule{Kinds: vfs.OpMutating | vfs.OpClose, N: n, TearBytes: 50})
		_, err := Merge(context.Background(), target(disk), []*block.Reader{a, b})
		fired = disk.Fired()
		require.Equal(t, fired, err != nil, "operation %d: %v", n, err)
		for _, state := range []*vfs.Mem{mem, mem.CrashClone(), mem.CrashCloneSeed(uint64(n))} {
			require.NoError(t, block.RemoveTemporary(state, "blocks"))
			entries, err := state.ReadDir("blocks")
			require.NoError(t, err)
			for _, e := range entries {
				m, err := block.ReadMeta(state, "blocks/"+e.Name)
				require.NoError(t, err)
				r := open(t, state, m)
				if m.Compaction.Level > 1 {
					requireSamples(t, regular(0, 2*hour, 15_000, 1), read(t, r, "x", math.MinInt64, math.MaxInt64))
					require.Len(t, m.Compaction.Parents, 2)
					made++
				}
			}
			require.Contains(t, []int{2, 3}, len(entries), "operation %d", n)
		}
	}
	require.GreaterOrEqual(t, made, 3)
}
