package functions

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Accumulator folds the series of a group into one, step by step. The result
// depends on the order of the series: to be that of Prometheus, they are added
// in the order in which the operand has them. Memory is proportional to the
// steps and does not grow with the series, but for quantile.
type Accumulator interface {
	// Add folds in a series. metric is its name, for annotations.
	Add(s *Steps, metric string)
	// Finish writes the result to dst, which is empty and has room for the
	// steps; Hists is made where it is needed. It is called once, last.
	Finish(dst *Steps)
}

// Aggregation is what the accumulators of all groups of an aggregation share.
type Aggregation struct {
	// Op is SUM, AVG, COUNT, MIN, MAX, GROUP, STDDEV, STDVAR or QUANTILE.
	Op parser.ItemType
	// Steps is the number of steps.
	Steps int
	// Param is the parameter of quantile: one for each step, or one for all.
	Param []float64
	// Pos is the position of the operand.
	Pos posrange.PositionRange
	// Annotations gets the warnings and infos. Never nil.
	Annotations *Annotations

	room stepRoom
}

// floats returns zeros for the steps, bits a bitmap of them.
func (g *Aggregation) floats() []float64 { return g.room.takeFloats(g.Steps) }
func (g *Aggregation) bits() Bitmap      { return g.room.takeBits(g.Steps) }

// New returns the accumulator of another group.
func (g *Aggregation) New() Accumulator {
	switch g.Op {
	case parser.SUM:
		return newSumAccumulator(g)
	case parser.AVG:
		return newAvgAccumulator(g)
	case parser.COUNT:
		return &countAccumulator{counts: g.floats()}
	case parser.GROUP:
		return &countAccumulator{counts: g.floats(), group: true}
	case parser.MIN:
		return newExtremeAccumulator(g, false)
	case parser.MAX:
		return newExtremeAccumulator(g, true)
	case parser.STDDEV:
		return newVarianceAccumulator(g, "stddev", math.Sqrt)
	case parser.STDVAR:
		return newVarianceAccumulator(g, "stdvar", nil)
	default:
		return newQuantileAccumulator(g)
	}
}

// ignored says that the aggregation ignores the histograms of a series, if it
// has any.
func (g *Aggregation) ignored(s *Steps, name string) {
	for _, h := range s.Hists {
		if h != nil {
			g.Annotations.once(ignoredInAggregation, name, g.Pos)
			return
		}
	}
}

// countAccumulator counts samples of any kind, or notes that there are some.
type countAccumulator struct {
	counts []float64
	group  bool
}

func (c *countAccumulator) Add(s *Steps, _ string) {
	s.eachFloat(func(i int) { c.counts[i]++ })
	for i, h := range s.Hists {
		if h != nil {
			c.counts[i]++
		}
	}
}

func (c *countAccumulator) Finish(dst *Steps) {
	for i, n := range c.counts {
		if n == 0 {
			continue
		}
		if c.group {
			n = 1
		}
		dst.Floats[i] = n
		dst.Valid.Set(i)
	}
}

// extremeAccumulator is min or max: NaN gives way to everything.
type extremeAccumulator struct {
	*Aggregation
	greatest bool
	best     []float64
	seen     Bitmap
}

func newExtremeAccumulator(g *Aggregation, greatest bool) *extremeAccumulator {
	return &extremeAccumulator{g, greatest, g.floats(), g.bits()}
}

func (e *extremeAccumulator) Add(s *Steps, _ string) {
	name := "min"
	if e.greatest {
		name = "max"
	}
	e.ignored(s, name)
	for w, bits := range s.Valid {
		again := bits & e.seen[w]
		e.seen[w] |= bits
		eachBit(w, bits&^again, func(i int) { e.best[i] = s.Floats[i] })
		if e.greatest {
			eachBit(w, again, func(i int) {
				if v, best := s.Floats[i], e.best[i]; v > best || best != best {
					e.best[i] = v
				}
			})
			continue
		}
		eachBit(w, again, func(i int) {
			if v, best := s.Floats[i], e.best[i]; v < best || best != best {
				e.best[i] = v
			}
		})
	}
}

func (e *extremeAccumulator) Finish(dst *Steps) {
	copy(dst.Floats, e.best)
	copy(dst.Valid, e.seen)
}

// varianceAccumulator is Welford's, not compensated.
type varianceAccumulator struct {
	*Aggregation
	name               string
	result             func(float64) float64
	count, mean, value []float64
}

func newVarianceAccumulator(g *Aggregation, name string, result func(float64) float64) *varianceAccumulator {
	return &varianceAccumulator{g, name, result, g.floats(), g.floats(), g.floats()}
}

func (a *varianceAccumulator) Add(s *Steps, _ string) {
	a.ignored(s, a.name)
	s.eachFloat(func(i int) {
		v := s.Floats[i]
		a.count[i]++
		if a.count[i] == 1 {
			a.mean[i] = v
			// 0, or NaN for what has no distance.
			a.value[i] = v - v
			return
		}
		delta := v - a.mean[i]
		a.mean[i] += delta / a.count[i]
		a.value[i] += delta * (v - a.mean[i])
	})
}

func (a *varianceAccumulator) Finish(dst *Steps) {
	for i, n := range a.count {
		if n == 0 {
			continue
		}
		v := a.value[i] / n
		if a.result != nil {
			v = a.result(v)
		}
		dst.Floats[i] = v
		dst.Valid.Set(i)
	}
}

// quantileAccumulator keeps all values.
type quantileAccumulator struct {
	*Aggregation
	values [][]float64
}

func newQuantileAccumulator(g *Aggregation) *quantileAccumulator {
	return &quantileAccumulator{g, make([][]float64, g.Steps)}
}

func (q *quantileAccumulator) Add(s *Steps, _ string) {
	q.ignored(s, "quantile")
	s.eachFloat(func(i int) { q.values[i] = append(q.values[i], s.Floats[i]) })
}

func (q *quantileAccumulator) Finish(dst *Steps) {
	for i, values := range q.values {
		if len(values) == 0 {
			continue
		}
		param := q.Param[0]
		if len(q.Param) > 1 {
			param = q.Param[i]
		}
		dst.Floats[i] = quantileOf(param, values)
		dst.Valid.Set(i)
	}
}
