package tsdb

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// TestSelectMergesPartsInEitherOrder has histograms whose buckets lie otherwise in blocks than
// labels.Compare has them, in blocks and head.
func TestSelectMergesPartsInEitherOrder(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "buckets"})
	require.NoError(t, err)
	var all []labels.Labels
	for i := range 4 {
		for _, le := range []string{"1", "2", "10", "+Inf", ""} {
			b := labels.NewBuilder(labels.FromStrings("__name__", fmt.Sprint("m", i%2), "A", fmt.Sprint(i), "z", fmt.Sprint(i*7%5)))
			all = append(all, b.Set("le", le).Labels())
		}
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	values := make([]float64, len(all))
	for _, ls := range all {
		_, err := g.AddColumn(ls)
		require.NoError(t, err)
	}
	for ts := int64(aligned); ts < aligned+9*hour; ts += 300_000 {
		require.NoError(t, g.AppendRow(&storage.Row{T: ts, Values: values}))
	}
	require.NoError(t, db.Maintain(context.Background()))
	require.Len(t, db.Blocks(), 3)
	slices.SortFunc(all, labels.Compare)

	q, err := db.Querier(aligned, aligned+9*hour)
	require.NoError(t, err)
	found := func(hints *storage.SelectHints) (list []labels.Labels) {
		set := q.Select(context.Background(), hints, labels.MustNewMatcher(labels.MatchRegexp, "__name__", "m.*"))
		for set.Next() {
			list = append(list, set.At().Labels())
			n := 0
			var b storage.Batch
			for it := set.At().Batches(nil); it.Next(&b); {
				n += b.Len()
			}
			require.Equal(t, 9*12, n, "%v of %v", hints, set.At().Labels())
		}
		require.NoError(t, set.Err())
		return list
	}
	require.Equal(t, all, found(&storage.SelectHints{Sorted: true}))
	unsorted := found(nil)
	require.Len(t, unsorted, len(all), "each series comes once")
	require.ElementsMatch(t, all, unsorted)
	require.Len(t, found(&storage.SelectHints{Limit: 7}), 7)
	require.Equal(t, all[:7], found(&storage.SelectHints{Limit: 7, Sorted: true}))
	require.NoError(t, q.Close())
	require.NoError(t, g.Close())
	require.NoError(t, db.Close())
}

// TestSelectOfSomeLabels wants one label: the head leaves the others out, a select that merges
// blocks and head or sorts does not, as it tells series apart by them.
func TestSelectOfSomeLabels(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	g, err := db.OpenGroup(storage.GroupOptions{Origin: "x"})
	require.NoError(t, err)
	for i := range 3 {
		_, err := g.AddColumn(labels.FromStrings("__name__", "up", "instance", fmt.Sprint(i), "job", "a"))
		require.NoError(t, err)
	}
	for row := range int64(4 * 60) {
		require.NoError(t, g.AppendRow(&storage.Row{T: aligned + row*60_000, Values: []float64{1, 2, 3}}))
	}
	require.NoError(t, db.Maintain(context.Background()))
	require.NotEmpty(t, db.Blocks())
	names := func(mint int64, sorted bool) (out []string) {
		q, err := db.Querier(mint, math.MaxInt64)
		require.NoError(t, err)
		defer q.Close()
		set := q.Select(context.Background(), &storage.SelectHints{Mint: mint, Maxt: math.MaxInt64, Labels: []string{"job"}, Sorted: sorted})
		for set.Next() {
			out = append(out, set.At().Labels().String())
		}
		require.NoError(t, set.Err())
		return out
	}
	some := `{job="a"}`
	require.Equal(t, []string{some, some, some}, names(aligned+4*hour-60_000, false))
	var all []string
	for i := range 3 {
		all = append(all, fmt.Sprintf(`{__name__="up", instance="%d", job="a"}`, i))
	}
	require.Equal(t, all, names(aligned+4*hour-60_000, true))
	require.Equal(t, all, names(aligned, false))
	require.NoError(t, db.Close())
}
