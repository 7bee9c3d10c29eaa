package exec

import (
	"math/bits"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"

	"github.com/gnomonhq/gnomon/promql/functions"
)

// series is a series with its values at the steps.
type series struct {
	metric labels.Labels
	// dropName says that the name does not belong to the values any more. If
	// names are not removed late, it is gone already.
	dropName bool
	// typed says that more than the name was taken off the labels.
	typed bool
	// both says that there is a float and a histogram at some step: two series
	// became the same.
	both bool
	functions.Steps
}

// operator yields the series of a node, each with a value at one step at least.
type operator interface {
	// next fills s with the next series and reports whether there is one. The
	// memory of s belongs to the caller; next writes into it, or puts memory
	// there that it does not use any more. s was reset for the steps of the
	// operator. After an error or the end it is not called again.
	next(s *series) (bool, error)
	// usage is known once next returned false.
	usage() usage
}

// reset makes s empty, with room for n steps.
func (s *series) reset(n int) {
	if cap(s.Floats) < n {
		s.Floats = make([]float64, n)
		s.Valid = functions.NewBitmap(n)
	}
	s.Floats = s.Floats[:n]
	s.Valid = s.Valid[:(n+63)/64]
	clear(s.Valid)
	s.metric, s.dropName, s.typed, s.both, s.Hists = labels.EmptyLabels(), false, false, false, nil
}

// newSeries returns an empty series for n steps.
func newSeries(n int) *series {
	s := &series{}
	s.reset(n)
	return s
}

// empty reports whether there is no value.
func (s *series) empty() bool {
	for _, w := range s.Valid {
		if w != 0 {
			return false
		}
	}
	for _, h := range s.Hists {
		if h != nil {
			return false
		}
	}
	return true
}

// setHist puts a histogram at step i of n.
func (s *series) setHist(i, n int, h *histogram.FloatHistogram) {
	if s.Hists == nil {
		s.Hists = make([]*histogram.FloatHistogram, n)
	}
	s.Hists[i] = h
}

// has reports whether there is a value at step i.
func (s *series) has(i int) bool { return s.Valid.Has(i) || s.hist(i) != nil }

// hist returns the histogram at step i, or nil.
func (s *series) hist(i int) *histogram.FloatHistogram {
	if s.Hists == nil {
		return nil
	}
	return s.Hists[i]
}

// present returns the steps that have a value, float or histogram. The bitmap
// may be that of the floats.
func (s *series) present() functions.Bitmap {
	if s.Hists == nil {
		return s.Valid
	}
	p := make(functions.Bitmap, len(s.Valid))
	copy(p, s.Valid)
	for i, h := range s.Hists {
		if h != nil {
			p.Set(i)
		}
	}
	return p
}

// only leaves the values at the steps of keep.
func (s *series) only(keep functions.Bitmap) {
	for w := range s.Valid {
		s.Valid[w] &= keep[w]
	}
	for i, h := range s.Hists {
		if h != nil && !keep.Has(i) {
			s.Hists[i] = nil
		}
	}
}

// withoutHists leaves the floats only.
func (s *series) withoutHists() { s.Hists = nil }

// size is what the values count as in a result.
func (s *series) size() int {
	n := countBits(s.Valid)
	for _, h := range s.Hists {
		if h != nil {
			n += histogramSize(h)
		}
	}
	return n
}

// unname takes the name away, now or later.
func (ev *evaluator) unname(s *series) {
	s.dropName = true
	if ev.opts.DelayedNames {
		return
	}
	nameless := s.metric.DropReserved(isName)
	s.metric = nameless.DropReserved(schema.IsMetadataLabel)
	s.typed = s.typed || !labels.Equal(s.metric, nameless)
}

func isName(label string) bool { return label == model.MetricNameLabel }

func countBits(b functions.Bitmap) int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// fillBits sets the first n bits.
func fillBits(b functions.Bitmap, n int) {
	for w := range b {
		b[w] = ^uint64(0)
	}
	if rest := uint(n) % 64; rest != 0 {
		b[len(b)-1] = 1<<rest - 1
	}
}

// slab makes series whose memory lies together.
type slab struct {
	n      int
	series []series
	floats []float64
	bits   functions.Bitmap
	made   int
}

// maxSlab bounds how many series of a slab have their memory together.
const maxSlab = 256

// next returns an empty series.
func (l *slab) next() *series {
	words := (l.n + 63) / 64
	if len(l.series) == 0 {
		count := max(1, min(l.made, maxSlab, 1<<15/max(l.n, 1)))
		l.series = make([]series, count)
		l.floats = make([]float64, count*l.n)
		l.bits = make(functions.Bitmap, count*words)
	}
	s := &l.series[0]
	s.Floats, s.Valid = l.floats[:l.n:l.n], l.bits[:words:words]
	l.series, l.floats, l.bits = l.series[1:], l.floats[l.n:], l.bits[words:]
	l.made++
	return s
}

// collect returns all series of an operator.
func (sc *scope) collect(op operator) ([]*series, error) {
	var all []*series
	memory := slab{n: sc.n}
	for {
		s := memory.next()
		ok, err := op.next(s)
		if err != nil {
			return nil, err
		}
		if !ok {
			return all, nil
		}
		if err := sc.keep(s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
}

// pull resets s and gets the next series for a node that looks at its operands
// step by step.
func (sc *scope) pull(op operator, s *series) (bool, error) {
	s.reset(sc.n)
	ok, err := op.next(s)
	if s.both {
		s.settle()
	}
	return ok, err
}

// firstError returns the error of an operator, if it has one, or later: that of
// something that is evaluated after it, as far as anybody can tell.
func (sc *scope) firstError(op operator, later error) error {
	s := newSeries(sc.n)
	for {
		ok, err := sc.pull(op, s)
		if err != nil {
			return err
		}
		if !ok {
			return later
		}
	}
}

// gather is collect for a node that looks at its operands step by step.
func (sc *scope) gather(op operator) ([]*series, error) {
	all, err := sc.collect(op)
	for _, s := range all {
		if s.both {
			s.settle()
		}
	}
	return all, err
}

// settle takes out the histograms from the first step on that has a float too:
// that is what Prometheus sees of such a series step by step.
func (s *series) settle() {
	gone := false
	for i := range s.Hists {
		if gone = gone || s.Hists[i] != nil && s.Valid.Has(i); gone {
			s.Hists[i] = nil
		}
	}
	s.both = false
}

// handOut gives the memory of a series that is not used any more to the caller
// of an operator.
func (s *series) handOut(to *series) { *to, *s = *s, *to }

// list is an operator over series that were collected.
type list struct {
	series []*series
	used   usage
	// memory counts the series until they are handed out; nil if nobody does.
	memory *Memory
}

func (l *list) next(s *series) (bool, error) {
	for len(l.series) > 0 {
		at := l.series[0]
		l.series[0], l.series = nil, l.series[1:]
		if l.memory != nil {
			l.memory.give(at.bytes())
		}
		if at.empty() {
			continue
		}
		at.handOut(s)
		return true, nil
	}
	return false, nil
}

func (l *list) usage() usage { return l.used }
