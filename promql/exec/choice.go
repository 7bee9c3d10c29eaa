package exec

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/functions"
)

func validLabelName(name string) bool { return model.UTF8Validation.IsValidLabelName(name) }

// withName returns names with one more, in order.
func withName(names []string, name string) []string {
	names = append(slices.Clone(names), name)
	slices.Sort(names)
	return names
}

// extent are the least and greatest of some values, and whether a NaN is among
// them.
type extent struct {
	least, greatest float64
	nan             bool
}

func extentOf(values []float64) extent {
	if len(values) == 1 {
		return extent{values[0], values[0], math.IsNaN(values[0])}
	}
	e := extent{least: math.MaxFloat64, greatest: -math.MaxFloat64}
	for _, v := range values {
		e.least, e.greatest = math.Min(e.least, v), math.Max(e.greatest, v)
		e.nan = e.nan || math.IsNaN(v)
	}
	return e
}

// checkQuantile warns of quantiles that are none.
func (f *fold) checkQuantile() {
	e, pos := extentOf(f.param), f.node.Param.Position()
	if e.nan {
		f.notes.Add(annotations.NewInvalidQuantileWarning(math.NaN(), pos))
	}
	if e.greatest > 1 {
		f.notes.Add(annotations.NewInvalidQuantileWarning(e.greatest, pos))
	}
	if e.least < 0 {
		f.notes.Add(annotations.NewInvalidQuantileWarning(e.least, pos))
	}
}

// The floats that fit into an int64.
const (
	greatestInt64 = 9223372036854774784
	leastInt64    = -9223372036854775808
)

// choice is topk, bottomk, limitk or limit_ratio: some of the series of each
// group, at each step.
type choice struct{ aggregation }

func (c *choice) next(s *series) (bool, error) {
	if c.out == nil {
		c.mark = c.sc.memory.mark()
		all, err := c.run()
		if err != nil {
			return false, err
		}
		if err := c.finish(all); err != nil {
			return false, err
		}
	}
	return c.out.next(s)
}

// run chooses among the series.
func (c *choice) run() ([]*series, error) {
	all, err := c.sc.gather(c.inner)
	if err != nil {
		return nil, err
	}
	possible, err := c.checkParam()
	if !possible || err != nil {
		return nil, err
	}
	// The series by group, in order.
	var groups [][]int
	var ratios []float64
	for i, s := range all {
		n, fresh := c.groups.of(s.metric)
		if fresh {
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], i)
		if c.node.Op == parser.LIMIT_RATIO {
			ratios = append(ratios, functions.RatioOffset(s.metric))
		}
	}
	if c.sc.instant() {
		return c.chooseOrdered(all, groups, ratios)
	}
	chosen := make([]functions.Bitmap, len(all))
	for i := range chosen {
		chosen[i] = functions.NewBitmap(c.sc.n)
	}
	if err := c.choose(all, groups, ratios, func(step, i int) { chosen[i].Set(step) }); err != nil {
		return nil, err
	}
	for i, s := range all {
		s.only(chosen[i])
	}
	return c.sc.merge(slices.DeleteFunc(all, (*series).empty), false)
}

// chooseOrdered returns the series that are chosen at the only step, in the
// order in which they are.
func (c *choice) chooseOrdered(all []*series, groups [][]int, ratios []float64) ([]*series, error) {
	var out []*series
	err := c.choose(all, groups, ratios, func(_, i int) { out = append(out, all[i]) })
	return out, err
}

// choose calls chosen with each step and series that is chosen.
func (c *choice) choose(all []*series, groups [][]int, ratios []float64, chosen func(step, i int)) error {
	selection := functions.NewSelection(c.node.Op, c.node.Pos, &c.notes)
	for step := range c.sc.n {
		if err := c.sc.interrupted(); err != nil {
			return err
		}
		for _, group := range groups {
			if !selection.Reset(scalarAt(c.param, step), len(all)) {
				break
			}
			for _, i := range group {
				s := all[i]
				h := s.hist(step)
				if h == nil && !s.Valid.Has(step) {
					continue
				}
				ratio := 0.0
				if ratios != nil {
					ratio = ratios[i]
				}
				f := s.Floats[step]
				if h != nil {
					f = 0
				}
				selection.Offer(i, f, h, ratio)
			}
			for _, i := range selection.Chosen() {
				chosen(step, i)
			}
		}
	}
	return nil
}

// checkParam looks at the parameter, and reports whether anything can be chosen.
func (c *choice) checkParam() (bool, error) {
	e := extentOf(c.param)
	if c.node.Op == parser.LIMIT_RATIO {
		pos := c.node.Param.Position()
		switch {
		case e.greatest == 0 && e.least == 0:
			return false, nil
		case e.nan:
			//lint:ignore ST1005 Prometheus's text
			return false, errors.New("Ratio value is NaN")
		}
		if e.greatest > 1 {
			c.notes.Add(annotations.NewInvalidRatioWarning(e.greatest, 1, pos))
		}
		if e.least < -1 {
			c.notes.Add(annotations.NewInvalidRatioWarning(e.least, -1, pos))
		}
		return true, nil
	}
	switch {
	case e.greatest < 1:
		return false, nil
	case e.nan:
		//lint:ignore ST1005 Prometheus's text
		return false, errors.New("Parameter value is NaN")
	case e.least <= leastInt64:
		//lint:ignore ST1005 Prometheus's text
		return false, fmt.Errorf("Scalar value %v underflows int64", e.least)
	case e.greatest >= greatestInt64:
		//lint:ignore ST1005 Prometheus's text
		return false, fmt.Errorf("Scalar value %v overflows int64", e.greatest)
	}
	return true, nil
}
