package head

import (
	"context"
	"math"
	"strconv"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// TestSelectOrdered has series of several metrics, among them one without a name and labels
// that come before the name.
func TestSelectOrdered(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 0)
	app := h.Appender(context.Background())
	total := 0
	for i := range 2 * contextEvery {
		for _, metric := range []string{"b", "", "B", "ab"} {
			ls := labels.FromStrings(model.MetricNameLabel, metric, "A", strconv.Itoa(i*7919%1000), "i", strconv.Itoa(i)).WithoutEmpty()
			_, err := app.Append(0, ls, storagetest.Base, 1)
			require.NoError(t, err)
			total++
		}
	}
	require.NoError(t, app.Commit())
	q := h.Querier(math.MinInt64, math.MaxInt64, minTime)
	set := q.SelectOrdered(context.Background())
	seen, last := 0, labels.EmptyLabels()
	for ; set.Next(); seen++ {
		ls := set.At().Labels()
		require.Negative(t, block.Compare(last, ls), "%s before %s", last, ls)
		last = ls
	}
	require.NoError(t, set.Err())
	require.Equal(t, total, seen)

	ctx, cancel := context.WithCancel(context.Background())
	set = q.SelectOrdered(ctx)
	require.True(t, set.Next())
	cancel()
	for seen = 1; set.Next(); seen++ {
	}
	require.ErrorIs(t, set.Err(), context.Canceled)
	require.Less(t, seen, total)
	require.NoError(t, q.Close())
	require.NoError(t, h.Close())
}
