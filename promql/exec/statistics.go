package exec

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// statistics reduces the histograms of a series to count and sum, if it is on.
// Without buckets a counter reset cannot be seen any more, so it is noted.
//
// Prometheus notes it of the samples that it comes by. A step that sees nothing of
// what the one before saw has it jump to where its own samples may begin, and of the
// first one there it does not know.
type statistics struct {
	on   bool
	seen reach
	last *histogram.FloatHistogram
	// step is the first one that may have anything to do with the samples after at, the
	// time of the last sample that was not jumped over.
	step int
	at   int64
}

func newStatistics(on bool, seen reach) statistics {
	return statistics{on: on, seen: seen, at: math.MinInt64}
}

// reach goes on to the sample at t.
func (s *statistics) reach(t int64) {
	if !s.on {
		return
	}
	for s.step < s.seen.n && s.seen.end(s.step) <= s.at {
		s.step++
	}
	if s.step < s.seen.n {
		// A fixed range is looked for once.
		if begin := s.seen.end(s.step) - s.seen.length; begin > s.at {
			s.last = nil
			if t < begin {
				return
			}
		}
	}
	s.at = t
}

func (s *statistics) reduce(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if !s.on {
		return h
	}
	out := &histogram.FloatHistogram{CounterResetHint: h.CounterResetHint, Schema: h.Schema, Count: h.Count, Sum: h.Sum}
	if value.IsStaleNaN(h.Sum) {
		return out
	}
	if out.CounterResetHint == histogram.UnknownCounterReset && s.last != nil {
		out.CounterResetHint = histogram.NotCounterReset
		if h.DetectReset(s.last) {
			out.CounterResetHint = histogram.CounterReset
		}
	}
	s.last = h
	return out
}
