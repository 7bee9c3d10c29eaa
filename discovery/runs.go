package discovery

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// runs counts the mechanisms that are running, so that their owner can wait for them
// and name those that do not end.
type runs struct {
	mu struct {
		sync.Mutex
		// stopped is set once the owner waits; nothing starts from then on.
		stopped bool
		// active counts the runs by the mechanism's name.
		active map[string]int
	}
	// idle is closed when stopped is set and active is empty.
	idle chan struct{}
}

func newRuns() *runs {
	r := &runs{idle: make(chan struct{})}
	r.mu.active = make(map[string]int)
	return r
}

// begin counts a run of the named mechanism; false means that it must not start.
func (r *runs) begin(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.stopped {
		return false
	}
	r.mu.active[name]++
	return true
}

// end undoes begin.
func (r *runs) end(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.active[name]--; r.mu.active[name] == 0 {
		delete(r.mu.active, name)
	}
	if r.mu.stopped && len(r.mu.active) == 0 {
		close(r.idle)
	}
}

// stop prevents further runs, waits until those that are active have ended, which their
// context must have told them to, and returns the names of those that had not after the
// timeout. It is called once.
func (r *runs) stop(timeout time.Duration) []string {
	r.mu.Lock()
	r.mu.stopped = true
	if len(r.mu.active) == 0 {
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()

	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-r.idle:
		return nil
	case <-timer.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.mu.active))
}
