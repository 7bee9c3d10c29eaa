package head

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// TestReplayedRowsAreTheSame writes rows with everything that a row can have to groups of
// several widths, one of them sealed by several goroutines, and compares what the log brings
// back: with and without a checkpoint whose rows the log tells of again.
func TestReplayedRowsAreTheSame(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mem := vfs.NewMem()
		h := openHead(t, mem, 0)
		widths := []int{1, 64, 150, partPlaces + 70}
		groups := make([]storage.Group, len(widths))
		values := make([][]float64, len(widths))
		for i, n := range widths {
			groups[i], values[i] = openColumns(t, h, i, n), make([]float64, n)
		}
		for r := range 2*windowRows + 50 {
			for i, g := range groups {
				if i == len(groups)-1 && r%2 == 0 {
					continue // fewer rows suffice
				}
				values[i] = changeColumns(t, rng, g, fmt.Sprint(i, "-", r), values[i])
				row := randomRow(rng, storagetest.Base+int64(r)*1000, values[i], 2+10*i)
				addOddities(rng, row)
				require.NoError(t, g.AppendRow(row))
			}
			if r == windowRows+20 && seed%2 == 0 {
				require.NoError(t, h.Checkpoint(context.Background(), minTime))
			}
		}
		if seed == 3 {
			require.NoError(t, groups[1].Close())
		}
		again := openHead(t, mem, 0)
		storagetest.RequireEqual(t, readHead(t, h), readHead(t, again))
		require.NoError(t, again.Close())
		require.NoError(t, h.Close())
	}
}

// changeColumns now and then gives a column to another series, or adds one.
func changeColumns(t *testing.T, rng *rand.Rand, g storage.Group, name string, values []float64) []float64 {
	if rng.IntN(30) > 0 {
		return values
	}
	c := storage.Column(rng.IntN(len(values)))
	if rng.IntN(2) == 0 {
		g.ReleaseColumn(c)
	} else {
		c = storage.Column(len(values))
		values = append(values, 0)
	}
	got, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "n", "of", name))
	require.NoError(t, err)
	require.Equal(t, c, got)
	return values
}

// addOddities gives a row histograms and start timestamps, sometimes.
func addOddities(rng *rand.Rand, row *storage.Row) {
	if rng.IntN(8) == 0 {
		row.StartTimes = make([]int64, len(row.Values))
		row.StartTimes[rng.IntN(len(row.Values))] = row.T - 500
	}
	if rng.IntN(8) == 0 {
		c := storage.Column(rng.IntN(len(row.Values)))
		h := storage.HistogramSample{Column: c, Histogram: tsdbutil.GenerateTestHistogram(rng.Int64N(5))}
		if rng.IntN(2) == 0 {
			h = storage.HistogramSample{Column: c, FloatHistogram: tsdbutil.GenerateTestFloatHistogram(rng.Int64N(5))}
		}
		row.Histograms = append(row.Histograms, h)
	}
}

// TestReplayGapInRows has a log that tells of rows again that came before, as after a
// checkpoint, but lacks the last of them: the next row is not taken for a change of it.
func TestReplayGapInRows(t *testing.T) {
	mem := vfs.NewMem()
	log, err := wal.Open(mem, "wal", wal.Options{})
	require.NoError(t, err)
	write := func(enc *wal.RowEncoder, at int64, v float64) {
		b := log.Begin()
		b.Row(enc, &storage.Row{T: storagetest.Base + at, Values: []float64{v, 5}})
		_, err := b.Commit()
		require.NoError(t, err)
	}
	b := log.Begin()
	b.Group(wal.Group{ID: 1})
	b.Columns(1, []wal.Column{{Number: 0, Series: 1, Labels: testLabels(0, 0)}, {Number: 1, Series: 2, Labels: testLabels(0, 1)}})
	_, err = b.Commit()
	require.NoError(t, err)
	first, second := wal.NewRowEncoder(1), wal.NewRowEncoder(1)
	want := []float64{1, 1, 2, 1, 1}
	for i, v := range want[:3] {
		write(first, int64(i), v)
	}
	write(second, 1, 1)
	second.Reset()
	write(second, 3, 1)
	write(second, 4, 1)
	require.NoError(t, log.Close())
	h := openHead(t, mem, 0)
	got := readHead(t, h)[testLabels(0, 0).String()]
	require.Len(t, got, len(want))
	for i, s := range got {
		require.Equal(t, want[i], s.V, "row %d", i)
	}
	require.NoError(t, h.Close())
}
