package discovery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

func groupOf(source string, addresses ...int) *targetgroup.Group {
	g := &targetgroup.Group{Source: source, Labels: model.LabelSet{"source": model.LabelValue(source)}}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(fmt.Sprint(a))})
	}
	return g
}

// The table holds the same as a plain map, whatever happens to it, and says exactly
// when it changed.
func TestGroupTableAgainstMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table groupTable
	known := map[string]*targetgroup.Group{}
	for range 5_000 {
		var update []*targetgroup.Group
		want := false
		for range random.IntN(4) {
			source := fmt.Sprint(random.IntN(20))
			g := groupOf(source)
			for range random.IntN(3) {
				g.Targets = append(g.Targets, groupOf("", random.IntN(3)).Targets...)
			}
			old := known[source]
			switch {
			case len(g.Targets) == 0:
				want = want || old != nil
				delete(known, source)
			default:
				want = want || old == nil || !EqualGroups(old, g)
				known[source] = g
			}
			update = append(update, g, nil)
		}
		before := table.share()
		require.Equal(t, want, table.apply(update))
		require.Equal(t, !want, sameSlice(before, table.share()))

		targets := 0
		expected := []*targetgroup.Group{}
		for _, g := range known {
			expected = append(expected, g)
			targets += len(g.Targets)
		}
		bySource := func(a, b *targetgroup.Group) int { return strings.Compare(a.Source, b.Source) }
		slices.SortFunc(expected, bySource)
		got := slices.Clone(table.share())
		slices.SortFunc(got, bySource)
		require.Equal(t, expected, got)
		require.Equal(t, targets, table.targets)
	}
}

func TestGroupTableKeepsEqualGroups(t *testing.T) {
	var table groupTable
	first := groupOf("a", 1, 2)
	require.True(t, table.apply([]*targetgroup.Group{first, groupOf("b", 3)}))
	shared := table.share()
	require.False(t, table.apply([]*targetgroup.Group{groupOf("a", 1, 2)}))
	require.Same(t, first, table.groups[0])
	require.True(t, sameSlice(shared, table.share()))

	// What receivers have does not change under them.
	require.True(t, table.apply([]*targetgroup.Group{groupOf("a")}))
	require.Same(t, first, shared[0])
	require.Len(t, shared, 2)
	require.Len(t, table.share(), 1)
}
