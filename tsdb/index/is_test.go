package index

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestLabelSetsIs(t *testing.T) {
	require.True(t, flatLabels, "label sets are compared as strings")
	sets := NewLabelSets(NewSymbols())
	long := strings.Repeat("x", 255)
	all := []labels.Labels{
		labels.EmptyLabels(), labels.FromStrings("instance", "i", "job", "j"), labels.FromStrings("a", "", "b", "c"),
		labels.FromStrings("instance", "i", "job", "j", "z", long), labels.FromStrings("instance", "i", "job", "j", "zz", "z"),
	}
	for i := range 4 {
		for _, value := range []string{"a", "b", "", long[1:], long, long + "y", strings.Repeat("z", 1<<17)} {
			all = append(all,
				labels.FromStrings("__name__", fmt.Sprint("m", i), "instance", "i", "job", "j", "own", value),
				labels.FromStrings("__name__", fmt.Sprint("m", i), "instance", "i2", "job", "j", "joc", value, "k", "v"),
				labels.FromStrings("__name__", fmt.Sprint("m", i), "instance", "i", "job", "j", long+"y", value, "z", value))
		}
	}
	interned := make([]LabelSet, len(all))
	for i, ls := range all {
		interned[i] = sets.Intern(ls)
	}
	for round := range 3 { // with and without texts
		for i, set := range interned {
			for j, ls := range all {
				require.Equal(t, i == j, sets.Is(set, ls), "round %d: %s is %s", round, all[i], ls)
			}
		}
	}
	sets.Is(interned[1], all[1])
	require.NotNil(t, sets.texts.get(sets, interned[1].shared))
}

// TestLabelSetsIsAfterSweep compares sets whose parts have the numbers of others that went.
func TestLabelSetsIsAfterSweep(t *testing.T) {
	sets := NewLabelSets(NewSymbols())
	for i := range 20 {
		ls := labels.FromStrings("__name__", "m", "instance", fmt.Sprint(i), "job", "j")
		set := sets.Intern(ls)
		for range 3 {
			require.True(t, sets.Is(set, ls))
		}
		sets.Release(set)
		sets.Sweep()
		sets.Sweep()
	}
	require.Less(t, sets.mu.next, uint32(8), "numbers are used again")
}

// FuzzLabelSetsIs compares sets with others that differ in little.
func FuzzLabelSetsIs(f *testing.F) {
	f.Add("job", "j", "own", "a", "job", "j", "own", "b")
	f.Add("a", "bc", "abc", "", "ab", "c", "a", "bc")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, m1, w1, m2, w2 string) {
		make := func(n1, v1, n2, v2 string) labels.Labels {
			b := labels.NewBuilder(labels.FromStrings("__name__", "m", "instance", "i", "job", "shop"))
			return b.Set(n1, v1).Set(n2, v2).Labels()
		}
		a, b := make(n1, v1, n2, v2), make(m1, w1, m2, w2)
		sets := NewLabelSets(NewSymbols())
		sets.Intern(b)
		set := sets.Intern(a)
		for range 3 {
			if !sets.Is(set, a) || sets.Is(set, b) != labels.Equal(a, b) {
				t.Fatalf("%s and %s", a, b)
			}
		}
	})
}
