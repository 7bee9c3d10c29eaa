package discovery

import "time"

const (
	// gatherTime is how long the first change after a quiet time waits for others.
	gatherTime = 50 * time.Millisecond
	// minInterval is the least time between two deliveries, as what happens to a
	// target is of interest within a second.
	minInterval = 500 * time.Millisecond
	// idleShare bounds the receiver's work: it is left alone for this many times as
	// long as a delivery keeps it busy.
	idleShare = 4
)

// pacer decides when changes are delivered: soon, unless deliveries keep the receiver
// busy. It is pure and used by one goroutine.
type pacer struct {
	// interval is the present time between deliveries, from min to max.
	interval, min, max time.Duration
	// last is when the receiver took the last delivery; zero before the first.
	last time.Time
}

// newPacer returns a pacer whose intervals do not exceed longest.
func newPacer(longest time.Duration) *pacer {
	shortest := min(minInterval, longest)
	return &pacer{interval: shortest, min: shortest, max: longest}
}

// wait returns how long a change that came just now waits for its delivery.
func (p *pacer) wait(now time.Time) time.Duration {
	gather := min(gatherTime, p.min)
	if p.last.IsZero() {
		return gather
	}
	return max(gather, p.interval-now.Sub(p.last))
}

// delivered notes that a delivery was offered and when it was taken. It returns whether
// the receiver kept it waiting.
func (p *pacer) delivered(offered, taken time.Time) bool {
	const scheduling = 5 * time.Millisecond // Not the receiver's doing.
	late := taken.Sub(offered) > scheduling
	switch {
	case late && !p.last.IsZero():
		p.interval = min(max(idleShare*taken.Sub(p.last), p.min), p.max)
	default:
		p.interval = max(p.interval/2, p.min)
	}
	p.last = taken
	return late
}
