package block

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"
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
			both := newLabelBuilder()
			both.add(a, metadata.Metadata{})
			both.add(b, metadata.Metadata{})
			require.Equal(t, cmp.Compare(i, j), compareNumbered(both.before, both.last), "%s and %s", a, b)
		}
	}
	b, found := newLabelBuilder(), []bool{}
	for _, ls := range sorted {
		b.add(ls, metadata.Metadata{})
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
