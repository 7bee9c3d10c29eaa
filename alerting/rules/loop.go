package rules

import (
	"context"
	"time"
)

// run evaluates the group on its slots until it is stopped or ctx ends. A query
// that runs when ctx ends is cancelled; one that runs when the group is stopped
// is waited for.
func (g *group) run(ctx context.Context) {
	defer close(g.stopped)
	// The first slot is the next one: the present one may have been evaluated
	// by a predecessor.
	slot := slotBefore(time.Now(), g.interval, slotOffset(g.file, g.spec.Name, g.interval))
	for first := true; ; first = false {
		if !g.wait(ctx, slot.Add(g.interval)) {
			return
		}
		var missed int
		slot, missed = nextSlot(slot, time.Now(), g.interval)
		if missed > 0 {
			g.metrics.iterations.Add(float64(missed))
			g.metrics.iterationsMissed.Add(float64(missed))
		}
		g.iterate(ctx, slot)
		// The second evaluation is the first one that sees what was scraped
		// since the start and what recording rules made of it.
		if g.restore && !first && !g.isStopping(ctx) {
			g.restoreAlerts(ctx, time.Now())
		}
	}
}

// wait waits until t and reports false if the group is to end. It never waits
// for longer than an interval, whatever happens to the clock.
func (g *group) wait(ctx context.Context, t time.Time) bool {
	if g.isStopping(ctx) {
		return false
	}
	timer := time.NewTimer(min(time.Until(t), g.interval))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-g.stopping:
		return false
	case <-timer.C:
		return true
	}
}

// isStopping reports whether the group is to end.
func (g *group) isStopping(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	case <-g.stopping:
		return true
	default:
		return false
	}
}

// iterate evaluates the group at a slot and takes the time.
func (g *group) iterate(ctx context.Context, slot time.Time) {
	began := time.Now()
	g.metrics.iterations.Inc()
	g.evaluate(ctx, slot)
	took := time.Since(began)

	var sum time.Duration
	for _, r := range g.rules {
		c := r.core()
		c.mu.Lock()
		sum += c.mu.duration
		c.mu.Unlock()
	}
	g.metrics.groupDuration.Observe(took.Seconds())
	g.metrics.groupDurationHistogram.Observe(took.Seconds())
	g.metrics.ruleDurationSum.Set(sum.Seconds())
	g.metrics.lastDuration.Set(took.Seconds())
	g.metrics.lastEvaluation.Set(float64(began.UnixNano()) / 1e9)

	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.took, g.mu.beganAt, g.mu.slot = took, began, slot
}
