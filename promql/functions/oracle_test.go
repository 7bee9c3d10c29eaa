package functions

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/randomseries"
)

// seeds is how many random cases each function is compared with.
var seeds = flag.Int("seeds", 12, "random cases of each function")

var testParser = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true, ExperimentalDurationExpr: true,
	EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
})

// sameFloat reports whether two values have the same bits, all NaNs being one.
func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

// dump returns a histogram with every bit of it.
func dump(h *histogram.FloatHistogram) string {
	if h == nil {
		return "none"
	}
	return fmt.Sprintf("hint=%d schema=%d zero=%x:%x count=%x sum=%x p=%v %x n=%v %x custom=%x", h.CounterResetHint, h.Schema,
		h.ZeroThreshold, h.ZeroCount, h.Count, h.Sum, h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets, h.CustomValues)
}

// texts returns the annotations as a client sees them.
func texts(set annotations.Annotations, query string) []string {
	warnings, infos := set.AsStrings(query, 0, 0)
	all := append(warnings, infos...)
	slices.Sort(all)
	return all
}

// testSeries is a random series.
type testSeries struct {
	FloatSamples
	histTimes, histStarts []int64
	hists                 []*histogram.FloatHistogram
}

// randomSeries returns a series of floats, histograms or both, between the
// times.
func randomSeries(r *rand.Rand, from, to int64, starts bool) *testSeries {
	s := &testSeries{}
	kind := r.IntN(4) // 0, 1: floats; 2: histograms; 3: both
	interval := int64(1000 * (1 + r.IntN(30)))
	values := randomseries.Floats(r, 2*int((to-from)/interval)+2)
	makeHist := randomseries.NewHistograms(r)
	before := int64(0)
	for t := from; t <= to; t += 1 + interval/2 + r.Int64N(interval) {
		if r.IntN(40) == 0 {
			t += interval * 5
		}
		st := int64(0)
		if starts {
			st = []int64{0, t, before, before - 500, before + 500, t - 100, from - 1000, t + 5}[r.IntN(8)]
		}
		if kind == 2 || kind == 3 && r.IntN(4) == 0 {
			s.histTimes, s.hists = append(s.histTimes, t), append(s.hists, makeHist.Next())
			s.histStarts = append(s.histStarts, st)
		} else {
			s.Times, s.Values = append(s.Times, t), append(s.Values, values[len(s.Values)])
			s.Starts = append(s.Starts, st)
		}
		before = t
	}
	if !starts {
		s.Starts, s.histStarts = nil, nil
	}
	return s
}

// between returns the bounds of the times after from up to to.
func between(times []int64, from, to int64) (lo, hi int) {
	return sort.Search(len(times), func(i int) bool { return times[i] > from }),
		sort.Search(len(times), func(i int) bool { return times[i] > to })
}

// rangeCase is a call of a function over a range vector.
type rangeCase struct {
	query    string
	call     *parser.Call
	scalars  [][]float64
	selector int // the index of the range selector in the arguments
	modifier Modifier
	windows  Windows
	lookback int64
}

func newRangeCase(t *testing.T, r *rand.Rand, name string) *rangeCase {
	f := Lookup(name).Range
	c := &rangeCase{lookback: 60_000}
	extension := ""
	if n := r.IntN(3); n == 1 && f.Anchored {
		extension, c.modifier = " anchored", Anchored
	} else if n == 2 && f.Smoothed {
		extension, c.modifier = " smoothed", Smoothed
	}
	length := []string{"1m", "5m", "20s", "1500ms", "15m"}[r.IntN(5)]
	offset := []string{"", " offset 30s", " offset -1m"}[r.IntN(3)]
	selector := "metric[" + length + "]" + extension + offset
	steps := 1 + r.IntN(80)
	switch name {
	case "quantile_over_time":
		c.query = name + "(0.5, " + selector + ")"
		c.selector = 1
		c.scalars = [][]float64{{[]float64{0.5, 0, 1, 0.99, 0.123, -1, 2, math.NaN()}[r.IntN(8)]}}
	case "predict_linear":
		c.query = name + "(" + selector + ", 60)"
		c.scalars = [][]float64{make([]float64, steps)}
		for i := range c.scalars[0] {
			c.scalars[0][i] = float64(r.IntN(1000))
		}
	case "double_exponential_smoothing":
		c.query = name + "(" + selector + ", 0.5, 0.5)"
		c.scalars = [][]float64{{0.01 + 0.98*r.Float64()}, {0.01 + 0.98*r.Float64()}}
	default:
		c.query = name + "(" + selector + ")"
	}
	expr, err := testParser.ParseExpr(c.query)
	require.NoError(t, err, c.query)
	c.call = expr.(*parser.Call)
	ms := c.call.Args[c.selector].(*parser.MatrixSelector)
	vs := ms.VectorSelector.(*parser.VectorSelector)
	vs.Offset = vs.OriginalOffset
	step := []int64{1000, 15_000, 60_000, 400_000}[r.IntN(4)]
	c.windows = NewWindows(1_000_000+r.Int64N(1000), step, steps, ms.Range, vs.Offset)
	return c
}

// span returns the times that the windows cover, with what modifiers add.
func (c *rangeCase) span() (from, to int64) {
	return c.windows.Start(0) - c.lookback, c.windows.End(c.windows.Steps-1) + c.lookback
}

// bounds returns the samples of a window, as the engine hands them over.
func (c *rangeCase) bounds(times []int64, step int) (lo, hi int) {
	from, to := c.windows.Start(step), c.windows.End(step)
	if c.modifier != Plain {
		from -= c.lookback
	}
	if c.modifier == Smoothed {
		to += c.lookback
	}
	return between(times, from, to)
}

// oracle evaluates a step with the function of upstream's engine.
func (c *rangeCase) oracle(s *testSeries, step int) (upstream.Vector, annotations.Annotations) {
	enh := &upstream.EvalNodeHelper{Ts: c.windows.Eval(step)}
	series := upstream.Series{Metric: labels.FromStrings("__name__", "metric")}
	lo, hi := c.bounds(s.Times, step)
	for i := lo; i < hi; i++ {
		series.Floats = append(series.Floats, upstream.FPoint{T: s.Times[i], F: s.Values[i]})
	}
	histLo, histHi := c.bounds(s.histTimes, step)
	for i := histLo; i < histHi; i++ {
		series.Histograms = append(series.Histograms, upstream.HPoint{T: s.histTimes[i], H: s.hists[i].Copy()})
	}
	if len(series.Floats)+len(series.Histograms) == 0 {
		return nil, nil
	}
	if s.Starts != nil || s.histStarts != nil {
		enh.StartTimestamps = &upstream.StartTimestamps{Floats: s.Starts[lo:hi], Histograms: s.histStarts[histLo:histHi]}
	}
	var scalars []upstream.Vector
	for i := range c.scalars {
		scalars = append(scalars, upstream.Vector{{F: at(c.scalars[i], step)}})
	}
	return upstream.FunctionCalls[c.call.Func.Name](scalars, upstream.Matrix{series}, c.call.Args, enh)
}

func (c *rangeCase) args() *Args {
	return &Args{
		Metric: "metric", Scalars: c.scalars, Modifier: c.modifier, Pos: c.call.Args[0].PositionRange(),
		Annotations: &Annotations{},
	}
}

// ours evaluates all steps, floats in one batch if the series has no histogram.
func (c *rangeCase) ours(s *testSeries, a *Args) *Steps {
	f := Lookup(c.call.Func.Name).Range
	out := &Steps{
		Floats: make([]float64, c.windows.Steps), Valid: NewBitmap(c.windows.Steps),
		Hists: make([]*histogram.FloatHistogram, c.windows.Steps),
	}
	if len(s.hists) == 0 {
		var lo, hi []int32
		for i := range c.windows.Steps {
			l, h := c.bounds(s.Times, i)
			lo, hi = append(lo, int32(l)), append(hi, int32(h))
		}
		f.Batch(out.Floats, out.Valid, &s.FloatSamples, lo, hi, &c.windows, a)
		return out
	}
	for i := range c.windows.Steps {
		var w Window
		w.At(&c.windows, i)
		lo, hi := c.bounds(s.Times, i)
		w.Times, w.Values = s.Times[lo:hi], s.Values[lo:hi]
		histLo, histHi := c.bounds(s.histTimes, i)
		w.HistTimes, w.Hists = s.histTimes[histLo:histHi], s.hists[histLo:histHi]
		if s.Starts != nil || s.histStarts != nil {
			w.Starts, w.HistStarts = s.Starts[lo:hi], s.histStarts[histLo:histHi]
		}
		if len(w.Times)+len(w.HistTimes) == 0 {
			continue
		}
		v, h, ok := f.Window(&w, a)
		if ok && h == nil {
			out.set(i, v)
		}
		out.Hists[i] = h
	}
	return out
}

func TestRangeFunctionsAgreeWithUpstream(t *testing.T) {
	for name, f := range all {
		if f.Range == nil || name == "absent_over_time" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*seeds) {
				r := rand.New(rand.NewPCG(seed, 1))
				c := newRangeCase(t, r, name)
				from, to := c.span()
				s := randomSeries(r, from, to, f.Range.WantsStarts && r.IntN(2) == 0)
				compareRange(t, c, s, fmt.Sprintf("seed %d: %s", seed, c.query))
			}
		})
	}
}

func compareRange(t *testing.T, c *rangeCase, s *testSeries, what string) {
	var before []string
	for _, h := range s.hists {
		before = append(before, dump(h))
	}
	a := c.args()
	got := c.ours(s, a)
	var want annotations.Annotations
	for i := range c.windows.Steps {
		vector, set := c.oracle(s, i)
		want.Merge(set)
		at := fmt.Sprintf("%s, step %d", what, i)
		if len(vector) == 0 {
			require.False(t, got.Valid.Has(i), "%s: a float %g", at, got.Floats[i])
			require.Nil(t, got.Hists[i], at)
			continue
		}
		if vector[0].H != nil {
			require.Equal(t, dump(vector[0].H), dump(got.Hists[i]), at)
			continue
		}
		require.Nil(t, got.Hists[i], at)
		require.True(t, got.Valid.Has(i), "%s: no float, want %g", at, vector[0].F)
		require.True(t, sameFloat(vector[0].F, got.Floats[i]), "%s: %g, want %g", at, got.Floats[i], vector[0].F)
	}
	require.Equal(t, texts(want, c.query), texts(a.Annotations.Set(), c.query), what)
	for i, h := range s.hists {
		require.Equal(t, before[i], dump(h), "%s: the histograms are not changed", what)
	}
}

func TestNewWindows(t *testing.T) {
	w := NewWindows(10_000, 500, 3, 1500*time.Millisecond, 2*time.Second)
	require.Equal(t, []int64{10_500, 8500, 7000}, []int64{w.Eval(1), w.End(1), w.Start(1)})
	require.Equal(t, 1.5, w.Seconds)
}
