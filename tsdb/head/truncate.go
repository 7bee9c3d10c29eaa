package head

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/metadata"
)

// floorMemory is how long the head remembers, after a deletion, how new the
// samples of a series were that has none left, milliseconds.
const floorMemory = 2 * 3_600_000

// Drain waits until every querier that is open now is closed.
func (h *Head) Drain(ctx context.Context) error { return h.txns.drain(ctx) }

// LastTransaction returns the number of the last transaction whose samples a
// querier that is opened now sees.
func (h *Head) LastTransaction() uint64 {
	h.txns.commit.Lock()
	defer h.txns.commit.Unlock()
	return h.txns.last()
}

// Truncate removes what is older than t: rows of groups, and loose samples of
// the transactions up to txn. They are in blocks now, and no open querier needs
// them: see Drain. Series that have nothing left, and no group that holds them,
// leave the head.
func (h *Head) Truncate(t int64, txn uint64) error {
	if err := h.WaitReplayed(context.Background()); err != nil {
		return err
	}
	if err := h.running(); err != nil {
		return err
	}
	defer h.done()
	h.maintenance.Lock()
	defer h.maintenance.Unlock()
	start := time.Now()
	h.metrics.truncations.Inc()
	h.reg.reuse()
	low := int64(maxTime)
	for _, g := range h.allGroups() {
		low = min(low, g.truncate(t))
	}
	oldest, failed := h.truncateAllSeries(t, txn)
	low = min(low, oldest)
	h.dropGroups()
	if keep := h.retention.Load(); keep > 0 {
		h.exemplars.expire(h.maxTime.Load() - keep)
	}
	h.minTime.Store(low)
	h.metrics.gcDuration.Observe(time.Since(start).Seconds())
	if failed != nil {
		h.metrics.truncationsFailed.Inc()
	}
	return failed
}

// truncatedAtOnce is after how many series transactions are let through.
const truncatedAtOnce = 512

// truncateAllSeries truncates the series and removes those that have nothing left. It returns
// the time of the oldest loose sample.
func (h *Head) truncateAllSeries(t int64, txn uint64) (low int64, failed error) {
	low = maxTime
	used := map[*metadata.Metadata]struct{}{}
	var last *metadata.Metadata
	var dead []*series
	n := 0
	h.txns.commit.Lock()
	h.reg.each(func(s *series) bool {
		if n++; n%truncatedAtOnce == 0 {
			h.txns.commit.Unlock()
			runtime.Gosched()
			h.txns.commit.Lock()
		}
		oldest, gone, err := h.truncateSeries(s, t, txn)
		if err != nil && failed == nil {
			failed = err
		}
		low = min(low, oldest)
		if gone {
			dead = append(dead, s)
			return true
		}
		s.mu.Lock()
		m := s.metadata
		s.mu.Unlock()
		if m != nil && m != last {
			last = m
			used[m] = struct{}{}
		}
		return true
	})
	h.txns.commit.Unlock()
	h.families.sweep(used)
	h.reg.remove(dead)
	return low, failed
}

// truncate drops segments whose rows are all older than t and returns the time
// of the oldest row that stays, or t if that is later.
func (g *group) truncate(t int64) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.rmu.window.times); n > 0 && g.rmu.window.times[n-1] < t {
		g.sealLocked()
	}
	n := 0
	for n < len(g.rmu.segments) && g.rmu.segments[n].maxt() < t {
		n++
	}
	segments := slices.Clone(g.rmu.segments[n:])
	g.rmu.Lock()
	g.rmu.segments = segments
	g.rmu.Unlock()
	switch {
	case len(segments) > 0:
		return max(t, segments[0].mint())
	case len(g.rmu.window.times) > 0:
		return max(t, g.rmu.window.times[0])
	default:
		return maxTime
	}
}

// truncateSeries drops loose samples and places without rows. It returns the time of the oldest
// loose sample, and whether nothing is left: the series is dead then, and to be removed.
func (h *Head) truncateSeries(s *series, t int64, txn uint64) (oldest int64, gone bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest = maxTime
	if loose := s.looseLocked(); loose != nil {
		_, err = loose.filter(minTime, t-1, func(ts int64, with uint64) bool { return ts >= t || with > txn })
		if loose.empty() {
			s.more.loose = nil
		} else {
			oldest = loose.oldest()
		}
	}
	if live, _ := s.liveLocked(); live == 0 { // else newest may count a row that is on its way
		s.untrackLocked()
	}
	over := func(p place) bool { return !p.live && !p.group.hasRowsOf(s, p.col) }
	if places := s.placesLocked(); slices.ContainsFunc(places, over) {
		s.setPlacesLocked(slices.DeleteFunc(slices.Clone(places), over))
	}
	if floor := s.floorLocked(); floor != minTime && floor >= h.RememberedFrom() {
		return oldest, false, err
	}
	return oldest, s.retireLocked(), err
}

// hasRowsOf reports whether a row of the group has a sample of the series in the
// column.
func (g *group) hasRowsOf(s *series, col uint32) bool {
	g.rmu.Lock()
	empty := len(g.rmu.segments) == 0 && len(g.rmu.window.times) == 0
	g.rmu.Unlock()
	if empty {
		return false
	}
	var v groupView
	g.pinInto(&v)
	defer v.unpin()
	_, ok := v.newest(s, col)
	return ok
}

// dropGroups forgets closed groups without rows.
func (h *Head) dropGroups() {
	for _, g := range h.allGroups() {
		g.mu.Lock()
		gone := g.closed && len(g.rmu.segments) == 0 && len(g.rmu.window.times) == 0
		g.mu.Unlock()
		if gone {
			h.groups.Lock()
			delete(h.groups.byID, g.id)
			h.groups.Unlock()
		}
	}
}

func (h *Head) groupCount() int {
	h.groups.Lock()
	defer h.groups.Unlock()
	return len(h.groups.byID)
}

// chunks counts the encoded columns of groups and loose chunks of series.
func (h *Head) chunks() int {
	n := 0
	for _, g := range h.allGroups() {
		v := g.pin()
		for _, seg := range v.segments {
			n += seg.chunks()
		}
		v.unpin()
	}
	return n
}
