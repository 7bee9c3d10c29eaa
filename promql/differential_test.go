package promql

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

var (
	queries   = flag.Int("queries", 100, "queries of the differential test to the store of each seed")
	keepGoing = flag.Bool("keep-going", false, "report all differences, not the first one")
)

// differential is a query that both engines answer.
type differential struct {
	expr       string
	start, end time.Time
	step       time.Duration
}

func (d *differential) String() string {
	if d.step == 0 {
		return fmt.Sprintf("%s at %d", d.expr, d.start.UnixMilli())
	}
	return fmt.Sprintf("%s from %d to %d step %s", d.expr, d.start.UnixMilli(), d.end.UnixMilli(), d.step)
}

// evaluator is what both engines are.
type evaluator interface {
	Instant(context.Context, string, time.Time, QueryOptions) (*Result, error)
	Range(context.Context, string, time.Time, time.Time, time.Duration, QueryOptions) (*Result, error)
}

func (d *differential) ask(e evaluator) answer {
	var r *Result
	var err error
	if d.step == 0 {
		r, err = e.Instant(context.Background(), d.expr, d.start, QueryOptions{})
	} else {
		r, err = e.Range(context.Background(), d.expr, d.start, d.end, d.step, QueryOptions{})
	}
	if err != nil {
		return answer{err: err.Error()}
	}
	defer r.Close()
	return newAnswer(d, r)
}

// answer is a result that can be compared: a line for each series, its points
// after it.
type answer struct {
	err    string
	series []answerSeries
	notes  []string
}

type answerSeries struct {
	metric string
	points []answerPoint
}

type answerPoint struct {
	t int64
	f float64
	h string // all bits of a histogram
}

func newAnswer(d *differential, r *Result) answer {
	a := answer{}
	switch r.Type {
	case parser.ValueTypeScalar:
		a.series = []answerSeries{{"scalar", []answerPoint{{r.Scalar.T, r.Scalar.F, ""}}}}
	case parser.ValueTypeString:
		a.series = []answerSeries{{r.String.V, nil}}
	case parser.ValueTypeVector:
		for _, s := range r.Vector {
			a.series = append(a.series, answerSeries{s.Metric.String(), []answerPoint{{s.T, s.F, bitsOf(s.H)}}})
		}
	default:
		for _, s := range r.Matrix {
			a.series = append(a.series, matrixAnswer(s))
		}
	}
	if !d.ordered() {
		slices.SortStableFunc(a.series, func(x, y answerSeries) int { return strings.Compare(x.metric, y.metric) })
	}
	warnings, infos := r.Annotations.AsStrings(d.expr, 0, 0)
	for _, text := range append(warnings, infos...) {
		a.notes = append(a.notes, acceptedNote(text))
	}
	slices.Sort(a.notes)
	return a
}

func matrixAnswer(s Series) answerSeries {
	out := answerSeries{metric: s.Metric.String()}
	for _, p := range s.Floats {
		out.points = append(out.points, answerPoint{p.T, p.F, ""})
	}
	for _, p := range s.Histograms {
		out.points = append(out.points, answerPoint{p.T, 0, bitsOf(p.H)})
	}
	return out
}

// ordered reports whether the order of the series is part of the result.
func (d *differential) ordered() bool {
	return d.step == 0 && (strings.HasPrefix(d.expr, "sort") || strings.HasPrefix(d.expr, "topk") || strings.HasPrefix(d.expr, "bottomk"))
}

// bitsOf returns all that is in a histogram.
func bitsOf(h *histogram.FloatHistogram) string {
	if h == nil {
		return ""
	}
	return fmt.Sprintf("hint=%d schema=%d zero=%x:%x count=%x sum=%x p=%v %x n=%v %x custom=%x (%s)", h.CounterResetHint, h.Schema,
		h.ZeroThreshold, h.ZeroCount, h.Count, h.Sum, h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets, h.CustomValues, h)
}

// difference returns what the answers differ in, or "". Floats differ if their
// bits do, NaNs being all the same, or, if it is not 0, by more than the
// relative tolerance.
func (a answer) difference(b answer, tolerance float64) string {
	if a.err != "" || b.err != "" {
		if sameError(a.err, b.err) {
			return ""
		}
		return fmt.Sprintf("error %q, want %q", a.err, b.err)
	}
	for i := range max(len(a.series), len(b.series)) {
		switch {
		case i >= len(a.series):
			return "no series " + b.series[i].metric
		case i >= len(b.series):
			return "series too many: " + a.series[i].metric
		case a.series[i].metric != b.series[i].metric:
			return fmt.Sprintf("series %s, want %s", a.series[i].metric, b.series[i].metric)
		}
		if d := differentPoints(a.series[i].points, b.series[i].points, tolerance); d != "" {
			return a.series[i].metric + " " + d
		}
	}
	if !slices.Equal(a.notes, b.notes) {
		return fmt.Sprintf("annotations %q, want %q", a.notes, b.notes)
	}
	return ""
}

func differentPoints(a, b []answerPoint, tolerance float64) string {
	if len(a) != len(b) {
		return fmt.Sprintf("has %d points, want %d", len(a), len(b))
	}
	for i, p := range a {
		q := b[i]
		same := math.Float64bits(p.f) == math.Float64bits(q.f) || math.IsNaN(p.f) && math.IsNaN(q.f) ||
			tolerance > 0 && math.Abs(p.f-q.f) <= tolerance*math.Abs(q.f)
		if p.t != q.t || !same || withoutNotReset(p.h) != withoutNotReset(q.h) && tolerance == 0 || (p.h == "") != (q.h == "") {
			return fmt.Sprintf("at %d: %x %g %s, want at %d: %x %g %s", p.t, p.f, p.f, p.h, q.t, q.f, q.f, q.h)
		}
	}
	return ""
}

// TestDifferential asks our engine and upstream's random questions about random
// data. It prints the seed of what they disagree in:
//
//	go test ./promql -run TestDifferential -args -first-seed=17 -seeds=1
func TestDifferential(t *testing.T) {
	vary := 0
	report := func(format string, args ...any) {
		if *keepGoing {
			fmt.Fprintf(os.Stdout, format+"\n", args...)
			t.Fail()
			return
		}
		t.Fatalf(format, args...)
	}
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		r := rand.New(rand.NewPCG(seed, 11))
		store := randomData(t, r)
		opts := randomOptions(r)
		opts.Workers, opts.spreadAfter = 1+int(seed%4), 1
		ours, theirs := newTestEngine(t, store, func(o *Options) { *o = opts }), newOracle(opts, store)
		literal := newTestEngine(t, store, func(o *Options) { *o = opts; o.asWritten = true })
		q := newQueryMaker(r)
		for i := range *queries {
			d := &differential{expr: q.expression()}
			d.start, d.end, d.step = randomTimes(r)
			what, varied := d.compare(ours, theirs)
			if unread(what) {
				what, varied = d.compare(literal, theirs)
			}
			if varied {
				vary++
			}
			if what != "" {
				report("seed %d, query %d (names late %t, starts %t, types %t, lookback %s)\n  %s\n  %s", seed, i,
					opts.DelayedNameRemoval, opts.UseStartTimestamps, opts.TypeAndUnitLabels, opts.LookbackDelta, d, what)
			}
		}
	}
	t.Logf("%d of %d answers of upstream's engine vary", vary, int(*seeds)**queries)
}

// compare returns what the engines disagree in, and whether upstream's disagrees
// with itself: where it keeps series in a map, the order of sums, and which of
// equal values is chosen, varies.
func (d *differential) compare(ours, theirs evaluator) (what string, varied bool) {
	got, want := d.ask(ours), d.ask(theirs)
	what = got.difference(want, 0)
	if what == "" || acceptedDifference(d.expr, what) || disordered.MatchString(d.expr) && got.difference(want, rounding) == "" {
		return "", false
	}
	chosen := false // other series, or values far apart
	// A map of two has the other order once in eight times.
	for range 100 {
		again := d.ask(theirs)
		if got.difference(again, 0) == "" {
			return "", true
		}
		varied = varied || again.difference(want, 0) != ""
		chosen = chosen || again.difference(want, rounding) != ""
	}
	if chosen || varied && got.difference(want, rounding) == "" {
		return "", true
	}
	return what, varied
}

// rounding is what the order of a sum can change, relatively.
const rounding = 1e-9

func TestQueryMakerTypeChecks(t *testing.T) {
	q := newQueryMaker(rand.New(rand.NewPCG(1, 1)))
	p := scriptOptions().Parser
	failed := 0
	for range 2000 {
		expr := q.expression()
		if _, err := p.ParseExpr(expr); err != nil {
			t.Log(expr, err)
			failed++
		}
	}
	require.Less(t, failed, 20)
}
