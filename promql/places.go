package promql

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// places bounds how many queries run at once. Queries that find no place wait; a
// place that becomes free goes to the most urgent class, and within it to who
// waits longest. It is used by any number of goroutines.
//
// Rules are never kept from running by people: a fifth of the places, one at
// least if there are two, is for them only. People are never kept from running by
// each other for ever: every eighth place goes to who waits longest, whatever the
// class.
type places struct {
	max, reserved, maxWaiting int
	metrics                   *metrics

	mu struct {
		sync.Mutex
		free    []int // numbers
		rules   int   // of the places that are taken, those of rules
		granted int
		waiting [numClasses][]*waiter
	}
}

// waiter is a query that waits for a place.
type waiter struct {
	class Class
	since time.Time
	place chan int // has room for one
}

// longestFirst is after how many places one goes to who waits longest.
const longestFirst = 8

func newPlaces(most, maxWaiting int, m *metrics) *places {
	p := &places{max: most, maxWaiting: maxWaiting, metrics: m}
	if most > 1 {
		p.reserved = max(1, most/5)
	}
	for i := range most {
		p.mu.free = append(p.mu.free, most-1-i)
	}
	return p
}

// take waits for a place until ctx is done, and returns its number, 0 <= n < max.
// It is given back by release. The error is errQueueFull or that of the context.
func (p *places) take(ctx context.Context, class Class) (int, error) {
	p.mu.Lock()
	if place, ok := p.grantLocked(class); ok {
		p.mu.Unlock()
		return place, nil
	}
	if n := p.waitingLocked(); n >= p.maxWaiting {
		p.mu.Unlock()
		p.metrics.refused.WithLabelValues(class.String()).Inc()
		return 0, fmt.Errorf("%w: %d queries run and %d wait, which is as many as may (--query.max-concurrency, --query.max-waiting)", errQueueFull, p.max, n)
	}
	w := &waiter{class, time.Now(), make(chan int, 1)}
	p.mu.waiting[class] = append(p.mu.waiting[class], w)
	p.mu.Unlock()
	waits := p.metrics.waiting.WithLabelValues(class.String())
	waits.Inc()
	defer waits.Dec()
	select {
	case place := <-w.place:
		return place, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case place := <-w.place: // it came at the same time
		p.releaseLocked(place, class)
	default:
		p.mu.waiting[class] = slices.DeleteFunc(p.mu.waiting[class], func(o *waiter) bool { return o == w })
	}
	return 0, ctx.Err()
}

// release gives a place back.
func (p *places) release(place int, class Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked(place, class)
}

func (p *places) releaseLocked(place int, class Class) {
	p.mu.free = append(p.mu.free, place)
	if class == ClassRule {
		p.mu.rules--
	}
	for {
		w := p.nextLocked()
		if w == nil {
			return
		}
		place, ok := p.grantLocked(w.class)
		if !ok {
			return
		}
		p.mu.waiting[w.class] = slices.DeleteFunc(p.mu.waiting[w.class], func(o *waiter) bool { return o == w })
		w.place <- place
	}
}

// grantLocked takes a place for a class, if there is one that it may have.
func (p *places) grantLocked(class Class) (int, bool) {
	n := len(p.mu.free)
	if n == 0 || !p.mayLocked(class) {
		return 0, false
	}
	place := p.mu.free[n-1]
	p.mu.free = p.mu.free[:n-1]
	if class == ClassRule {
		p.mu.rules++
	}
	p.mu.granted++
	return place, true
}

// mayLocked reports whether a class may have one of the free places: what is
// reserved for rules and not taken by them has to stay.
func (p *places) mayLocked(class Class) bool {
	return class == ClassRule || len(p.mu.free) > max(0, p.reserved-p.mu.rules)
}

// nextLocked returns who gets the next place, or nil if nobody may.
func (p *places) nextLocked() *waiter {
	var next *waiter
	for _, class := range classes {
		if len(p.mu.waiting[class]) == 0 || !p.mayLocked(class) {
			continue
		}
		w := p.mu.waiting[class][0]
		if next == nil || (p.mu.granted+1)%longestFirst == 0 && w.since.Before(next.since) {
			next = w
		}
	}
	return next
}

func (p *places) waitingLocked() (n int) {
	for class := range p.mu.waiting {
		n += len(p.mu.waiting[class])
	}
	return n
}
