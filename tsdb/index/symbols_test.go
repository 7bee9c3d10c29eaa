package index

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestSymbols(t *testing.T) {
	s := NewSymbols()
	pairs := s.Intern(nil, labels.FromStrings("job", "x", "path", "job"))
	require.Len(t, pairs, 2)
	require.Equal(t, pairs[0].Name, pairs[1].Value, "the same string is the same symbol")
	n, bytes := s.Len()
	require.Equal(t, 3, n)
	require.Equal(t, int64(8), bytes)
	require.Equal(t, "job", s.String(pairs[0].Name))
	sym, ok := s.Lookup("path")
	require.True(t, ok)
	require.Equal(t, pairs[1].Name, sym)
	_, ok = s.Lookup("none")
	require.False(t, ok)
	s.Release(pairs)
	n, bytes = s.Len()
	require.Zero(t, n)
	require.Zero(t, bytes)
	require.Panics(t, func() { s.Release(pairs) })
}

func TestLabelSets(t *testing.T) {
	symbols := NewSymbols()
	s := NewLabelSets(symbols)
	var b labels.ScratchBuilder
	var sets []LabelSet
	for instance := range 5 {
		for i := range 20 {
			ls := labels.FromStrings("__name__", fmt.Sprint("m", i/4), "a", "1", "instance", fmt.Sprint(instance), "job", "j", "le", fmt.Sprint(i%4), "zone", "z")
			set := s.Intern(ls)
			require.True(t, s.Is(set, ls))
			require.False(t, s.Is(set, labels.FromStrings("a", "1")))
			require.True(t, labels.Equal(ls, s.Labels(set, &b)))
			require.Equal(t, "z", s.Value(set, "zone"))
			require.Equal(t, fmt.Sprint(i%4), s.Value(set, "le"))
			require.Empty(t, s.Value(set, "none"))
			sets = append(sets, set)
		}
	}
	require.Less(t, s.mu.numbers.Len(), 35, "25 parts, and those from before anything was learned")
	require.Equal(t, sets[41].shared, sets[59].shared, "labels of the target")
	require.Equal(t, sets[41].own, sets[61].own, "labels of the series")
	require.Equal(t, LabelSet{}, s.Intern(labels.EmptyLabels()))
}

func TestLabelSetsAreKeptForAWhile(t *testing.T) {
	symbols := NewSymbols()
	s := NewLabelSets(symbols)
	one := labels.FromStrings("a", "1")
	var b labels.ScratchBuilder
	gone := s.Intern(one)
	s.Release(gone)
	s.Sweep()
	require.True(t, labels.Equal(one, s.Labels(gone, &b)), "a reader may still hold it")
	again := s.Intern(one)
	require.Equal(t, gone, again, "it comes back to life")
	s.Sweep()
	s.Release(again)
	s.Sweep()
	_, ok := symbols.Lookup("1")
	require.True(t, ok)
	s.Sweep()
	_, ok = symbols.Lookup("1")
	require.False(t, ok)
	n, _ := symbols.Len()
	require.Zero(t, n)
	require.Equal(t, gone, s.Intern(labels.FromStrings("a", "3")), "its number is used again")
	s.Sweep()
	require.Panics(t, func() { s.Release(gone); s.Release(gone) })
}

// TestLabelSetsAgainstModel releases, interns and sweeps at random.
func TestLabelSetsAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	symbols := NewSymbols()
	s := NewLabelSets(symbols)
	var held []LabelSet
	var texts []labels.Labels
	var b labels.ScratchBuilder
	for range 20000 {
		switch rng.IntN(5) {
		case 0, 1:
			ls := labels.FromStrings("n", fmt.Sprint(rng.IntN(60)), fmt.Sprint("name", rng.IntN(20)), "v", "job", fmt.Sprint(rng.IntN(3)))
			held, texts = append(held, s.Intern(ls)), append(texts, ls)
		case 2, 3:
			if len(held) > 0 {
				i := rng.IntN(len(held))
				s.Release(held[i])
				last := len(held) - 1
				held[i], texts[i] = held[last], texts[last]
				held, texts = held[:last], texts[:last]
			}
		case 4:
			s.Sweep()
		}
		if len(held) > 0 {
			i := rng.IntN(len(held))
			require.True(t, labels.Equal(texts[i], s.Labels(held[i], &b)))
		}
	}
	for _, set := range held {
		s.Release(set)
	}
	s.Sweep()
	s.Sweep()
	n, bytes := symbols.Len()
	require.Zero(t, n)
	require.Zero(t, bytes)
	require.Zero(t, s.mu.numbers.Len())
	require.Len(t, s.mu.free, int(s.mu.next)-1)
}

func TestLabelSetsConcurrently(t *testing.T) {
	s := NewLabelSets(NewSymbols())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var b labels.ScratchBuilder
			for i := range 3 * symbolChunk {
				ls := labels.FromStrings("shared", fmt.Sprint(i%10), "own", fmt.Sprint(g, "-", i%2000))
				set := s.Intern(ls)
				if !labels.Equal(ls, s.Labels(set, &b)) {
					t.Errorf("%s came back as %s", ls, s.Labels(set, &b))
				}
				if i%2 == 0 {
					s.Release(set)
				}
				if g == 0 && i%1000 == 0 {
					s.Sweep()
				}
			}
		})
	}
	wg.Wait()
}
