package head

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// benchTarget is a target that behaves like the recorded ones: of its series,
// seven in ten are buckets of histograms, of which one in five sees anything;
// the rest is counters and gauges, most of them constant. About one value in
// seven differs from the row before. Each series has ten labels: its name, seven
// of the target, as Kubernetes gives them, and two of its own.
type benchTarget struct {
	group   storage.Group
	columns []storage.Column // what a scraper keeps
	row     storage.Row
	rng     *rand.Rand
	steps   []func(values []float64)
}

const benchBuckets = 10

// newBenchTarget opens target n with the given number of columns.
func newBenchTarget(b testing.TB, h *Head, n, columns int) *benchTarget {
	g, err := h.OpenGroup(storage.GroupOptions{Origin: fmt.Sprint(n)})
	require.NoError(b, err)
	t := &benchTarget{group: g, rng: rand.New(rand.NewPCG(uint64(n), 1))}
	add := func(name string, own ...string) {
		ls := labels.FromStrings(append(own,
			model.MetricNameLabel, name, "job", "shop", "cluster", "production-eu-1", "namespace", fmt.Sprintf("team-%d", n%12),
			"pod", fmt.Sprintf("shop-%d-7d9f8b6c5d-x%04d", n%40, n), "container", "shop",
			"node", fmt.Sprintf("node-%d.example.com", n%50), "instance", fmt.Sprintf("10.0.%d.%d:9100", n/250, n%250))...)
		c, err := g.AddColumn(ls)
		require.NoError(b, err)
		t.columns = append(t.columns, c)
	}
	for len(t.columns)+benchBuckets+2 <= columns*7/10 {
		t.addHistogram(add)
	}
	for len(t.columns) < columns {
		t.addSingle(add)
	}
	t.row.Values = make([]float64, columns)
	for c := range t.row.Values {
		if t.rng.IntN(2) == 0 {
			t.row.Values[c] = float64(t.rng.IntN(1_000_000))
		}
	}
	return t
}

// addHistogram adds the columns of a classic histogram. One in five sees up to
// two things a scrape.
func (t *benchTarget) addHistogram(add func(name string, own ...string)) {
	from, n := len(t.columns), len(t.steps)
	name, handler := fmt.Sprintf("shop_http_request_%d_duration_seconds", n/5), fmt.Sprintf("/api/v1/resource/%d", n%5)
	for i := range benchBuckets {
		add(name+"_bucket", "handler", handler, "le", strconv.FormatFloat(float64(i+1)/4, 'g', -1, 64))
	}
	add(name+"_count", "handler", handler, "method", "GET")
	add(name+"_sum", "handler", handler, "method", "GET")
	t.steps = append(t.steps, func(values []float64) {
		if n%5 > 0 {
			return
		}
		for range t.rng.IntN(3) {
			fell := min(int(t.rng.ExpFloat64()*2), benchBuckets)
			for i := fell; i <= benchBuckets; i++ {
				values[from+i]++
			}
			values[from+benchBuckets+1] += t.rng.ExpFloat64() / 2
		}
	})
}

// addSingle adds a counter or a gauge.
func (t *benchTarget) addSingle(add func(name string, own ...string)) {
	c, n := len(t.columns), len(t.steps)
	add(fmt.Sprintf("shop_subsystem_metric_%d_total", n/5), "code", strconv.Itoa(200+n%5), "method", "POST")
	switch n % 14 {
	case 0: // a busy counter
		t.steps = append(t.steps, func(values []float64) { values[c] += float64(t.rng.IntN(100)) })
	case 1: // a counter that moves now and then
		t.steps = append(t.steps, func(values []float64) {
			if t.rng.IntN(8) == 0 {
				values[c]++
			}
		})
	case 2: // bytes in pages
		t.steps = append(t.steps, func(values []float64) { values[c] = float64(1<<20+t.rng.IntN(1<<12)) * 4096 })
	case 3: // a small gauge
		t.steps = append(t.steps, func(values []float64) {
			if t.rng.IntN(3) == 0 {
				values[c] = float64(t.rng.IntN(20))
			}
		})
	case 4: // seconds with decimals, now and then without end
		t.steps = append(t.steps, func(values []float64) {
			if n%28 == 4 {
				values[c] += t.rng.Float64()
			} else {
				values[c] = float64(t.rng.IntN(1000)) / 1000
			}
		})
	default:
		t.steps = append(t.steps, func([]float64) {})
	}
}

// next returns the next row. It is valid until the next call.
func (t *benchTarget) next() *storage.Row {
	t.row.T += 15_000
	for _, step := range t.steps {
		step(t.row.Values)
	}
	return &t.row
}

// rows returns the next n rows.
func (t *benchTarget) rows(n int) []storage.Row {
	rows := make([]storage.Row, n)
	for i := range rows {
		rows[i] = *t.next()
		rows[i].Values = slices.Clone(rows[i].Values)
	}
	return rows
}
