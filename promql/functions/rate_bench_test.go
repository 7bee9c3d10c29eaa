package functions

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// BenchmarkBatch measures functions over a day of a counter at 15 seconds, the
// windows a minute apart.
func BenchmarkBatch(b *testing.B) {
	const samples, steps = 5760, 1440
	s := &FloatSamples{}
	for i := range samples {
		s.Times = append(s.Times, int64(i)*15_000)
		s.Values = append(s.Values, float64(i*7%5000)+float64(i)*100)
	}
	steady := &FloatSamples{Times: s.Times}
	for i := range samples {
		steady.Values = append(steady.Values, float64(1e6+i*100))
	}
	for _, name := range []string{"rate", "rate of a steady counter", "delta", "irate", "changes", "avg_over_time", "sum_over_time", "max_over_time", "stddev_over_time", "deriv", "quantile_over_time"} {
		for _, length := range []time.Duration{5 * time.Minute, time.Hour} {
			w := NewWindows(0, 60_000, steps, length, 0)
			var lo, hi []int32
			for i := range steps {
				l, h := between(s.Times, w.Start(i), w.End(i))
				lo, hi = append(lo, int32(l)), append(hi, int32(h))
			}
			a := &Args{Annotations: &Annotations{}, Scalars: [][]float64{{0.9}}}
			dst, valid := make([]float64, steps), NewBitmap(steps)
			s, function := s, name
			if name == "rate of a steady counter" {
				s, function = steady, "rate"
			}
			batch := Lookup(function).Range.Batch
			b.Run(fmt.Sprintf("%s/range=%s", name, length), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					batch(dst, valid, s, lo, hi, &w, a)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/sample")
			})
		}
	}
}

// BenchmarkAccumulator measures aggregations of series that have a float at each step.
func BenchmarkAccumulator(b *testing.B) {
	const steps, series = 241, 16
	all := make([]*Steps, series)
	for i := range all {
		all[i] = &Steps{Floats: make([]float64, steps), Valid: NewBitmap(steps)}
		for step := range steps {
			all[i].set(step, float64(step*i)*1.1)
		}
	}
	for _, op := range []parser.ItemType{parser.SUM, parser.AVG, parser.COUNT, parser.MIN, parser.STDDEV} {
		b.Run(op.String(), func(b *testing.B) {
			g := &Aggregation{Op: op, Steps: steps, Annotations: &Annotations{}}
			acc := g.New()
			for b.Loop() {
				for _, s := range all {
					acc.Add(s, "")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(steps*series), "ns/value")
		})
	}
}
