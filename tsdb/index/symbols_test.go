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
	a := labels.FromStrings("job", "x", "path", "job")
	pairs := s.Intern(nil, a)
	require.Len(t, pairs, 2)
	require.Equal(t, pairs[0].Name, pairs[1].Value, "the same string is the same symbol")
	n, bytes := s.Len()
	require.Equal(t, 3, n)
	require.Equal(t, int64(8), bytes)
	var b labels.ScratchBuilder
	require.True(t, labels.Equal(a, s.Labels(pairs, &b)))
	require.Equal(t, "job", s.String(pairs[0].Name))
	sym, ok := s.Lookup("path")
	require.True(t, ok)
	require.Equal(t, pairs[1].Name, sym)
	_, ok = s.Lookup("none")
	require.False(t, ok)
}

func TestSymbolsAreKeptForAWhile(t *testing.T) {
	s := NewSymbols()
	gone := s.Intern(nil, labels.FromStrings("a", "1"))
	stays := s.Intern(nil, labels.FromStrings("a", "2"))
	s.Release(gone)
	require.Zero(t, s.Sweep(), "a reader may still hold it")
	require.Equal(t, "1", s.String(gone[0].Value))
	again := s.Intern(nil, labels.FromStrings("a", "1"))
	require.Equal(t, gone, again, "it comes back to life")
	require.Zero(t, s.Sweep())
	s.Release(again)
	require.Zero(t, s.Sweep())
	require.Equal(t, 1, s.Sweep())
	_, ok := s.Lookup("1")
	require.False(t, ok)
	n, bytes := s.Len()
	require.Equal(t, 2, n)
	require.Equal(t, int64(2), bytes)
	other := s.Intern(nil, labels.FromStrings("a", "3"))
	require.Equal(t, gone[0].Value, other[0].Value, "its number is used again")
	require.Equal(t, "2", s.String(stays[0].Value))
	require.Zero(t, s.Sweep())
	require.Panics(t, func() { s.Release([]Pair{gone[0], gone[0]}) })
}

// TestSymbolsAgainstModel releases, interns and sweeps at random, against a map that counts.
func TestSymbolsAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := NewSymbols()
	var held [][]Pair
	var texts []labels.Labels
	var b labels.ScratchBuilder
	for range 20000 {
		switch rng.IntN(5) {
		case 0, 1:
			ls := labels.FromStrings("n", fmt.Sprint(rng.IntN(60)), fmt.Sprint("name", rng.IntN(20)), "v")
			held, texts = append(held, s.Intern(nil, ls)), append(texts, ls)
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
	for _, pairs := range held {
		s.Release(pairs)
	}
	s.Sweep()
	s.Sweep()
	n, bytes := s.Len()
	require.Zero(t, n)
	require.Zero(t, bytes)
}

func TestSymbolsConcurrently(t *testing.T) {
	s := NewSymbols()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var b labels.ScratchBuilder
			for i := range 3 * symbolChunk {
				ls := labels.FromStrings("shared", fmt.Sprint(i%10), "own", fmt.Sprint(g, "-", i%2000))
				pairs := s.Intern(nil, ls)
				if !labels.Equal(ls, s.Labels(pairs, &b)) {
					t.Errorf("%s came back as %s", ls, s.Labels(pairs, &b))
				}
				if i%2 == 0 {
					s.Release(pairs)
				}
				if g == 0 && i%3000 == 0 {
					s.Sweep()
				}
			}
		})
	}
	wg.Wait()
}
