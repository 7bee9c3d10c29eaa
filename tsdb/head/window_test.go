package head

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// seenRow is a row as the model of a window has it.
type seenRow struct {
	values []float64
	floats storage.Bitmap
	layout *layout
}

// randomRow changes some of the values, some of them to what is hard to compare,
// and leaves some out.
func randomRow(rng *rand.Rand, t int64, values []float64, share int) *storage.Row {
	hard := []float64{math.NaN(), math.Float64frombits(value.StaleNaN), math.Copysign(0, -1), 0, math.Inf(1), 0.1}
	for c := range values {
		switch {
		case rng.IntN(share) == 0:
			values[c] += float64(rng.IntN(10))
		case rng.IntN(50) == 0:
			values[c] = hard[rng.IntN(len(hard))]
		}
	}
	row := &storage.Row{T: t, Values: slices.Clone(values)}
	if rng.IntN(4) == 0 {
		row.Present = row.Present.Grow(len(values))
		for c := range values {
			if rng.IntN(10) > 0 {
				row.Present.Set(storage.Column(c))
			} else {
				row.Values[c] = -1 // not to be looked at
			}
		}
	}
	return row
}

// requireColumn compares a column with the model.
func requireColumn(t *testing.T, buf *columnBuffer, seen []seenRow, s *series, col int) {
	t.Helper()
	require.Len(t, buf.kinds, len(seen))
	for r, row := range seen {
		has := row.layout.series(uint32(col)) == s && row.floats.Has(storage.Column(col))
		require.Equal(t, has, buf.kinds[r] == cellFloat, "row %d column %d", r, col)
		if has {
			require.Equal(t, math.Float64bits(row.values[col]), math.Float64bits(buf.values[r]), "row %d column %d", r, col)
		}
	}
}

// TestWindowAgainstRows fills windows with rows of a growing group, and reads
// them row by row, by views taken earlier, and sealed.
func TestWindowAgainstRows(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := openHead(t, vfs.NewMem(), 0)
		columns := []int{1, 60, 64, 130}[seed%4]
		g := openColumns(t, h, int(seed), columns).(*group)
		g.windowLimit = windowRows
		var seen []seenRow
		var early *groupView
		values := make([]float64, columns)
		for i := int64(1); ; i++ {
			if rng.IntN(20) == 0 && columns%64 != 0 {
				if c := storage.Column(rng.IntN(columns)); rng.IntN(2) == 0 {
					g.ReleaseColumn(c)
				}
				_, err := g.AddColumn(testLabels(int(seed), 1000+int(i)))
				require.NoError(t, err)
				columns = g.current.columns
				values = append(values, make([]float64, columns-len(values))...)
			}
			row := randomRow(rng, i, values, 1+int(seed))
			err := g.AppendRow(row)
			if refused := new(storage.RowError); err != nil {
				require.ErrorAs(t, err, &refused)
			}
			if len(g.rmu.window.times) != len(seen)+1 {
				seen = append(seen, seenRow{row.Values, slices.Clone(g.appending.floats), g.current})
				break
			}
			seen = append(seen, seenRow{row.Values, slices.Clone(g.appending.floats), g.current})
			if i == 20 {
				early = g.pin()
			}
		}
		var buf columnBuffer
		for c := range columns {
			for _, s := range []*series{seen[0].layout.series(uint32(c)), seen[len(seen)-1].layout.series(uint32(c))} {
				if s == nil {
					continue
				}
				buf.readWindow(&early.window, s, uint32(c))
				requireColumn(t, &buf, seen[:20], s, c)
				seg := g.rmu.segments[0]
				if at := seg.find(s, uint32(c)); at >= 0 {
					require.NoError(t, buf.readSegment(seg, at))
					requireColumn(t, &buf, seen, s, c)
				}
			}
		}
		early.unpin()
		require.NoError(t, h.Close())
	}
}

// TestWindowIsBounded fills windows with what takes much memory: they are sealed
// early, and share what rows have in common.
func TestWindowIsBounded(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	g := openColumns(t, h, 0, 100).(*group)
	g.windowLimit = windowRows
	row := storage.Row{Values: make([]float64, 100), StartTimes: make([]int64, 100)}
	for c := range row.StartTimes {
		row.StartTimes[c] = 7
	}
	for range windowRows - 1 {
		row.T++
		require.NoError(t, g.AppendRow(&row))
	}
	uneven := g.rmu.window.uneven
	require.Len(t, uneven, windowRows-1)
	require.Same(t, &uneven[0].starts[0], &uneven[windowRows-2].starts[0], "start timestamps that do not change are there once")
	row.T++
	require.NoError(t, g.AppendRow(&row))
	row.StartTimes = nil
	const few = windowBytes / 8
	for i := range few {
		require.Len(t, g.rmu.window.times, i)
		row.T++
		for c := range row.Values {
			row.Values[c] += math.Pi
		}
		require.NoError(t, g.AppendRow(&row))
	}
	require.Empty(t, g.rmu.window.times, "all values change, and cannot be written as differences")
	for i := range windowRows {
		require.Len(t, g.rmu.window.times, i)
		row.T++
		for c := range row.Values {
			row.Values[c] = float64(i)
		}
		require.NoError(t, g.AppendRow(&row))
	}
	require.Empty(t, g.rmu.window.times, "all values change by little")

	row.Present = row.Present.Grow(100)
	row.Histograms = nil
	for c := range storage.Column(100) {
		row.Present.Set(c)
		row.Histograms = append(row.Histograms, storage.HistogramSample{Column: c, Histogram: tsdbutil.GenerateTestHistogram(1)})
	}
	for i := range minWindowRows {
		require.Len(t, g.rmu.window.times, i)
		row.T++
		require.NoError(t, g.AppendRow(&row))
	}
	require.Empty(t, g.rmu.window.times, "histograms are large")
	require.NoError(t, h.Close())
}

// TestRowNotWritten loses rows to a disk that fails: the next row has nothing of them and lacks
// nothing, in memory and after a restart.
func TestRowNotWritten(t *testing.T) {
	mem := vfs.NewMem()
	disk := vfs.NewFail(mem)
	h := openHead(t, disk, 0)
	g := openColumns(t, h, 0, 3)
	row := storage.Row{T: storagetest.Base, Values: []float64{1, 2, 3}}
	require.NoError(t, g.AppendRow(&row))
	for _, c := range []int{0, 1} {
		disk.Arm(vfs.Rule{Kinds: vfs.OpWrite})
		row.T, row.Values[c] = row.T+1, 70
		require.ErrorIs(t, g.AppendRow(&row), vfs.ErrInjected)
		row.T++
		require.NoError(t, g.AppendRow(&row), "the same values again")
		row.T, row.Values[c] = row.T+1, 80
		require.NoError(t, g.AppendRow(&row))
	}
	want := readHead(t, h)
	require.Len(t, want, 3)
	for c, values := range [][]float64{{1, 70, 80, 80, 80}, {2, 2, 2, 70, 80}, {3, 3, 3, 3, 3}} {
		samples := want[testLabels(0, c).String()]
		require.Len(t, samples, len(values), "column %d", c)
		for i, s := range samples {
			require.Equal(t, values[i], s.V, "column %d", c)
		}
	}
	require.NoError(t, h.Close())
	h = openHead(t, mem, 0)
	require.Equal(t, want, readHead(t, h))
	require.NoError(t, h.Close())
}
