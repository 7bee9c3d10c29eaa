package head

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// olderSeries is blocks that have one sample of each series that it is told of.
type olderSeries map[string]int64

func (o olderSeries) Newest(ls labels.Labels) (int64, bool, error) {
	t, ok := o[ls.String()]
	return t, ok, nil
}

func (o olderSeries) At(ls labels.Labels, t int64) (batch.Sample, bool, error) {
	have, ok := o[ls.String()]
	return batch.Sample{T: t, V: 1}, ok && have == t, nil
}

func readStale(t testing.TB, h *Head, stale *StaleSeries) storagetest.Contents {
	t.Helper()
	q := h.Querier(math.MinInt64, math.MaxInt64, minTime)
	defer q.Close()
	set := q.SelectStale(context.Background(), stale)
	out := storagetest.Contents{}
	for set.Next() {
		samples, err := batch.Collect(set.At().Batches(nil))
		require.NoError(t, err)
		require.NotEmpty(t, samples)
		out[set.At().Labels().String()] = nil
	}
	require.NoError(t, set.Err())
	return out
}

// TestStaleSeriesLeave removes what ended, and keeps what goes on or came back.
func TestStaleSeriesLeave(t *testing.T) {
	fsys := vfs.NewMem()
	blocks := olderSeries{}
	h, err := Open(Options{FS: fsys, Dir: "wal", Older: blocks})
	require.NoError(t, err)
	a, b := openColumns(t, h, 0, 3), openColumns(t, h, 1, 3)
	appendRows(t, a, 3, 0, 40)
	appendRows(t, b, 3, 0, 150)
	app := h.Appender(context.Background())
	for i := range 2 {
		for at := range int64(40) {
			_, err = app.Append(0, testLabels(5, i), storagetest.Base+at, float64(i))
			require.NoError(t, err)
		}
	}
	require.NoError(t, app.Commit())
	a.ReleaseColumn(1)
	a.ReleaseColumn(2)
	require.NoError(t, b.Close())
	before := readHead(t, h)

	require.Zero(t, h.StaleSeries(storagetest.Base).Len(), "none is as old")
	stale := h.StaleSeries(storagetest.Base + 1_000_000)
	require.Equal(t, 7, stale.Len(), "two columns, a group, two series of single samples")
	require.Len(t, readStale(t, h, stale), 7)
	require.Equal(t, before, readHead(t, h))
	// One comes back as a column, one with a sample.
	_, err = a.AddColumn(testLabels(0, 2))
	require.NoError(t, err)
	app = h.Appender(context.Background())
	_, err = app.Append(0, testLabels(5, 1), storagetest.Base+500_000, 7)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	before = readHead(t, h)

	ref := h.reg.get(testLabels(1, 1)).ref
	h.reg.byRef(ref).release()
	removed, err := h.RemoveStale(stale)
	require.NoError(t, err)
	require.Equal(t, 5, removed)
	require.Equal(t, 3, h.Series())
	require.Equal(t, 1, h.Groups(), "the closed group has gone as a whole")
	after := readHead(t, h)
	require.Len(t, after, 3)
	for ls, samples := range after {
		require.Equal(t, before[ls], samples)
	}
	require.Nil(t, h.reg.byRef(ref))

	// What was removed is asked of blocks.
	blocks[testLabels(1, 0).String()] = storagetest.Base + 149_000
	app = h.Appender(context.Background())
	_, err = app.Append(0, testLabels(1, 0), storagetest.Base+149_000, 2)
	require.ErrorIs(t, err, storage.ErrDuplicateSample)
	_, err = app.Append(0, testLabels(1, 0), storagetest.Base+100_000, 2)
	require.ErrorIs(t, err, storage.ErrOutOfOrder)
	require.NoError(t, app.Rollback())

	// A checkpoint does not have it, nor what lay in its place.
	require.NoError(t, h.Checkpoint(context.Background(), minTime))
	require.NoError(t, h.Close())
	h = openHead(t, fsys, 0)
	require.Equal(t, after, readHead(t, h))
	require.NoError(t, h.Close())
}

// churn is targets of which some disappear and new ones appear.
type churn struct {
	head    *Head
	targets []*churnTarget
	made    int
	now     int64
}

type churnTarget struct {
	group  storage.Group
	values []float64
	labels []labels.Labels
}

func (c *churn) series(t testing.TB, target *churnTarget) {
	c.made++
	ls := labels.FromStrings("__name__", fmt.Sprint("metric_", c.made%10), "job", "shop", "pod", fmt.Sprint("pod-", c.made), "uid", fmt.Sprint(c.made))
	col, err := target.group.AddColumn(ls)
	require.NoError(t, err)
	if int(col) == len(target.labels) {
		target.labels, target.values = append(target.labels, ls), append(target.values, 0)
	}
	target.labels[col] = ls
}

func (c *churn) target(t testing.TB, columns int) *churnTarget {
	g, err := c.head.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	target := &churnTarget{group: g}
	for range columns {
		c.series(t, target)
	}
	return target
}

func (c *churn) row(t testing.TB, target *churnTarget, mark func(col int) bool) {
	row := storage.Row{T: c.now, Values: append([]float64(nil), target.values...)}
	for i := range row.Values {
		if mark(i) {
			row.Values[i] = math.Float64frombits(value.StaleNaN)
		}
	}
	require.NoError(t, target.group.AppendRow(&row))
}

// minute scrapes four times and replaces one target in a hundred, and a series in
// as many of the others.
func (c *churn) minute(t testing.TB, minute int) {
	for range 4 {
		c.now += 15_000
		for i, target := range c.targets {
			target.values[(minute+i)%len(target.values)]++
			c.row(t, target, func(int) bool { return false })
		}
	}
	c.now++
	for i, target := range c.targets {
		switch (i + minute) % 100 {
		case 0:
			c.row(t, target, func(int) bool { return true })
			require.NoError(t, target.group.Close())
			c.targets[i] = c.target(t, len(target.values))
		case 50:
			col := minute % len(target.values)
			c.row(t, target, func(i int) bool { return i == col })
			target.group.ReleaseColumn(storage.Column(col))
			c.series(t, target)
		}
	}
}

// clean removes what has been stale for five minutes, as if it were in a block.
func (c *churn) clean(t testing.TB) {
	_, err := c.head.RemoveStale(c.head.StaleSeries(c.now - 300_000))
	require.NoError(t, err)
}

// TestChurnKeepsMemory replaces one series in a hundred a minute for an hour.
func TestChurnKeepsMemory(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	c := &churn{head: h, now: storagetest.Base}
	const targets, columns = 100, 10
	for range targets {
		c.targets = append(c.targets, c.target(t, columns))
	}
	sizes := func() map[string]int {
		strs, _ := h.reg.symbols.Len()
		values, err := h.reg.postings.Values("uid")
		require.NoError(t, err)
		pages := 0
		for _, p := range *h.reg.slots.pages.Load() {
			if p != nil {
				pages++
			}
		}
		return map[string]int{"series": h.Series(), "groups": h.Groups(), "symbols": strs, "values": len(values), "pages": pages}
	}
	var first map[string]int
	for minute := range 60 {
		c.minute(t, minute)
		if minute%5 == 4 {
			c.clean(t)
		}
		if minute == 14 {
			first = sizes()
		}
	}
	require.Equal(t, targets*columns+60*11, c.made)
	require.LessOrEqual(t, first["series"], targets*columns*115/100)
	for what, n := range sizes() {
		require.LessOrEqual(t, n, first[what]*11/10+20, "%s after an hour, and after 15 minutes", what)
	}
	require.NoError(t, h.Close())
}

// BenchmarkChurn reports the heap of 50,000 series of which one in a hundred is
// replaced a minute, after a quarter of an hour and after an hour.
func BenchmarkChurn(b *testing.B) {
	for range b.N {
		h := benchHead(b)
		c := &churn{head: h, now: storagetest.Base}
		for range 500 {
			c.targets = append(c.targets, c.target(b, 100))
		}
		heap := func() float64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc) / 1e6
		}
		for minute := range 60 {
			c.minute(b, minute)
			if minute%5 == 4 {
				c.clean(b)
			}
			if minute == 14 {
				b.ReportMetric(heap(), "MB-after-15m")
			}
		}
		b.ReportMetric(heap(), "MB-after-60m")
	}
}
