package functions

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/kahansum"
)

// stepHistograms is the part of sum and avg about native histograms: nothing is
// there until the first one comes.
type stepHistograms struct {
	*Aggregation
	steps []histogramStep
}

// histogramStep is what is known of the histograms at one step.
type histogramStep struct {
	mean histogramMean // of avg
	sum  *histogram.FloatHistogram
	c    *histogram.FloatHistogram
	seen histogramFold
	// any says that there was a histogram, failed that two do not go together,
	// and mixed that there were floats before that came out.
	any, failed, mixed bool
}

// each calls add for each histogram of a series. Where a float came before the
// first one, the step has no result, and no histogram is looked at; after two
// did not go together, no float counts.
func (s *stepHistograms) each(hs []*histogram.FloatHistogram, floats Bitmap, metric string, add func(*histogramStep, *histogram.FloatHistogram) (reconciled bool, err error)) {
	for i, h := range hs {
		if h == nil {
			continue
		}
		if s.steps == nil {
			s.steps = make([]histogramStep, s.Steps)
		}
		step := &s.steps[i]
		if !step.any {
			step.any, step.mixed = true, floats.Has(i)
		}
		if step.failed || step.mixed {
			continue
		}
		step.seen.see(h)
		reconciled, err := add(step, h)
		if err != nil {
			step.failed, step.mixed = true, floats.Has(i)
			s.Annotations.once(mixedExponentialCustom, metric, s.Pos)
		}
		if reconciled {
			s.Annotations.once(bucketsReconciledAggregation, "", s.Pos)
		}
	}
}

// finish writes the results of the steps that have histograms alone, and takes
// away those that have floats too.
func (s *stepHistograms) finish(dst *Steps, result func(*histogramStep) *histogram.FloatHistogram) {
	for i := range s.steps {
		step := &s.steps[i]
		switch {
		case !step.any:
			continue
		case step.failed && !step.mixed:
			dst.Valid.Clear(i)
			continue
		case dst.Valid.Has(i):
			dst.Valid.Clear(i)
			s.Annotations.once(mixedFloatsHistogramsAggregation, "", s.Pos)
			continue
		}
		if dst.Hists == nil {
			dst.Hists = make([]*histogram.FloatHistogram, s.Steps)
		}
		dst.Hists[i] = result(step).Compact(0)
		if step.seen.reset && step.seen.notReset {
			s.Annotations.once(resetCollisionAggregation, "", s.Pos)
		}
	}
}

// sumAccumulator adds up with Neumaier's compensation.
type sumAccumulator struct {
	stepHistograms
	sum, c []float64
	seen   Bitmap
}

func newSumAccumulator(g *Aggregation) *sumAccumulator {
	return &sumAccumulator{stepHistograms{g, nil}, g.floats(), g.floats(), g.bits()}
}

func (a *sumAccumulator) Add(s *Steps, metric string) {
	for w, bits := range s.Valid {
		if bits == 0 {
			continue
		}
		again := bits & a.seen[w]
		a.seen[w] |= bits
		// The first values are the sums.
		eachBit(w, bits&^again, func(i int) { a.sum[i] = s.Floats[i] })
		if from, to := w*64, min(w*64+64, len(a.sum)); again == firstBits(to-from) {
			addEach(a.sum[from:to], a.c[from:to], s.Floats[from:to])
			continue
		}
		eachBit(w, again, func(i int) { addEach(a.sum[i:i+1], a.c[i:i+1], s.Floats[i:i+1]) })
	}
	a.each(s.Hists, a.seen, metric, (*histogramStep).addToSum)
}

func (s *histogramStep) addToSum(h *histogram.FloatHistogram) (reconciled bool, err error) {
	if s.sum == nil {
		s.sum = h.Copy()
		return false, nil
	}
	c, _, reconciled, err := s.sum.KahanAdd(h, s.c)
	if err == nil {
		s.c = c
	}
	return reconciled, err
}

func (a *sumAccumulator) Finish(dst *Steps) {
	for i, sum := range a.sum {
		dst.Floats[i] = sum + a.c[i]
	}
	copy(dst.Valid, a.seen)
	a.finish(dst, func(s *histogramStep) *histogram.FloatHistogram {
		if s.c != nil {
			s.sum.Add(s.c)
		}
		return s.sum
	})
}

// avgAccumulator is the compensated sum by the count, or a compensated running
// mean from where the sum would overflow.
type avgAccumulator struct {
	stepHistograms
	// value is the sum, or the mean where running is set; c belongs to it.
	value, c, count []float64
	seen, running   Bitmap
}

func newAvgAccumulator(g *Aggregation) *avgAccumulator {
	return &avgAccumulator{stepHistograms{g, nil}, g.floats(), g.floats(), g.floats(), g.bits(), g.bits()}
}

func (a *avgAccumulator) Add(s *Steps, metric string) {
	for w, bits := range s.Valid {
		if from, to := w*64, min(w*64+64, len(a.count)); bits == firstBits(to-from) && bits == a.seen[w] && a.running[w] == 0 {
			a.addAll(from, s.Floats[from:to])
			continue
		}
		eachBit(w, bits, func(i int) { a.add(i, s.Floats[i]) })
		a.seen[w] |= bits
	}
	a.each(s.Hists, a.seen, metric, func(step *histogramStep, h *histogram.FloatHistogram) (bool, error) { return step.mean.add(h) })
}

// addAll is add for the steps from one on, all of which have a sum.
func (a *avgAccumulator) addAll(from int, values []float64) {
	to := from + len(values)
	sums, cs, counts := a.value[from:to], a.c[from:to], a.count[from:to]
	for i, v := range values {
		sum, c := add(v, sums[i], cs[i])
		if !isTame(sum) || !isTame(v) {
			a.add(from+i, v)
			continue
		}
		sums[i], cs[i] = sum, c
		counts[i]++
	}
}

func (a *avgAccumulator) add(i int, v float64) {
	a.count[i]++
	n := a.count[i]
	if n == 1 {
		a.value[i] = v
		return
	}
	if !a.running.Has(i) {
		sum, c := kahansum.Inc(v, a.value[i], a.c[i])
		if !math.IsInf(sum, 0) {
			a.value[i], a.c[i] = sum, c
			return
		}
		a.running.Set(i)
		a.value[i] /= n - 1
		a.c[i] /= n - 1
	}
	q := (n - 1) / n
	a.value[i], a.c[i] = kahansum.Inc(v/n, q*a.value[i], q*a.c[i])
}

func (a *avgAccumulator) Finish(dst *Steps) {
	for i, n := range a.count {
		switch {
		case n == 0:
			continue
		case a.running.Has(i):
			dst.Floats[i] = a.value[i] + a.c[i]
		default:
			dst.Floats[i] = a.value[i]/n + a.c[i]/n
		}
		dst.Valid.Set(i)
	}
	a.finish(dst, func(s *histogramStep) *histogram.FloatHistogram { return s.mean.value() })
}
