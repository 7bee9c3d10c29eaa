package promql

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// TestOddities asks both engines what random questions found them to disagree in.
func TestOddities(t *testing.T) {
	store := storagetest.NewModel(0)
	g, err := store.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	for _, of := range [][]string{
		{model.MetricNameLabel, "typed", model.MetricTypeLabel, "counter", "instance", "10"},
		{model.MetricNameLabel, "typed", model.MetricTypeLabel, "gauge", "instance", "10"},
		{model.MetricNameLabel, "typed", model.MetricTypeLabel, "gauge", "instance", "2"},
		{model.MetricNameLabel, "native"},
	} {
		_, err := g.AddColumn(labels.FromStrings(of...))
		require.NoError(t, err)
	}
	const rows = 240
	for row := range rows {
		// A counter that is reset every minute.
		h := tsdbutil.GenerateTestHistogram(int64(row % 4))
		h.CounterResetHint = histogram.UnknownCounterReset
		require.NoError(t, g.AppendRow(&storage.Row{
			T: int64(row+1) * 15_000, Values: []float64{1, 2, 3, 0}, Present: storage.Bitmap{0b1111},
			Histograms: []storage.HistogramSample{{Column: 3, Histogram: h}},
		}))
	}
	for _, c := range []struct {
		why, expr string
		step      time.Duration
	}{
		{"of two errors at a step, that of pairs comes before that of results", `typed > bool ignoring (instance) fill_left (1) fill_right (3) latency`, time.Minute},
		{"what is before a window that stands alone is not known", `histogram_count(sum_over_time(native[1m]))`, 7 * time.Minute},
		{"what is before a window that overlaps another is known", `histogram_count(sum_over_time(native[2m]))`, 30 * time.Second},
		{"what is wrong with a subquery comes before what is wrong with the function", `double_exponential_smoothing((changes(typed[2m]))[5m:30s], 1, 0.5)`, time.Minute},
		{"a function that does not know its argument fails only if it is called", `max_over_time(count_over_time(typed[1m] smoothed)[5s:1m] @ 1)`, time.Minute},
		{"the same, but for a lookback", `histogram_count(sum(native))`, 7 * time.Minute},
		{"the same, within the lookback", `histogram_count(sum(native))`, 30 * time.Second},
	} {
		for _, names := range []bool{false, true} {
			opts := scriptOptions()
			opts.DelayedNameRemoval, opts.TypeAndUnitLabels = names, true
			ours, theirs := newTestEngine(t, store, func(o *Options) { *o = opts }), newOracle(opts, store)
			d := &differential{expr: c.expr, start: time.UnixMilli(60_000), end: time.UnixMilli(rows * 15_000), step: c.step}
			what, _ := d.compare(ours, theirs)
			require.Empty(t, what, "%s: %s", c.why, d)
		}
	}
}
