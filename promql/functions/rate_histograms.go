package functions

import (
	"github.com/prometheus/prometheus/model/histogram"
)

// histograms computes the window of native histograms, or nil if they do not go
// together.
func (k rateKind) histograms(w *Window, a *Args) *histogram.FloatHistogram {
	n := len(w.Hists)
	var increase *histogram.FloatHistogram
	if n > 1 {
		if increase = k.histogramIncrease(w, a); increase == nil {
			return nil
		}
	}
	first, began := w.Hists[0], int64(0)
	if k.counter {
		began = startInside(w.HistStarts, w.Start, w.HistTimes[0])
	}
	switch {
	case began != 0 && increase == nil:
		increase = first.Copy()
	case began != 0:
		if !addHistogram(increase, first, a) {
			return nil
		}
	case n < 2:
		return nil
	}
	t := windowTimes{first: w.HistTimes[0], last: w.HistTimes[n-1], samples: int32(n)}
	t.of(k, w.Start, w.End, w.Seconds, began)
	factor := t.factor
	if began == 0 && k.counter {
		factor = k.counterFactor(&t, first.Count, increase.Count, w.Seconds)
	}
	return increase.Mul(factor)
}

// histogramIncrease returns the increase from the first histogram to the last,
// with what resets took away, or nil with the reason as an annotation. There are
// two histograms at least.
func (k rateKind) histogramIncrease(w *Window, a *Args) *histogram.FloatHistogram {
	hs, n := w.Hists, len(w.Hists)
	first, last := hs[0], hs[n-1]
	var notes pending
	if k.counter && (isGauge(first) || isGauge(last)) {
		notes.add(notCounter)
	}
	base := first
	if k.counter && (k.startReset(w, 1) || hs[1].DetectReset(first)) {
		// Nothing of the first counts, so its buckets do not matter.
		base = &histogram.FloatHistogram{Schema: hs[1].Schema, CustomValues: hs[1].CustomValues}
	}
	custom := base.UsesCustomBuckets()
	if last.UsesCustomBuckets() != custom {
		notes.add(mixedExponentialCustom)
		notes.report(a)
		return nil
	}
	schema := min(last.Schema, base.Schema)
	if k.counter {
		for _, h := range hs[1 : n-1] {
			if isGauge(h) {
				notes.add(notCounter)
			}
			schema = min(schema, h.Schema)
			if h.UsesCustomBuckets() != custom {
				a.note(mixedExponentialCustom)
				return nil
			}
		}
	}
	h := last.CopyToSchema(schema)
	_, _, reconciled, err := h.Sub(base)
	if err != nil {
		a.note(mixedExponentialCustom)
		return nil
	}
	if reconciled {
		notes.add(bucketsReconciledSub)
	}
	if k.counter {
		if !k.addResets(h, base, w, &notes, a) {
			return nil
		}
	} else if !isGauge(first) || !isGauge(last) {
		notes.add(notGauge)
	}
	notes.report(a)
	h.CounterResetHint = histogram.GaugeType
	return h.Compact(0)
}

// addResets adds to h what the resets took away. Of a mix of buckets it says so
// and returns false.
func (k rateKind) addResets(h, base *histogram.FloatHistogram, w *Window, notes *pending, a *Args) bool {
	before, overlap := base, false
	for i := 1; i < len(w.Hists); i++ {
		h2 := w.Hists[i]
		if !overlap && i < len(w.HistStarts) {
			s, next := sampleTime{w.HistStarts[i-1], w.HistTimes[i-1]}, sampleTime{w.HistStarts[i], w.HistTimes[i]}
			if s.overlaps(next) {
				overlap = true
				notes.overlap = true
			}
		}
		if k.startReset(w, i) || h2.DetectReset(before) {
			_, _, reconciled, err := h.Add(before)
			if err != nil {
				a.note(mixedExponentialCustom)
				return false
			}
			if reconciled {
				notes.add(bucketsReconciledAdd)
			}
		}
		before = h2
	}
	return true
}

// startReset reports whether the start timestamp of histogram i says that there
// was a reset before it.
func (k rateKind) startReset(w *Window, i int) bool {
	if i >= len(w.HistStarts) {
		return false
	}
	return sampleTime{w.HistStarts[i-1], w.HistTimes[i-1]}.resetBy(sampleTime{w.HistStarts[i], w.HistTimes[i]})
}

// pending are annotations that are not made if the window fails.
type pending struct {
	notes   []note
	overlap bool
}

func (p *pending) add(n note) { p.notes = append(p.notes, n) }

func (p *pending) report(a *Args) {
	for _, n := range p.notes {
		a.note(n)
	}
	if p.overlap {
		a.overlap()
	}
}

func isGauge(h *histogram.FloatHistogram) bool { return h.CounterResetHint == histogram.GaugeType }

// addHistogram adds other to h, or says that they do not go together.
func addHistogram(h, other *histogram.FloatHistogram, a *Args) bool {
	_, _, reconciled, err := h.Add(other)
	if err != nil {
		a.note(mixedExponentialCustom)
		return false
	}
	if reconciled {
		a.note(bucketsReconciledAdd)
	}
	return true
}

// subHistogram subtracts other from h, or says that they do not go together.
func subHistogram(h, other *histogram.FloatHistogram, a *Args) bool {
	_, _, reconciled, err := h.Sub(other)
	if err != nil {
		a.note(mixedExponentialCustom)
		return false
	}
	if reconciled {
		a.note(bucketsReconciledSub)
	}
	return true
}
