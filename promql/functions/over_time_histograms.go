package functions

import (
	"github.com/prometheus/prometheus/model/histogram"
)

// histogramFold notes, while histograms are folded into one, what is said about
// them at the end.
type histogramFold struct {
	reset, notReset, reconciled bool
}

func (s *histogramFold) see(h *histogram.FloatHistogram) {
	switch h.CounterResetHint {
	case histogram.CounterReset:
		s.reset = true
	case histogram.NotCounterReset:
		s.notReset = true
	}
}

func (s *histogramFold) report(a *Args) {
	if s.reset && s.notReset {
		a.note(resetCollisionAggregation)
	}
	if s.reconciled {
		a.note(bucketsReconciledAggregation)
	}
}

// histogramsFold folds the histograms of a window; an error is a mix of
// exponential and custom buckets, the only one there is.
type histogramsFold func([]*histogram.FloatHistogram, *histogramFold) (*histogram.FloatHistogram, error)

// sumOrAvgWindow is a function that adds up either floats or histograms.
func sumOrAvgWindow(floats kernel, histograms histogramsFold) WindowFunc {
	return func(w *Window, a *Args) (float64, *histogram.FloatHistogram, bool) {
		switch {
		case len(w.Hists) == 0:
			f, ok := floats(w.Times, w.Values, nil)
			return f, nil, ok
		case len(w.Values) > 0:
			a.note(mixedFloatsHistograms)
			return 0, nil, false
		}
		var seen histogramFold
		h, err := histograms(w.Hists, &seen)
		if err != nil {
			a.note(mixedExponentialCustom)
			return 0, nil, false
		}
		seen.report(a)
		return 0, h, true
	}
}

func sumHistograms(hs []*histogram.FloatHistogram, seen *histogramFold) (*histogram.FloatHistogram, error) {
	sum := hs[0].Copy()
	seen.see(sum)
	var c *histogram.FloatHistogram
	for _, h := range hs[1:] {
		seen.see(h)
		var reconciled bool
		var err error
		if c, _, reconciled, err = sum.KahanAdd(h, c); err != nil {
			return nil, err
		}
		seen.reconciled = seen.reconciled || reconciled
	}
	if c == nil {
		return sum, nil
	}
	_, _, reconciled, err := sum.Add(c)
	seen.reconciled = seen.reconciled || reconciled
	return sum, err
}

func avgHistograms(hs []*histogram.FloatHistogram, seen *histogramFold) (*histogram.FloatHistogram, error) {
	var m histogramMean
	for _, h := range hs {
		seen.see(h)
		reconciled, err := m.add(h)
		if err != nil {
			return nil, err
		}
		seen.reconciled = seen.reconciled || reconciled
	}
	return m.value(), nil
}

// histogramMean is the compensated mean of histograms: the sum by the count, or
// a running mean from where the sum would overflow.
type histogramMean struct {
	sum, mean, c *histogram.FloatHistogram
	count        float64
	running      bool
}

// add adds a histogram and reports whether custom buckets had to be reconciled.
// After an error nothing more is added.
func (m *histogramMean) add(h *histogram.FloatHistogram) (reconciled bool, err error) {
	m.count++
	if m.sum == nil {
		m.sum = h.Copy()
		return false, nil
	}
	if !m.running {
		sum, c := m.sum.Copy(), m.c
		if c != nil {
			c = c.Copy()
		}
		c, _, reconciled, err = sum.KahanAdd(h, c)
		if err != nil {
			return false, err
		}
		if !sum.HasOverflow() {
			m.sum, m.c = sum, c
			return reconciled, nil
		}
		m.running = true
		m.mean = m.sum.Copy().Div(m.count - 1)
		if m.c != nil {
			m.c.Div(m.count - 1)
		}
	}
	q := (m.count - 1) / m.count
	if m.c != nil {
		m.c.Mul(q)
	}
	var again bool
	m.c, _, again, err = m.mean.Mul(q).KahanAdd(h.Copy().Div(m.count), m.c)
	return reconciled || again, err
}

// value returns the mean. Nothing is added afterwards.
func (m *histogramMean) value() *histogram.FloatHistogram {
	switch {
	case m.running && m.c != nil:
		m.mean.Add(m.c) // What added up has one schema: there is no error.
		return m.mean
	case m.running:
		return m.mean
	case m.c != nil:
		m.sum.Div(m.count).Add(m.c.Div(m.count))
		return m.sum
	default:
		return m.sum.Div(m.count)
	}
}
