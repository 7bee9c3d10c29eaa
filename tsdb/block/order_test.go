package block

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

func TestOrder(t *testing.T) {
	sorted := []labels.Labels{
		labels.FromStrings("a", "z"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "5", "method", "GET"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "10", "method", "GET"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "+Inf", "method", "GET"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "what", "method", "GET"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "-Inf", "method", "PUT"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "1", "method", "PUT"),
		labels.FromStrings("__name__", "m", "A", "1", "le", "1.0", "method", "PUT"),
		labels.FromStrings("__name__", "m", "B", "1"),
		labels.FromStrings("__name__", "m", "B", "1", "le", "0"),
		labels.FromStrings("__name__", "m_count", "A", "1"),
	}
	for i, a := range sorted {
		for j, b := range sorted {
			require.Equal(t, i < j, Compare(a, b) < 0, "%s and %s", a, b)
			require.Equal(t, i == j, Compare(a, b) == 0, "%s and %s", a, b)
			d := newDictionary()
			require.Equal(t, cmp.Compare(i, j), d.Compare(d.Append(nil, a), d.Append(nil, b)), "%s and %s", a, b)
		}
	}
	b, found := newLabelBuilder(), []bool{}
	for _, ls := range sorted {
		b.add(b.dictionary.Append(nil, ls), metadata.Metadata{})
		found = append(found, b.bucket())
	}
	// Each is the next bucket of the one before.
	require.Equal(t, []bool{false, false, true, true, true, false, true, true, false, false, false}, found)
}

// TestOrderIsTotal sorts series in different starting orders: the result is the same.
func TestOrderIsTotal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := []string{"", "1", "1.0", "1e0", "0x1p0", "NaN", "+Inf", "Inf", "-1", "b", "1e999"}
	pick := func() string { return values[rng.IntN(len(values))] }
	var list []labels.Labels
	for range 300 {
		list = append(list, labels.FromStrings("__name__", pick(), "B", pick(), "le", pick(), "z", pick()))
	}
	slices.SortFunc(list, Compare)
	again := slices.Clone(list)
	for range 10 {
		rng.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		slices.SortFunc(again, Compare)
		for i := range list {
			require.True(t, labels.Equal(list[i], again[i]), "%s and %s", list[i], again[i])
		}
	}
}

// TestMetricOrder holds the order of numbers, in the index and in a dictionary, against Compare.
func TestMetricOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	values := []string{"", "1", "1.0", "1e0", "NaN", "+Inf", "Inf", "-Inf", "-1", "b", "1e999"}
	pick := func() string { return values[rng.IntN(len(values))] }
	for range 50 {
		symbols := idx.NewSymbols()
		sets := idx.NewLabelSets(symbols)
		var list []labels.Labels
		for range rng.IntN(200) {
			list = append(list, labels.FromStrings(
				"A", pick(), "__name__", pick(), "instance", pick(), "job", pick(), "l", pick(), "le", pick(), "lf", pick()).WithoutEmpty())
		}
		slices.SortFunc(list, Compare)
		list = slices.CompactFunc(list, labels.Equal)
		interned := make([]idx.LabelSet, len(list))
		for _, i := range rng.Perm(len(list)) {
			interned[i] = sets.Intern(list[i])
		}
		order := sets.NewMetricOrder(len(list), func(i int) (idx.LabelSet, uint32) { return interned[i], uint32(i) })
		d := newDictionary()
		var last []Label
		for i, want := range list {
			n, ok := order.Next()
			require.True(t, ok)
			require.Equal(t, uint32(i), n)
			var numbers []Label
			for _, rank := range order.Labels(nil) {
				require.LessOrEqual(t, rank, order.MaxRank())
				p := order.Label(rank)
				numbers = append(numbers, d.Number(symbols.String(p.Name), symbols.String(p.Value)))
			}
			require.Equal(t, want, d.Labels(numbers))
			require.Equal(t, numbers, d.Append(nil, want))
			if i > 0 {
				require.Negative(t, d.Compare(last, numbers), "%s", want)
				require.Positive(t, d.Compare(numbers, last), "%s", want)
			}
			last = numbers
		}
		_, ok := order.Next()
		require.False(t, ok)
	}
}
