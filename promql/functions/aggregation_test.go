package functions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/randomseries"
)

// stepMillis is the time between two steps of a grid.
const stepMillis = 60_000

// grid is an operand: series with values at steps.
type grid struct {
	labels []labels.Labels
	series []*Steps
	steps  int
}

// randomGrid returns n series with gaps, floats and histograms. They are of few
// kinds, so that groups are often of one.
func randomGrid(r *rand.Rand, n int) *grid {
	g := &grid{steps: 1 + r.IntN(70)}
	kind := r.IntN(4) // 0, 1: floats; 2: histograms; 3: both
	gaps := r.IntN(2) == 0
	makeHist := randomseries.NewHistograms(r)
	for i := range n {
		s := &Steps{Floats: make([]float64, g.steps), Valid: NewBitmap(g.steps)}
		for j, v := range randomseries.Floats(r, g.steps) {
			switch {
			case gaps && r.IntN(5) == 0:
			case kind == 2 || kind == 3 && r.IntN(3) == 0:
				if s.Hists == nil {
					s.Hists = make([]*histogram.FloatHistogram, g.steps)
				}
				s.Hists[j] = makeHist.Next()
			default:
				s.set(j, v)
			}
		}
		g.series = append(g.series, s)
		g.labels = append(g.labels, labels.FromStrings("__name__", "metric", "series", fmt.Sprintf("%03d", i), "group", fmt.Sprint(r.IntN(2))))
	}
	return g
}

// Querier shows the grid to upstream's engine.
func (g *grid) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
		var set []storage.Series
		for i, s := range g.series {
			var samples []chunks.Sample
			for j := range g.steps {
				t := int64(j) * stepMillis
				switch {
				case s.Valid.Has(j):
					samples = append(samples, sample{t, s.Floats[j], nil})
				case s.Hists != nil && s.Hists[j] != nil:
					samples = append(samples, sample{t, 0, s.Hists[j]})
				}
			}
			set = append(set, storage.NewListSeries(g.labels[i], samples))
		}
		return &listed{series: set, at: -1}
	}}, nil
}

// sample is one of upstream's.
type sample struct {
	t int64
	f float64
	h *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.h }
func (s sample) Copy() chunks.Sample           { return s }
func (s sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// listed is a set of series.
type listed struct {
	series []storage.Series
	at     int
}

func (l *listed) Next() bool                        { l.at++; return l.at < len(l.series) }
func (l *listed) At() storage.Series                { return l.series[l.at] }
func (l *listed) Err() error                        { return nil }
func (l *listed) Warnings() annotations.Annotations { return nil }

// query evaluates with upstream's engine, a step after the other.
func (g *grid) query(t *testing.T, q string) (map[string]*Steps, annotations.Annotations) {
	engine := upstream.NewEngine(upstream.EngineOpts{
		MaxSamples: 1e9, Timeout: time.Hour, LookbackDelta: time.Second, Parser: testParser,
	})
	end := time.UnixMilli(int64(g.steps-1) * stepMillis)
	query, err := engine.NewRangeQuery(context.Background(), g, nil, q, time.UnixMilli(0), end, stepMillis*time.Millisecond)
	require.NoError(t, err)
	defer query.Close()
	res := query.Exec(context.Background())
	require.NoError(t, res.Err, q)
	out := map[string]*Steps{}
	for _, s := range res.Value.(upstream.Matrix) {
		steps := newSteps(g.steps)
		for _, p := range s.Floats {
			steps.set(int(p.T/stepMillis), p.F)
		}
		for _, p := range s.Histograms {
			steps.Hists[p.T/stepMillis] = p.H.Copy()
		}
		out[s.Metric.String()] = steps
	}
	return out, res.Warnings
}

func newSteps(n int) *Steps {
	return &Steps{Floats: make([]float64, n), Valid: NewBitmap(n), Hists: make([]*histogram.FloatHistogram, n)}
}

func requireSame(t *testing.T, want, got map[string]*Steps, what string) {
	for key, s := range got {
		if want[key] == nil {
			want[key] = newSteps(len(s.Floats))
		}
	}
	for key, w := range want {
		g := got[key]
		require.NotNil(t, g, "%s: no %s", what, key)
		for i := range w.Floats {
			at := fmt.Sprintf("%s: %s at step %d", what, key, i)
			require.Equal(t, w.Valid.Has(i), g.Valid.Has(i), at)
			if w.Valid.Has(i) {
				require.True(t, sameFloat(w.Floats[i], g.Floats[i]), "%s: %x, want %x", at, g.Floats[i], w.Floats[i])
			}
			var h *histogram.FloatHistogram
			if g.Hists != nil {
				h = g.Hists[i]
			}
			require.Equal(t, dump(w.Hists[i]), dump(h), at)
		}
	}
}

func TestAggregationsAgreeWithUpstream(t *testing.T) {
	for _, op := range []parser.ItemType{
		parser.SUM, parser.AVG, parser.COUNT, parser.MIN, parser.MAX, parser.GROUP, parser.STDDEV, parser.STDVAR, parser.QUANTILE,
	} {
		t.Run(op.String(), func(t *testing.T) {
			for seed := range uint64(*seeds) {
				r := rand.New(rand.NewPCG(seed, 2))
				g := randomGrid(r, 1+r.IntN(12))
				q := op.String() + " by (group) (metric)"
				agg := &Aggregation{Op: op, Steps: g.steps, Annotations: &Annotations{}}
				if op == parser.QUANTILE {
					q, agg.Param = "quantile by (group) (0.3, metric)", []float64{0.3}
				}
				expr, err := testParser.ParseExpr(q)
				require.NoError(t, err)
				agg.Pos = expr.(*parser.AggregateExpr).Expr.PositionRange()
				want, set := g.query(t, q)

				groups := map[string]Accumulator{}
				for i, s := range g.series {
					key := labels.FromStrings("group", g.labels[i].Get("group")).String()
					if groups[key] == nil {
						groups[key] = agg.New()
					}
					groups[key].Add(s, "metric")
				}
				got := map[string]*Steps{}
				for key, acc := range groups {
					got[key] = &Steps{Floats: make([]float64, g.steps), Valid: NewBitmap(g.steps)}
					acc.Finish(got[key])
				}
				what := fmt.Sprintf("seed %d: %s", seed, q)
				requireSame(t, want, got, what)
				require.Equal(t, texts(set, q), texts(agg.Annotations.Set(), q), what)
			}
		})
	}
}

func TestSelectionsAgreeWithUpstream(t *testing.T) {
	for _, op := range []parser.ItemType{parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO} {
		t.Run(op.String(), func(t *testing.T) {
			for seed := range uint64(*seeds) {
				r := rand.New(rand.NewPCG(seed, 3))
				g := randomGrid(r, 1+r.IntN(12))
				param := []float64{3, 1, 0.9, 5, 100}[r.IntN(5)]
				if op == parser.LIMIT_RATIO {
					param = []float64{0.5, -0.5, 1, -1, 0.1}[r.IntN(5)]
				}
				q := fmt.Sprintf("%s by (group) (%g, metric)", op, param)
				expr, err := testParser.ParseExpr(q)
				require.NoError(t, err)
				want, set := g.query(t, q)

				notes := &Annotations{}
				sel := NewSelection(op, expr.PositionRange(), notes)
				got := map[string]*Steps{}
				for i := range g.steps {
					for _, group := range []string{"0", "1"} {
						if !sel.Reset(param, len(g.series)) {
							break
						}
						for j, s := range g.series {
							h := s.hist(i)
							if g.labels[j].Get("group") == group && (s.Valid.Has(i) || h != nil) {
								sel.Offer(j, s.Floats[i], h, RatioOffset(g.labels[j]))
							}
						}
						for _, j := range sel.Chosen() {
							key := g.labels[j].String()
							if got[key] == nil {
								got[key] = newSteps(g.steps)
							}
							if got[key].Hists[i] = g.series[j].hist(i); got[key].Hists[i] == nil {
								got[key].set(i, g.series[j].Floats[i])
							}
						}
					}
				}
				what := fmt.Sprintf("seed %d: %s", seed, q)
				requireSame(t, want, got, what)
				require.Equal(t, texts(set, q), texts(notes.Set(), q), what)
			}
		})
	}
}

func (s *Steps) hist(i int) *histogram.FloatHistogram {
	if s.Hists == nil {
		return nil
	}
	return s.Hists[i]
}

func TestSelectionOrderAgreesWithUpstream(t *testing.T) {
	for _, op := range []parser.ItemType{parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO} {
		for seed := range uint64(*seeds) {
			r := rand.New(rand.NewPCG(seed, 4))
			g := randomGrid(r, 1+r.IntN(20))
			param := 7.0
			if op == parser.LIMIT_RATIO {
				param = 0.6
			}
			q := fmt.Sprintf("%s(%g, metric)", op, param)
			want := g.instant(t, q)
			sel := NewSelection(op, position(t, q), &Annotations{})
			sel.Reset(param, len(g.series))
			for j, s := range g.series {
				if s.Valid.Has(0) || s.hist(0) != nil {
					sel.Offer(j, s.Floats[0], s.hist(0), RatioOffset(g.labels[j]))
				}
			}
			var got []string
			for _, j := range sel.Chosen() {
				got = append(got, g.labels[j].String())
			}
			require.Equal(t, want, got, "seed %d: %s", seed, q)
		}
	}
}

// instant returns the series of an instant query at the first step in the order
// of upstream's result.
func (g *grid) instant(t *testing.T, q string) []string {
	engine := upstream.NewEngine(upstream.EngineOpts{
		MaxSamples: 1e9, Timeout: time.Hour, LookbackDelta: time.Second, Parser: testParser,
	})
	query, err := engine.NewInstantQuery(context.Background(), g, nil, q, time.UnixMilli(0))
	require.NoError(t, err)
	defer query.Close()
	res := query.Exec(context.Background())
	require.NoError(t, res.Err, q)
	var names []string
	for _, s := range res.Value.(upstream.Vector) {
		names = append(names, s.Metric.String())
	}
	return names
}

func position(t *testing.T, q string) posrange.PositionRange {
	expr, err := testParser.ParseExpr(q)
	require.NoError(t, err)
	return expr.PositionRange()
}
