package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// TestBatchIsLikeOneByOne enters random series in batches, and one by one elsewhere.
func TestBatchIsLikeOneByOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	symbols, symbolsWant := NewSymbols(), NewSymbols()
	sets, setsWant := NewLabelSets(symbols), NewLabelSets(symbolsWant)
	postings, postingsWant := NewMemPostings(symbols), NewMemPostings(symbolsWant)
	var held, heldWant []LabelSet
	batch := sets.NewBatch()
	for id := uint32(1); id < 3000; {
		// A string may be a name here and a value there.
		strings := []string{"__name__", "instance", "job", "le", "a", "b", "job", "never"}
		for range rng.IntN(30) {
			strings = append(strings, fmt.Sprint(rng.IntN(60)))
		}
		batch.Begin(strings)
		for range rng.IntN(100) {
			var pairs [][2]uint32
			var builder labels.ScratchBuilder
			for name := range uint32(4) {
				if rng.IntN(3) == 0 {
					continue
				}
				value := 4 + uint32(rng.IntN(len(strings)-4))
				pairs = append(pairs, [2]uint32{name, value})
				builder.Add(strings[name], strings[value])
			}
			set, want := batch.Intern(pairs), setsWant.Intern(builder.Labels())
			held, heldWant = append(held, set), append(heldWant, want)
			number := id ^ 1 // not in order
			batch.Enter(number, pairs)
			postingsWant.Add(number, setsWant.Pairs(nil, want))
			require.True(t, sets.Is(set, builder.Labels()))
			id++
		}
		postings.AddBatch(batch)
		batch.Close()
	}
	strings, bytes := symbols.Len()
	stringsWant, bytesWant := symbolsWant.Len()
	require.Equal(t, [2]int64{int64(stringsWant), bytesWant}, [2]int64{int64(strings), bytes})
	all, err := postings.All()
	require.NoError(t, err)
	require.Equal(t, uint64(len(held)), all.GetCardinality())
	for _, name := range []string{"__name__", "instance", "job", "le", "never"} {
		got, err := postings.Name(name)
		require.NoError(t, err)
		want, err := postingsWant.Name(name)
		require.NoError(t, err)
		require.Equal(t, want.ToArray(), got.ToArray(), name)
		for value := range 60 {
			got, err := postings.Value(name, fmt.Sprint(value))
			require.NoError(t, err)
			want, err := postingsWant.Value(name, fmt.Sprint(value))
			require.NoError(t, err)
			require.Equal(t, want.ToArray(), got.ToArray(), "%s=%d", name, value)
		}
	}
	for i := range held {
		sets.Release(held[i])
		setsWant.Release(heldWant[i])
	}
	for range 2 {
		sets.Sweep()
		setsWant.Sweep()
	}
	strings, _ = symbols.Len()
	require.Zero(t, strings)
}
