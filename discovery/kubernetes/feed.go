package kubernetes

import (
	"context"
	"log/slog"
	"sync"

	upstreamdiscovery "github.com/prometheus/prometheus/discovery"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"github.com/gnomonhq/gnomon/discovery"
)

// feedKey is all that the target groups of one namespace depend on.
type feedKey struct {
	role      upstream.Role
	namespace string
	selectors selectors
	attach    attached
}

// selectors are those of the resources that a role reads.
type selectors struct{ node, pod, service, endpoints, endpointslice, ingress selector }

// attached is what of other objects becomes labels.
type attached struct{ node, namespace, deployment, job, cronJob bool }

func selectorsOf(c *upstream.SDConfig) selectors {
	var s selectors
	for _, x := range c.Selectors {
		one := selector{label: x.Label, field: x.Field}
		switch x.Role {
		case upstream.RoleNode:
			s.node = one
		case upstream.RolePod:
			s.pod = one
		case upstream.RoleService:
			s.service = one
		case upstream.RoleEndpoint:
			s.endpoints = one
		case upstream.RoleEndpointSlice:
			s.endpointslice = one
		case upstream.RoleIngress:
			s.ingress = one
		}
	}
	return s
}

// attachedOf leaves out what the role does not heed, so that it does not tell feeds apart.
func attachedOf(c *upstream.SDConfig) attached {
	a := c.AttachMetadata
	switch c.Role {
	case upstream.RoleNode:
		return attached{}
	case upstream.RoleService, upstream.RoleIngress:
		return attached{namespace: a.Namespace}
	}
	return attached{node: a.Node, namespace: a.Namespace, deployment: a.Deployment, job: a.Job, cronJob: a.CronJob}
}

// feed has the target groups of a feedKey and tells its subscribers what changes of them.
type feed struct {
	feedKey
	builder upstreamdiscovery.Discoverer
	lent    []*lent
	watches []*watch
	in      *interner
	users   int // under the mechanism's lock
	cancel  context.CancelFunc
	done    chan struct{}

	mu struct {
		sync.Mutex
		groups      map[string]*targetgroup.Group // by source
		subscribers map[*subscription]struct{}
	}
}

// start runs the feed until stop.
func (f *feed) start(logger *slog.Logger) {
	f.mu.groups = map[string]*targetgroup.Group{}
	f.mu.subscribers = map[*subscription]struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.done = cancel, make(chan struct{})
	updates := make(chan []*targetgroup.Group)
	var running sync.WaitGroup
	running.Go(func() { f.builder.Run(ctx, updates) })
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case groups := <-updates:
				f.publish(groups)
			}
		}
	})
	go func() {
		defer close(f.done)
		running.Wait()
		for _, l := range f.lent {
			if err := l.giveBack(); err != nil {
				logger.Error("a Kubernetes feed goes on although nobody needs it", "role", f.role, "namespace", f.namespace, "err", err)
			}
		}
	}()
}

// stop ends the feed and waits for it.
func (f *feed) stop() {
	f.cancel()
	<-f.done
}

// publish takes groups up and passes on those that changed.
func (f *feed) publish(groups []*targetgroup.Group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range groups {
		old := f.mu.groups[g.Source]
		switch {
		case len(g.Targets) == 0 && old == nil:
			continue
		case len(g.Targets) == 0:
			delete(f.mu.groups, g.Source)
			g = &targetgroup.Group{Source: g.Source}
		case old != nil && discovery.EqualGroups(old, g):
			continue
		default:
			f.in.group(g)
			f.mu.groups[g.Source] = g
		}
		for s := range f.mu.subscribers {
			s.put(g)
		}
	}
}

// subscribe gives s all groups, and from then on those that change.
func (f *feed) subscribe(s *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.subscribers[s] = struct{}{}
	for _, g := range f.mu.groups {
		s.put(g)
	}
}

func (f *feed) unsubscribe(s *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.subscribers, s)
}
