package exec

import (
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// instant is a selector without a range: the newest sample of each series at
// each step, unless it is older than the lookback delta.
type instant struct {
	selection
	reader *reader
	looks  looks
	// stamp replaces the value by one of its times, if it is not nil: histograms
	// are floats then.
	stamp func(t, start int64) float64
	// floatsOnly fails a query that sees a histogram.
	floatsOnly bool
	used       usage
}

func (sc *scope) newInstant(n *plan.Selector) *instant {
	i := &instant{selection: selection{sc: sc, node: n}, reader: newReader(sc.memory, false)}
	r := &i.looks.reach
	*r = reach{firstEnd: sc.origin(n.At) - n.Offset.Milliseconds(), step: sc.step, length: sc.lookback, n: sc.n}
	if n.At != nil {
		r.step = 0
	}
	return i
}

func (i *instant) usage() usage { return i.used }

func (i *instant) next(s *series) (bool, error) {
	for {
		found, err := i.series()
		if err != nil {
			return false, err
		}
		if found == nil {
			return false, i.finish()
		}
		if err := i.fill(s, found); err != nil {
			return false, err
		}
		if size := s.size(); size > 0 {
			i.countSteps(s)
			s.metric = found.Labels()
			return true, i.account(&cost{size: size})
		}
	}
}

func (i *instant) selected() *selection { return &i.selection }

func (i *instant) clone() spreadable {
	o := &instant{
		selection: selection{sc: i.sc, node: i.node, length: i.length}, reader: newReader(i.sc.memory, i.reader.wantStarts),
		stamp: i.stamp, floatsOnly: i.floatsOnly,
	}
	o.looks.reach = i.looks.reach
	return o
}

func (i *instant) compute(s *series, found *foundSeries) (cost, error) {
	if err := i.fill(s, found); err != nil {
		return cost{}, err
	}
	used := cost{size: s.size(), read: len(i.reader.values)}
	if used.size > 0 {
		s.metric = found.metric
	}
	return used, nil
}

// absorb has nothing but memory to take over.
func (i *instant) absorb(clone spreadable) { _ = clone.finish() }

func (i *instant) finish() error {
	i.reader.release()
	i.looks.release()
	return nil
}

// account adds the values of a series to the statistics and to the result.
func (i *instant) account(used *cost) error {
	if c := i.sc.counts; !c.StepTrackingEnabled() {
		c.IncrementSamplesAtStep(0, int64(used.size))
		c.IncrementSamplesReadAtStep(0, int64(used.size))
	}
	i.used.hold(used.size)
	return i.sc.check(i.used)
}

// countSteps adds the values of a series to the statistics of the steps.
func (i *instant) countSteps(s *series) {
	c := i.sc.counts
	if !c.StepTrackingEnabled() {
		return
	}
	for at := range i.sc.n {
		n := 0
		if s.Valid.Has(at) {
			n = 1
		} else if h := s.hist(at); h != nil {
			n = histogramSize(h)
		}
		if n > 0 {
			c.IncrementSamplesAtStep(at, int64(n))
			c.IncrementSamplesReadAtStep(at, int64(n))
		}
	}
}

// fill puts the values of a series into s.
func (i *instant) fill(s *series, found storage.Series) error {
	clear(s.Valid)
	s.Hists = nil
	floats, err := i.reader.floats(found)
	if err != nil {
		return err
	}
	if !floats {
		return i.fillMixed(s, found)
	}
	r := i.reader
	l := i.looks.of(r)
	if i.stamp != nil {
		i.fillStamps(s, l)
		return nil
	}
	dst, values, valid := s.Floats, r.values, s.Valid
	lo := l.lo[:len(l.hi)]
	for at, hi := range l.hi {
		if lo[at] == hi {
			continue
		}
		v := values[hi-1]
		if v != v && value.IsStaleNaN(v) {
			continue
		}
		dst[at] = v
		valid[uint(at)/64] |= 1 << (uint(at) % 64)
	}
	return nil
}

func (i *instant) fillStamps(s *series, l *look) {
	for at, hi := range l.hi {
		if l.lo[at] == hi || value.IsStaleNaN(i.reader.values[hi-1]) {
			continue
		}
		var start int64
		if len(i.reader.starts) > 0 {
			start = i.reader.starts[hi-1]
		}
		s.Floats[at] = i.stamp(l.times[hi-1], start)
		s.Valid.Set(at)
	}
}

// fillMixed goes through the samples of a series that has native histograms.
// Only those that a step wants are copied.
func (i *instant) fillMixed(s *series, found storage.Series) error {
	r := i.reader
	seen := i.looks.reach
	seen.length-- // from here on Prometheus goes from sample to sample
	m := mixedLook{instant: i, s: s, found: found, stats: newStatistics(i.node.StatisticsOnly, seen)}
	r.it = found.Batches(r.it)
	r.batch.Values = nil
	for r.it.Next(&r.batch) {
		b := &r.batch
		if m.stats.on {
			// Each histogram is compared with the one before it.
			for k := range b.Times {
				m.until(b.Times[k])
				m.stats.reach(b.Times[k])
				m.take(b, k)
			}
			continue
		}
		m.until(b.Times[0])
		n := len(b.Times)
		for k := 0; k < n; k++ {
			if k+1 < n && (m.step >= i.sc.n || b.Times[k+1] <= i.looks.reach.end(m.step)) {
				continue // no step sees it
			}
			m.take(b, k)
			if k+1 < n {
				m.until(b.Times[k+1])
			}
		}
	}
	m.until(maxTime)
	if m.err != nil {
		return m.err
	}
	return r.it.Err()
}

// maxTime is after all steps.
const maxTime = 1<<63 - 1

// mixedLook hands the newest sample so far to the steps before the next one.
type mixedLook struct {
	*instant
	s     *series
	found storage.Series
	step  int
	stats statistics
	// The newest sample, if there is one.
	any      bool
	t, start int64
	f        float64
	h        *histogram.FloatHistogram
	err      error
}

// take makes sample k of a batch the newest.
func (m *mixedLook) take(b *storage.Batch, k int) {
	m.any, m.t, m.start = true, b.Times[k], 0
	if b.StartTimes != nil {
		m.start = b.StartTimes[k]
	}
	m.h = nil
	if b.Kind == storage.KindFloat {
		m.f = b.Values[k]
		return
	}
	m.f = 0
	m.h = m.stats.reduce(batchHistogram(b, k))
}

// until serves the steps that do not see a sample at t.
func (m *mixedLook) until(t int64) {
	for ; m.step < m.sc.n && m.looks.reach.end(m.step) < t; m.step++ {
		if !m.any || m.t > m.looks.reach.end(m.step) || m.t <= m.looks.reach.end(m.step)-m.looks.reach.length {
			continue
		}
		switch h := m.h; {
		case h == nil && value.IsStaleNaN(m.f), h != nil && value.IsStaleNaN(h.Sum):
		case h != nil && m.floatsOnly:
			m.err = fmt.Errorf("this should be an info metric, with float samples: %s", m.found.Labels())
		case m.stamp != nil:
			m.s.Floats[m.step] = m.stamp(m.t, m.start)
			m.s.Valid.Set(m.step)
		case h == nil:
			m.s.Floats[m.step] = m.f
			m.s.Valid.Set(m.step)
		default:
			m.s.setHist(m.step, m.sc.n, h)
		}
	}
}
