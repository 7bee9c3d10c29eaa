package head

import (
	"slices"

	"github.com/prometheus/common/model"
)

// Stats describe a head.
type Stats struct {
	Series, LabelPairs, Chunks int
	// MinTime and MaxTime bound the samples, milliseconds.
	MinTime, MaxTime int64
	// The greatest entries, descending: series of each metric name, values of
	// each label name, bytes of the values of each label name, series of each
	// label pair.
	SeriesByMetric, ValuesByLabel, BytesByLabel, SeriesByPair []Stat
}

// Stat is a name with a count.
type Stat struct {
	Name  string
	Value uint64
}

// top keeps the greatest entries.
type top struct {
	limit int
	list  []Stat
}

func (t *top) add(name string, value uint64) {
	if t.limit <= 0 || (len(t.list) == t.limit && value <= t.list[t.limit-1].Value) {
		return
	}
	i, _ := slices.BinarySearchFunc(t.list, value, func(s Stat, v uint64) int {
		if s.Value >= v {
			return -1
		}
		return 1
	})
	t.list = slices.Insert(t.list, i, Stat{name, value})
	if len(t.list) > t.limit {
		t.list = t.list[:t.limit]
	}
}

// Stats counts what the head has; each list has at most limit entries.
func (h *Head) Stats(limit int) (Stats, error) {
	names, err := h.reg.postings.Names()
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Series: int(h.reg.count.Load()), Chunks: h.chunks(), MinTime: h.MinTime(), MaxTime: h.MaxTime()}
	metrics, values, bytes, pairs := top{limit: limit}, top{limit: limit}, top{limit: limit}, top{limit: limit}
	for _, name := range names {
		count, size := uint64(0), uint64(0)
		h.reg.postings.ValueCounts(name, func(value string, series int) bool {
			count++
			size += uint64(len(value))
			pairs.add(name+"="+value, uint64(series))
			if name == model.MetricNameLabel {
				metrics.add(value, uint64(series))
			}
			return true
		})
		s.LabelPairs += int(count)
		values.add(name, count)
		bytes.add(name, size)
	}
	s.SeriesByMetric, s.ValuesByLabel, s.BytesByLabel, s.SeriesByPair = metrics.list, values.list, bytes.list, pairs.list
	return s, nil
}

// Groups returns the number of groups that are open or have rows.
func (h *Head) Groups() int { return h.groupCount() }

// logBytes is LogBytes for the metrics, which may be asked for before the log
// is open.
func (h *Head) logBytes() float64 {
	if !h.open.Load() {
		return 0
	}
	n, err := h.LogBytes()
	if err != nil {
		return 0
	}
	return float64(n)
}

// LogSizes returns the bytes of the newest checkpoint and of what was logged since.
func (h *Head) LogSizes() (checkpoint, since int64, err error) { return h.log.Sizes() }

// LogBytes returns the size of the log on disk.
func (h *Head) LogBytes() (int64, error) { return h.log.Size() }

// NextTime returns the time of the oldest sample at from or later;
// math.MaxInt64 if there is none.
func (h *Head) NextTime(from int64) int64 {
	next := int64(maxTime)
	for _, g := range h.allGroups() {
		v := g.pin()
		for _, seg := range v.segments {
			if lo, hi := seg.span(from, next); lo < hi {
				next = seg.times.at(lo)
				break
			}
		}
		if lo, hi := spanOf(v.window.times, from, next); lo < hi {
			next = v.window.times[lo]
		}
		v.unpin()
	}
	h.reg.each(func(s *series) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		loose := s.looseLocked()
		if loose.empty() {
			return true
		}
		for i := range loose.tail {
			if t := loose.tail[i].T; t >= from {
				next = min(next, t)
			}
		}
		for c := range loose.sealed {
			next = min(next, c.next(from))
		}
		return true
	})
	return next
}
