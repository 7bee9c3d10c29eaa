package batch

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// listIterator yields samples in batches of up to size, one kind each.
type listIterator struct {
	samples []Sample
	size    int
}

func (it *listIterator) Err() error { return nil }

func (it *listIterator) Next(b *storage.Batch) bool {
	if len(it.samples) == 0 {
		return false
	}
	*b = storage.Batch{Values: b.Values[:0], Histograms: b.Histograms[:0], FloatHistograms: b.FloatHistograms[:0]}
	kind := it.samples[0].Kind()
	for len(it.samples) > 0 && it.samples[0].Kind() == kind && b.Len() < it.size {
		Append(b, &it.samples[0])
		it.samples = it.samples[1:]
	}
	b.Timeline, b.Offset = 7, 100
	return true
}

// union is Merge, sample by sample.
func union(lists [][]Sample) []Sample {
	byTime := map[int64]Sample{}
	for i := len(lists) - 1; i >= 0; i-- {
		for _, s := range lists[i] {
			byTime[s.T] = s
		}
	}
	var out []Sample
	for _, s := range byTime {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Sample) int { return cmp.Compare(a.T, b.T) })
	return out
}

func randomList(rng *rand.Rand, source int) []Sample {
	var out []Sample
	t, kind := int64(rng.IntN(200)), rng.IntN(6)
	for range rng.IntN(300) {
		t += int64(1 + rng.IntN(3))
		if rng.IntN(40) == 0 {
			t += int64(rng.IntN(200))
			kind = rng.IntN(6)
		}
		s := Sample{T: t}
		switch kind {
		case 0:
			s.H = tsdbutil.GenerateTestHistogram(int64(source))
		case 1:
			s.FH = tsdbutil.GenerateTestFloatHistogram(int64(source))
		default:
			s.V = float64(source)
		}
		if rng.IntN(10) == 0 {
			s.ST = t - 5
		}
		out = append(out, s)
	}
	return out
}

func TestMergeIsTheUnion(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		lists := make([][]Sample, 1+rng.IntN(5))
		its := make([]storage.BatchIterator, len(lists))
		for i := range lists {
			lists[i] = randomList(rng, i)
			its[i] = &listIterator{lists[i], 1 + rng.IntN(120)}
		}
		got, err := Collect(Merge(its...))
		require.NoError(t, err)
		want := union(lists)
		require.Len(t, got, len(want), "seed %d", seed)
		for i := range want {
			require.Equal(t, want[i].T, got[i].T, "seed %d", seed)
			require.Equal(t, want[i].ST, got[i].ST, "seed %d", seed)
			require.True(t, want[i].SameValue(&got[i]), "seed %d: sample %d", seed, i)
		}
	}
}

func sequence(from, n int, step int64) []Sample {
	var out []Sample
	for i := range n {
		out = append(out, Sample{T: int64(from) + int64(i)*step, V: float64(i)})
	}
	return out
}

func TestMergeKeepsTimelines(t *testing.T) {
	// The gap of the first source has room for the second; the third begins
	// where the first ends.
	it := Merge(&listIterator{append(sequence(0, 50, 1), sequence(100, 50, 1)...), 100}, &listIterator{sequence(60, 30, 1), 50}, &listIterator{sequence(150, 50, 1), 50})
	var b storage.Batch
	var offsets, lengths []int
	for it.Next(&b) {
		require.Equal(t, storage.TimelineID(7), b.Timeline)
		offsets, lengths = append(offsets, b.Offset), append(lengths, b.Len())
	}
	require.Equal(t, []int{100, 100, 150, 100}, offsets)
	require.Equal(t, []int{50, 30, 50, 50}, lengths)
}

func TestMergeGathersShortRuns(t *testing.T) {
	it := Merge(&listIterator{sequence(0, 300, 2), 100}, &listIterator{sequence(1, 300, 2), 100})
	var b storage.Batch
	batches := 0
	for it.Next(&b) {
		require.Zero(t, b.Timeline)
		batches++
	}
	require.LessOrEqual(t, batches, 6, "600 samples that alternate")
}

// TestMergeLeavesBuffersAlone gives the same batch to two iterators in turn,
// which the contract allows: neither may write into the other's samples.
func TestMergeLeavesBuffersAlone(t *testing.T) {
	a := Merge(&listIterator{sequence(0, 64, 1), 64}, &listIterator{sequence(1000, 64, 1), 64})
	other := &listIterator{sequence(0, 640, 1), 64}
	var b storage.Batch
	n := 0
	for a.Next(&b) {
		for i, v := range b.Values {
			require.Equal(t, float64(i), v)
			n++
		}
		require.True(t, other.Next(&b))
	}
	require.Equal(t, 128, n)
}

func TestMergeForgetsResetsBetweenSources(t *testing.T) {
	sample := func(ts int64) Sample {
		h := tsdbutil.GenerateTestHistogram(1)
		h.CounterResetHint = histogram.NotCounterReset
		return Sample{T: ts, H: h}
	}
	got, err := Collect(Merge(
		&listIterator{[]Sample{sample(1), sample(2), sample(4)}, 10},
		&listIterator{[]Sample{sample(3), sample(5)}, 10},
	))
	require.NoError(t, err)
	var hints []histogram.CounterResetHint
	for _, s := range got {
		hints = append(hints, s.H.CounterResetHint)
	}
	unknown, not := histogram.UnknownCounterReset, histogram.NotCounterReset
	require.Equal(t, []histogram.CounterResetHint{unknown, not, unknown, unknown, unknown}, hints)
}

// listSet is a series set of single-sample series.
type listSet struct {
	names []string
	value float64
	at    int
}

func (s *listSet) Next() bool                        { s.at++; return s.at <= len(s.names) }
func (s *listSet) Err() error                        { return nil }
func (s *listSet) Warnings() annotations.Annotations { return nil }
func (s *listSet) At() storage.Series {
	return &listSeries{labels.FromStrings("n", s.names[s.at-1]), []Sample{{T: int64(s.value), V: s.value}}}
}

type listSeries struct {
	ls      labels.Labels
	samples []Sample
}

func (s *listSeries) Labels() labels.Labels { return s.ls }
func (s *listSeries) Batches(storage.BatchIterator) storage.BatchIterator {
	return &listIterator{s.samples, 10}
}

func TestMergeSets(t *testing.T) {
	sets := func() []storage.SeriesSet {
		return []storage.SeriesSet{
			&listSet{names: []string{"a", "c", "d"}, value: 1},
			&listSet{names: []string{"b", "c"}, value: 2},
			&listSet{names: nil, value: 3},
			&listSet{names: []string{"c", "e"}, value: 4},
		}
	}
	set := MergeSets(sets(), labels.Compare, 0)
	got := map[string]int{}
	var order []string
	for set.Next() {
		name := set.At().Labels().Get("n")
		samples, err := Collect(set.At().Batches(nil))
		require.NoError(t, err)
		got[name] = len(samples)
		order = append(order, name)
	}
	require.NoError(t, set.Err())
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, order)
	require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 3, "d": 1, "e": 1}, got)

	set = MergeSets(sets(), labels.Compare, 2)
	n := 0
	for set.Next() {
		n++
	}
	require.Equal(t, 2, n)
}
