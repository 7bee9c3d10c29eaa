package functions

import (
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
}

// New returns the accumulator of another group.
func (g *Aggregation) New() Accumulator { panic("not yet") }
