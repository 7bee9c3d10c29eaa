package kubernetes

import (
	"context"

	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// Discovery finds the targets of one configuration: it passes on what the feeds of its
// namespaces have, and what changes of it. It runs once.
type Discovery struct {
	mechanism *Mechanism
	cluster   *cluster
	feeds     []*feed
}

// Run implements upstream's Discoverer. It returns once ctx has ended and what only this
// job used is stopped.
func (d *Discovery) Run(ctx context.Context, updates chan<- []*targetgroup.Group) {
	defer d.mechanism.release(d.cluster, d.feeds)
	s := newSubscription()
	for _, f := range d.feeds {
		f.subscribe(s)
		defer f.unsubscribe(s)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.news:
		}
		groups := s.take()
		if len(groups) == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case updates <- groups:
		}
	}
}
