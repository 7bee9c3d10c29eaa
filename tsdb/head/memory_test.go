package head

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// TestSeriesLeaveMemory releases a column and closes a group: once their rows
// are cut, the series, their labels and the group are gone, and their references
// unknown.
func TestSeriesLeaveMemory(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	a, b := openColumns(t, h, 0, 3), openColumns(t, h, 1, 3)
	appendRows(t, a, 3, 0, 40)
	appendRows(t, b, 3, 0, 40)
	app := h.Appender(context.Background())
	ref, err := app.Append(0, testLabels(5, 5), storagetest.Base, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	a.ReleaseColumn(1)
	require.NoError(t, b.Close())
	require.EqualValues(t, 7, h.reg.count.Load())
	cut := storagetest.Base + 100_000
	require.NoError(t, h.Truncate(cut, h.LastTransaction()))
	require.EqualValues(t, 2, h.reg.count.Load(), "the open columns of the first group")
	require.Equal(t, 1, h.groupCount())
	require.EqualValues(t, math.MaxInt64, h.MinTime())
	app = h.Appender(context.Background())
	_, err = app.Append(ref, labels.EmptyLabels(), cut, 1)
	require.ErrorIs(t, err, storage.ErrUnknownSeries)
	require.NoError(t, app.Rollback())

	before, _ := h.reg.symbols.Len()
	require.NoError(t, h.Truncate(cut, h.LastTransaction()))
	require.NoError(t, h.Truncate(cut, h.LastTransaction()))
	after, _ := h.reg.symbols.Len()
	require.Less(t, after, before, "label strings go, too")
	// Numbers are used again, references never.
	c := openColumns(t, h, 9, 5)
	appendRows(t, c, 5, 200, 201)
	require.Nil(t, h.reg.byRef(ref))
	require.Len(t, readHead(t, h), 5)
	require.NoError(t, h.Close())
}

// TestHeldSeriesStay acquires a series in a transaction across a truncation.
func TestHeldSeriesStay(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	app := h.Appender(context.Background())
	_, err := app.Append(0, testLabels(0, 0), storagetest.Base, 1)
	require.NoError(t, err)
	require.NoError(t, h.Truncate(storagetest.Base, h.LastTransaction()))
	require.NoError(t, app.Commit())
	require.Len(t, readHead(t, h), 1)
	require.NoError(t, h.Close())
}

// TestSharedColumnIsNoticed lets writers of one series come and go, and looks at
// the marks that order depends on.
func TestSharedColumnIsNoticed(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	a := openColumns(t, h, 0, 1).(*group)
	marked := func(g *group) bool { return g.checked.Has(0) }
	appendRows(t, a, 1, 0, 1)
	require.False(t, marked(a), "one writer: nothing is looked up")
	b, err := h.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	_, err = b.AddColumn(testLabels(0, 0))
	require.NoError(t, err)
	require.True(t, marked(a))
	require.True(t, marked(b.(*group)))
	appendRows(t, b, 1, 1, 2)
	require.ErrorIs(t, a.AppendRow(&storage.Row{T: storagetest.Base + 500, Values: []float64{1}}), storage.ErrOutOfOrder)
	appendRows(t, a, 1, 2, 3)
	require.True(t, marked(a), "the other group is still open")
	require.NoError(t, b.Close())
	appendRows(t, a, 1, 3, 4)
	require.False(t, marked(a), "alone again")

	app := h.Appender(context.Background())
	_, err = app.Append(0, testLabels(0, 0), storagetest.Base+3500, 1)
	require.NoError(t, err)
	require.True(t, marked(a))
	appendRows(t, a, 1, 4, 5)
	require.True(t, marked(a), "the transaction is not over")
	require.ErrorIs(t, app.Commit(), storage.ErrOutOfOrder, "the row was faster")
	appendRows(t, a, 1, 5, 6)
	require.False(t, marked(a))
	require.NoError(t, h.Close())
}

// TestSampleCostsNoAllocation appends usual rows of 100 samples.
func TestSampleCostsNoAllocation(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	g := openColumns(t, h, 0, 100)
	row := storage.Row{Values: make([]float64, 100)}
	for range 64 {
		row.T += 1000
		require.NoError(t, g.AppendRow(&row))
	}
	row.T += 1000
	require.NoError(t, g.AppendRow(&row))
	// Rows between two seals: the window has 1 row now and is sealed at 16.
	allocs := testing.AllocsPerRun(10, func() {
		row.T += 1000
		if err := g.AppendRow(&row); err != nil {
			t.Error(err)
		}
	})
	require.Less(t, allocs, 10.0, "of the log and its file, not one for each of 100 samples")
	require.NoError(t, h.Close())
}

func TestExemplarRing(t *testing.T) {
	r := newExemplarRing(3)
	add := func(series, ts int) error {
		e := wal.Exemplar{Series: storage.SeriesRef(series), Exemplar: exemplar.Exemplar{Labels: labels.FromStrings("t", fmt.Sprint(ts)), Ts: int64(ts)}}
		ok, err := r.admitLocked(&e)
		if ok {
			r.addLocked(e)
		}
		return err
	}
	times := func() (out []int64) {
		for _, e := range r.all() {
			out = append(out, e.Exemplar.Ts)
		}
		return out
	}
	require.NoError(t, add(1, 10))
	require.NoError(t, add(1, 10))
	require.ErrorIs(t, add(1, 5), storage.ErrOutOfOrderExemplar)
	require.NoError(t, add(2, 5))
	require.NoError(t, add(1, 20))
	require.NoError(t, add(1, 30))
	require.Equal(t, []int64{5, 20, 30}, times(), "the oldest to arrive makes room")
	require.NoError(t, add(3, 40))
	require.NoError(t, add(2, 4), "nothing is known of that series any more")
	require.Equal(t, []int64{30, 40, 4}, times())
	r.resize(2)
	require.Equal(t, []int64{40, 4}, times())
	r.resize(4)
	require.NoError(t, add(4, 50))
	require.Equal(t, []int64{40, 4, 50}, times())
	st := r.stats()
	require.Equal(t, exemplarStats{appended: 7, late: 1, kept: 3, series: 3, room: 4, oldest: 40}, st)
	r.resize(0)
	require.NoError(t, add(4, 60))
	require.Empty(t, times())
}

func TestRowMask(t *testing.T) {
	m := rangeMask(3, 130)
	require.Equal(t, 127, m.count())
	require.Equal(t, 129, m.last())
	require.False(t, m.has(2))
	require.True(t, m.has(3))
	rest := rangeMask(60, 76)
	rest.remove(rangeMask(60, 70))
	require.Equal(t, rangeMask(70, 76), rest)
	left, right := splitMask(rangeMask(10, 20), 4)
	require.Equal(t, rangeMask(10, 14), left)
	require.Equal(t, rangeMask(14, 20), right)
	require.Equal(t, -1, (&rowMask{}).last())
}
