package discovery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	upstream "github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// runs counts the mechanisms that are running, so that their owner can wait for them:
// upstream's manager starts them and lets go.
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

// own wraps every configuration so that the mechanisms it creates are counted. Equal
// configurations stay equal under reflect.DeepEqual, by which upstream recognises the
// mechanisms that can go on undisturbed.
func (r *runs) own(configs Configs) Configs {
	owned := make(Configs, len(configs))
	for i, c := range configs {
		owned[i] = ownedConfig{Config: c, runs: r}
	}
	return owned
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

// ownedConfig is a configuration whose mechanism is counted while it runs.
type ownedConfig struct {
	upstream.Config
	runs *runs
}

// NewDiscoverer implements upstream's Config.
func (c ownedConfig) NewDiscoverer(opts upstream.DiscovererOptions) (upstream.Discoverer, error) {
	d, err := c.Config.NewDiscoverer(opts)
	if err != nil {
		return nil, err
	}
	return &ownedDiscoverer{Discoverer: d, name: c.Name(), runs: c.runs}, nil
}

// ownedDiscoverer is a mechanism that is counted while it runs.
type ownedDiscoverer struct {
	upstream.Discoverer
	name string
	runs *runs
}

// Run implements upstream's Discoverer.
func (d *ownedDiscoverer) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	if !d.runs.begin(d.name) {
		return
	}
	defer d.runs.end(d.name)
	d.Discoverer.Run(ctx, up)
}
