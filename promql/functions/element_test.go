package functions

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/randomseries"
)

// parse returns the call of a query.
func parse(t *testing.T, q string) *parser.Call {
	expr, err := testParser.ParseExpr(q)
	require.NoError(t, err, q)
	return expr.(*parser.Call)
}

// scalarsOf returns n random scalar parameters for steps steps, as vectors of
// upstream's for a step, too.
func scalarsOf(r *rand.Rand, n, steps int) [][]float64 {
	scalars := make([][]float64, n)
	for i := range scalars {
		scalars[i] = make([]float64, steps)
		if r.IntN(2) == 0 {
			scalars[i] = scalars[i][:1]
		}
		for j := range scalars[i] {
			scalars[i][j] = []float64{0, 1, -1, 0.5, 10, 100, math.NaN(), math.Inf(1), math.Inf(-1), 0.1}[r.IntN(10)]
		}
	}
	return scalars
}

func TestElementFunctionsAgreeWithUpstream(t *testing.T) {
	const steps = 70
	for name, f := range all {
		if f.Element == nil && f.Scalar == nil {
			continue
		}
		for _, n := range map[string][]int{"round": {0, 1}, "clamp": {2}, "clamp_max": {1}, "clamp_min": {1}, "max_of": {2}, "min_of": {2}}[name] {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) { compareElements(t, f, n, steps) })
		}
		if !strings.Contains("round clamp_max clamp_min max_of min_of", name) {
			t.Run(name, func(t *testing.T) { compareElements(t, f, 0, steps) })
		}
	}
}

func compareElements(t *testing.T, f *Function, n, steps int) {
	for seed := range uint64(*seeds) {
		r := rand.New(rand.NewPCG(seed, 5))
		a := &Args{Scalars: scalarsOf(r, n, steps), Annotations: &Annotations{}}
		src := randomseries.Floats(r, steps)
		if r.IntN(3) == 0 {
			for i := range src {
				src[i] = float64(r.Int64N(1<<40) - 1<<39)
			}
		}
		dst, valid := make([]float64, steps), NewBitmap(steps)
		for i := range steps {
			valid.Set(i)
		}
		if f.Scalar != nil {
			f.Scalar(dst, a)
		} else {
			f.Element(dst, src, valid, a)
		}
		for i := range steps {
			vectors := []upstream.Vector{{{F: src[i]}}}
			if f.Scalar != nil {
				vectors = nil
			}
			for j := range a.Scalars {
				vectors = append(vectors, upstream.Vector{{F: a.Scalar(j, i)}})
			}
			want, _ := upstream.FunctionCalls[f.Name](vectors, nil, make(parser.Expressions, len(vectors)), &upstream.EvalNodeHelper{})
			require.Equal(t, len(want) == 1, valid.Has(i), "seed %d step %d", seed, i)
			if len(want) == 1 {
				require.True(t, sameFloat(want[0].F, dst[i]), "seed %d: of %g %g, want %g", seed, src[i], dst[i], want[0].F)
			}
		}
	}
}

func TestHistogramFunctionsAgreeWithUpstream(t *testing.T) {
	for name, f := range all {
		if f.Histogram == nil {
			continue
		}
		for seed := range uint64(*seeds) {
			r := rand.New(rand.NewPCG(seed, 6))
			next := randomseries.NewHistograms(r).Next
			for range 30 {
				h := next()
				want, _ := upstream.FunctionCalls[name]([]upstream.Vector{{{H: h.Copy()}}}, nil, nil, &upstream.EvalNodeHelper{})
				require.True(t, sameFloat(want[0].F, f.Histogram(h)), "%s seed %d", name, seed)
			}
		}
	}
}

// TestEveryFunctionIsSomewhere compares with the parser's list: a function that
// Lookup does not know is named in the package comment.
func TestEveryFunctionIsSomewhere(t *testing.T) {
	engines := strings.Fields(`absent end histogram_fraction histogram_quantile histogram_quantiles info label_join
		label_replace pi range scalar sort sort_by_label sort_by_label_desc sort_desc start start_timestamp step time
		timestamp vector`)
	known := len(engines)
	for _, name := range engines {
		require.Contains(t, parser.Functions, name)
	}
	for name := range all {
		require.Contains(t, parser.Functions, name)
		known++
	}
	require.Equal(t, len(parser.Functions), known)
}

// randomGroup returns a histogram with classic buckets, a native one, or both.
func randomGroup(r *rand.Rand, steps int) *HistogramGroup {
	g := &HistogramGroup{}
	kind := r.IntN(3)
	if kind != 1 {
		bounds := []float64{-5, 0, 0.1, 1, 1, 5, 10, math.Inf(1)}
		from := r.IntN(4)
		to := len(bounds) - r.IntN(2)
		fraction := r.IntN(2) == 0
		for _, b := range bounds[from:to] {
			s := &Steps{Floats: make([]float64, steps), Valid: NewBitmap(steps)}
			for i := range steps {
				if r.IntN(10) == 0 {
					continue
				}
				v := math.Trunc(math.Min(b, 20) * 10)
				if fraction {
					v += r.Float64() * 1e-12
				}
				if r.IntN(10) == 0 {
					v = float64(r.IntN(100))
				}
				s.set(i, math.Max(0, v))
			}
			g.Bounds, g.Buckets = append(g.Bounds, b), append(g.Buckets, s)
		}
	}
	if kind != 0 {
		next := randomseries.NewHistograms(r).Next
		g.Native = newSteps(steps)
		for i := range steps {
			if kind == 1 || r.IntN(3) == 0 {
				g.Native.Hists[i] = next()
			}
		}
	}
	return g
}

// vector returns the group at a step as upstream's functions want it.
func (g *HistogramGroup) vector(step int) upstream.Vector {
	var v upstream.Vector
	for j, s := range g.Buckets {
		if s.Valid.Has(step) {
			le := fmt.Sprint(g.Bounds[j])
			if j > 0 && g.Bounds[j] == g.Bounds[j-1] {
				le += ".0"
			}
			v = append(v, upstream.Sample{F: s.Floats[step], Metric: labels.FromStrings("le", le, "n", "1")})
		}
	}
	if g.Native != nil && g.Native.Hists[step] != nil {
		v = append(v, upstream.Sample{H: g.Native.Hists[step].Copy(), Metric: labels.FromStrings("n", "1")})
	}
	return v
}

func TestHistogramGroupsAgreeWithUpstream(t *testing.T) {
	const steps = 20
	queries := map[string]int{
		"histogram_quantile(0.5, metric)":                 1,
		`histogram_quantiles(metric, "q", 0.5, 0.6, 0.7)`: 3,
		"histogram_fraction(0.1, 0.2, metric)":            2,
	}
	for q, n := range queries {
		call := parse(t, q)
		for seed := range uint64(*seeds) * 5 {
			r := rand.New(rand.NewPCG(seed, 7))
			g := randomGroup(r, steps)
			scalars := scalarsOf(r, n, steps)
			compareGroup(t, call, g, scalars, steps, fmt.Sprintf("seed %d: %s", seed, q), q)
		}
	}
}

func compareGroup(t *testing.T, call *parser.Call, g *HistogramGroup, scalars [][]float64, steps int, what, q string) {
	a := &Args{Annotations: &Annotations{}}
	outs := []*Steps{newSteps(steps)}
	switch call.Func.Name {
	case "histogram_fraction":
		a.Pos = call.Args[2].PositionRange()
		g.Fraction(outs[0], scalars[0], scalars[1], a)
	case "histogram_quantile":
		a.Pos = call.Args[1].PositionRange()
		CheckQuantiles(scalars, []posrange.PositionRange{call.Args[0].PositionRange()}, a.Annotations)
		g.Quantiles(outs, scalars, 0, 1000, a)
	default:
		a.Pos = call.Args[0].PositionRange()
		var positions []posrange.PositionRange
		for _, arg := range call.Args[2:] {
			positions = append(positions, arg.PositionRange())
		}
		CheckQuantiles(scalars, positions, a.Annotations)
		outs = append(outs, newSteps(steps), newSteps(steps))
		g.Quantiles(outs, scalars, 0, 1000, a)
	}
	var all annotations.Annotations
	for i := range steps {
		enh := &upstream.EvalNodeHelper{Ts: int64(i) * 1000}
		var vectors []upstream.Vector
		for _, s := range scalars {
			vectors = append(vectors, upstream.Vector{{F: at(s, i)}})
		}
		if call.Func.Name == "histogram_quantiles" {
			vectors = append([]upstream.Vector{g.vector(i), nil}, vectors...)
		} else {
			vectors = append(vectors, g.vector(i))
		}
		want, set := upstream.FunctionCalls[call.Func.Name](vectors, nil, call.Args, enh)
		all.Merge(set)
		for j, out := range outs {
			at := fmt.Sprintf("%s step %d of %v", what, i, g.vector(i))
			if len(want) == 0 {
				require.False(t, out.Valid.Has(i), at)
				continue
			}
			require.True(t, out.Valid.Has(i), at)
			require.True(t, sameFloat(want[j].F, out.Floats[i]), "%s: %g, want %g", at, out.Floats[i], want[j].F)
		}
	}
	require.Equal(t, texts(all, q), texts(a.Annotations.Set(), q), what)
}

func TestBitmap(t *testing.T) {
	b := NewBitmap(130)
	b.Set(0)
	b.Set(64)
	b.Set(129)
	b.Clear(64)
	require.Equal(t, []bool{true, false, true}, []bool{b.Has(0), b.Has(64), b.Has(129)})
	var got []int
	(&Steps{Valid: b, Hists: []*histogram.FloatHistogram{}}).eachFloat(func(i int) { got = append(got, i) })
	require.Equal(t, []int{0, 129}, got)
}
