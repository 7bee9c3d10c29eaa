package promql

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/randomseries"
	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
)

// The random data covers an hour from dataStart, milliseconds.
const (
	dataStart = int64(10_000_000)
	dataEnd   = dataStart + 3_600_000
)

// randomMetric describes the series of a metric of the random data.
type randomMetric struct {
	name   string
	labels []string // names; the values are few
	// kind is 'f' for floats, 'c' for a counter, 'h' for native histograms, 'm'
	// for both, 'b' for classic buckets and '1' for info metrics.
	kind byte
}

var randomMetrics = []randomMetric{
	{"requests_total", []string{"job", "instance", "code"}, 'c'},
	{"errors_total", []string{"job", "instance"}, 'c'},
	{"temperature", []string{"job", "instance"}, 'f'},
	{"load", []string{"job", "instance"}, 'f'},
	{"limit", []string{"job"}, 'f'},
	{"latency_bucket", []string{"job", "instance"}, 'b'},
	{"native", []string{"job", "instance"}, 'h'},
	{"other_native", []string{"job", "instance"}, 'h'},
	{"latency", []string{"job"}, 'h'},
	{"mixed", []string{"job", "instance"}, 'm'},
	{"typed", []string{"job", "instance", "__type__"}, 'c'},
	{"target_info", []string{"job", "instance", "version"}, '1'},
	{"build_info", []string{"job", "instance", "revision"}, '1'},
}

// labelValues are the values of the labels of random series.
var labelValues = map[string][]string{
	"job": {"a", "b"}, "instance": {"1", "2", "10"}, "code": {"200", "500"}, "__type__": {"counter", "gauge"},
	"version": {"v1", "v2"}, "revision": {"r1", "r2"}, "le": {"0.1", "1", "5", "+Inf"},
}

// randomData returns a store with a few dozen series: aligned and not, with
// gaps, stale markers, resets, churn and start timestamps.
func randomData(t testing.TB, r *rand.Rand) storage.Queryable {
	db, err := tsdb.Open(context.Background(), "data", tsdb.Options{
		FS: vfs.NewMem(), MaintenanceInterval: -1, WALSync: tsdb.WALSync{Never: true}, Reloadable: tsdb.Reloadable{Retention: -1},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	app := db.Appender(context.Background())
	w := &dataWriter{r: r, app: app, interval: []int64{10_000, 15_000, 30_000, 60_000}[r.IntN(4)], wild: r.IntN(3) == 0}
	for _, m := range randomMetrics {
		names := m.labels
		if m.kind == 'b' {
			names = append(names[:len(names):len(names)], "le")
		}
		w.eachSeries(m, names, labels.NewBuilder(labels.FromStrings("__name__", m.name)))
	}
	require.NoError(t, app.Commit())
	return db
}

// dataWriter appends random series.
type dataWriter struct {
	r        *rand.Rand
	app      storage.Appender
	interval int64
	// wild says that floats may be what breaks arithmetic.
	wild bool
	// times of the series of a target, which aligned series share.
	times map[string][]int64
}

// eachSeries appends a series for each combination of label values, but for a
// few.
func (w *dataWriter) eachSeries(m randomMetric, names []string, b *labels.Builder) {
	if len(names) == 0 {
		if w.r.IntN(10) != 0 {
			w.series(m, b.Labels())
		}
		return
	}
	for _, v := range labelValues[names[0]] {
		w.eachSeries(m, names[1:], b.Set(names[0], v))
	}
}

// timesOf returns the timestamps of a series, those of its target if it is
// aligned.
func (w *dataWriter) timesOf(ls labels.Labels) []int64 {
	key := fmt.Sprint(ls.Get("job"), ls.Get("instance"))
	if w.r.IntN(4) == 0 {
		key = ls.String()
	}
	if w.times == nil {
		w.times = map[string][]int64{}
	}
	if w.times[key] == nil {
		jitter := w.r.Int64N(3) * 10
		for t := dataStart + w.r.Int64N(w.interval); t < dataEnd; t += w.interval {
			w.times[key] = append(w.times[key], t+w.r.Int64N(jitter+1))
		}
	}
	return w.times[key]
}

func (w *dataWriter) series(m randomMetric, ls labels.Labels) {
	times := w.timesOf(ls)
	first, last := 0, len(times)
	if w.r.IntN(4) == 0 {
		first = w.r.IntN(len(times))
		last = first + w.r.IntN(len(times)-first)
	}
	floats := w.floats(m, len(times))
	hists := randomseries.NewHistograms(w.r)
	start := times[0] - w.r.Int64N(100_000)
	for i := first; i < last; i++ {
		switch n := w.r.IntN(200); {
		case n == 0: // a gap
			i += w.r.IntN(30)
			continue
		case n < 4:
			w.append(ls, times[i], math.Float64frombits(value.StaleNaN), nil, 0)
			continue
		case n < 20:
			continue
		case n < 22:
			start = times[max(0, i-1)] + w.r.Int64N(100)
		}
		st := int64(0)
		if m.kind != 'f' && w.r.IntN(3) > 0 {
			st = start
		}
		if m.kind == 'h' || m.kind == 'm' && (i/20)%3 > 0 {
			w.append(ls, times[i], 0, hists.Next(), st)
		} else {
			w.append(ls, times[i], floats[i], nil, st)
		}
	}
}

// floats returns values of a kind that is right for the metric.
func (w *dataWriter) floats(m randomMetric, n int) []float64 {
	if w.wild && m.kind != '1' {
		return randomseries.Floats(w.r, n)
	}
	values := make([]float64, n)
	v := float64(w.r.IntN(50))
	for i := range values {
		switch m.kind {
		case '1':
			v = 1
		case 'c', 'b':
			v += float64(w.r.IntN(20))
			if w.r.IntN(40) == 0 {
				v = float64(w.r.IntN(10))
			}
		default:
			v = math.Round(w.r.NormFloat64()*100) / 4
		}
		values[i] = v
	}
	return values
}

// append appends a sample, unless the store does not take it.
func (w *dataWriter) append(ls labels.Labels, t int64, f float64, h *histogram.FloatHistogram, st int64) {
	var ref storage.SeriesRef
	var err error
	if h != nil {
		ref, err = w.app.AppendHistogram(0, ls, t, nil, h)
	} else {
		ref, err = w.app.Append(0, ls, t, f)
	}
	if err == nil && st > 0 && st <= t {
		_ = w.app.SetStartTime(ref, t, st)
	}
}

// randomOptions returns engine options with random feature flags.
func randomOptions(r *rand.Rand) Options {
	opts := scriptOptions()
	opts.LookbackDelta = []time.Duration{5 * time.Minute, time.Minute, 20 * time.Second}[r.IntN(3)]
	opts.DelayedNameRemoval, opts.UseStartTimestamps, opts.TypeAndUnitLabels = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
	return opts
}
