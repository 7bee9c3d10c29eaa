package tsdb

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// newestOf returns the last sample of each series up to a time, as text.
func newestOf(t *testing.T, db *DB, maxt int64, newest bool) map[string]string {
	q, err := db.Querier(maxt-300_000, maxt)
	require.NoError(t, err)
	defer q.Close()
	out := map[string]string{}
	set := q.Select(context.Background(), &storage.SelectHints{Mint: maxt - 300_000, Maxt: maxt, Newest: newest})
	var it storage.BatchIterator
	var b storage.Batch
	for set.Next() {
		name := set.At().Labels().String()
		for it = set.At().Batches(it); it.Next(&b); {
			last := b.Len() - 1
			text := fmt.Sprint(b.Kind, b.Times[last])
			if b.Kind == storage.KindFloat {
				text += fmt.Sprintf(" %x", math.Float64bits(b.Values[last]))
			}
			out[name] = text
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

// TestNewest appends rows with gaps, start timestamps and histograms, late samples, and series that
// take the place of others, and restarts: the newest samples are those of a select of all.
func TestNewest(t *testing.T) {
	mem := vfs.NewMem()
	db := openDB(t, testOptions(mem))
	r := rand.New(rand.NewPCG(3, 4))
	const columns = 70
	open := func() storage.Group {
		g, err := db.OpenGroup(storage.GroupOptions{Origin: "x"})
		require.NoError(t, err)
		for i := range columns {
			_, err := g.AddColumn(labels.FromStrings("__name__", "m", "i", fmt.Sprint(i)))
			require.NoError(t, err)
		}
		return g
	}
	g := open()
	values := make([]float64, columns)
	now := int64(aligned)
	for i := range 700 {
		now += 15_000
		row := storage.Row{T: now, Values: values}
		for c := range values {
			if r.IntN(4) == 0 {
				values[c] = []float64{float64(r.IntN(1000)), r.NormFloat64(), math.NaN()}[r.IntN(3)]
			}
		}
		if r.IntN(5) == 0 {
			row.Present = make(storage.Bitmap, (columns+63)/64)
			for c := range values {
				if r.IntN(3) > 0 {
					row.Present.Set(storage.Column(c))
				}
			}
		}
		if r.IntN(7) == 0 {
			row.StartTimes = make([]int64, columns)
			row.StartTimes[r.IntN(columns)] = now - 1000
		}
		require.NoError(t, g.AppendRow(&row))
		switch r.IntN(120) {
		case 0:
			require.NoError(t, db.Maintain(context.Background()))
		case 1:
			require.NoError(t, db.Close())
			db = openDB(t, testOptions(mem))
			if r.IntN(2) == 0 { // the rows are the log's
				require.Equal(t, newestOf(t, db, now, false), newestOf(t, db, now, true))
			}
			g = open()
		case 2:
			app := db.Appender(context.Background())
			_, err := app.Append(0, labels.FromStrings("__name__", "m", "i", "3"), now+1, 42)
			require.NoError(t, err)
			require.NoError(t, app.Commit())
		}
		for _, maxt := range []int64{now, now + 5000, now - r.Int64N(600_000)} {
			require.Equal(t, newestOf(t, db, maxt, false), newestOf(t, db, maxt, true), "row %d, %d before now", i, now-maxt)
		}
	}
	require.NoError(t, db.Close())
}
