package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// TestOrderAgainstCompare orders random label sets.
func TestOrderAgainstCompare(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		sets := NewLabelSets(NewSymbols())
		var list []labels.Labels
		var interned []LabelSet
		for range rng.IntN(300) {
			b := labels.NewBuilder(randomLabels(rng))
			for range rng.IntN(3) {
				b.Set(fmt.Sprint("label", rng.IntN(5)), fmt.Sprint(rng.IntN(30)))
			}
			b.Set("job", fmt.Sprint(rng.IntN(2)))
			list = append(list, b.Labels())
			interned = append(interned, sets.Intern(b.Labels()))
		}
		o := sets.NewOrder(len(list), func(i int) (LabelSet, uint32) { return interned[i], uint32(i) })
		want := slices.Clone(list)
		slices.SortFunc(want, labels.Compare)
		for i := range want {
			n, ok := o.Next()
			require.True(t, ok)
			require.True(t, labels.Equal(want[i], list[n]), "%d: %s, want %s", i, list[n], want[i])
		}
		_, ok := o.Next()
		require.False(t, ok)
	}
}
