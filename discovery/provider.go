package discovery

import (
	"context"
	"sync"
	"time"

	upstream "github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

const (
	// updateQueue is the number of updates of a mechanism that wait to be read, so that
	// it does not have to wait for its reader.
	updateQueue = 1024
	// readInterval is the time between two looks at the queue while updates come, since
	// waking up for each costs more than the update.
	readInterval = 10 * time.Millisecond
)

// provider is one mechanism that runs. All target sets with an equal configuration
// share it, and its groups are kept once.
type provider struct {
	config     upstream.Config
	discoverer upstream.Discoverer
	cancel     context.CancelFunc

	mu struct {
		sync.Mutex
		table groupTable
		// updates counts the updates that were read, the first of which says that the
		// mechanism has looked around.
		updates uint64
	}
}

// run runs the mechanism until ctx ends. onUpdate is called after one or more updates
// were read, with their number.
func (p *provider) run(ctx context.Context, onUpdate func(n int)) {
	updates := make(chan []*targetgroup.Group, updateQueue)
	var reader sync.WaitGroup
	reader.Go(func() { p.read(ctx, updates, onUpdate) })
	p.discoverer.Run(ctx, updates)
	reader.Wait()
}

// read takes updates until ctx ends or the mechanism closes the channel, which some do
// although they should not.
func (p *provider) read(ctx context.Context, updates <-chan []*targetgroup.Group, onUpdate func(n int)) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case first, ok := <-updates:
			if !ok {
				return
			}
			onUpdate(p.apply(first, updates))
		}
		pause.Reset(readInterval)
	}
}

// apply takes an update and those that wait behind it, and returns their number.
func (p *provider) apply(update []*targetgroup.Group, updates <-chan []*targetgroup.Group) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := 1; ; n++ {
		p.mu.updates++
		p.mu.table.apply(update)
		if n == updateQueue {
			return n
		}
		select {
		case next, ok := <-updates:
			if !ok {
				return n
			}
			update = next
		default:
			return n
		}
	}
}

// snapshot is what a provider had to say at one time.
type snapshot struct {
	groups  []*targetgroup.Group // shared; the same slice until something changes
	targets int
	updates uint64
}

func (p *provider) snapshot() snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return snapshot{groups: p.mu.table.share(), targets: p.mu.table.targets, updates: p.mu.updates}
}
