package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
)

// Query says which objects are followed.
type Query struct {
	Resource schema.GroupVersionResource
	// Namespace is empty for all, and for objects that belong to none.
	Namespace string
	// Name is that of the only object; empty for all.
	Name string
}

// Objects are followed through one of the mechanism's watches, with its metrics and in its
// sources. They are unstructured, so that one that is not as its kind should be does not
// keep the others from being read; the record of who set which field is left out. Safe for
// concurrent use.
type Objects struct {
	watch   *watch
	lent    *lent
	release func()
}

// Client is that of an API server for what is not followed.
type Client struct {
	Dynamic dynamic.Interface
	release func()
	cluster *cluster
	m       *Mechanism
}

// Connect returns a client of the API server that a configuration names; its roles and
// namespaces do not matter. It opens no connection. The client must be closed.
func (m *Mechanism) Connect(c *upstream.SDConfig) (*Client, error) {
	to, err := connectionOf(c)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	where, err := m.cluster(to)
	if err != nil {
		return nil, err
	}
	where.clients++
	return &Client{Dynamic: where.api.dynamic, cluster: where, m: m, release: sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		where.clients--
		m.forgetIdle(where)
	})}, nil
}

// Close ends the use of the client. Objects that are followed through it must have been
// closed.
func (c *Client) Close() { c.release() }

// Follow starts to follow objects and tells the handler of each, from a goroutine of its
// own, one after the other. They must be closed.
func (c *Client) Follow(q Query, handler cache.ResourceEventHandler) *Objects {
	m := c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	s := selector{}
	if q.Name != "" {
		s.field = "metadata.name=" + q.Name
	}
	w := m.watch(c.cluster, watchKey{resource: m.dynamicResource(q.Resource), namespace: q.Namespace, selector: s})
	o := &Objects{watch: w, lent: &lent{SharedIndexInformer: w.informer}}
	o.release = sync.OnceFunc(func() { m.stopFollowing(c.cluster, o) })
	if _, err := o.lent.AddEventHandler(handler); err != nil {
		// Only an informer that has ended refuses, and this one has a user.
		panic(err)
	}
	return o
}

// stopFollowing takes the objects' handler off their watch, and ends it if it was the last.
func (m *Mechanism) stopFollowing(c *cluster, o *Objects) {
	must(o.lent.giveBack())
	m.mu.Lock()
	o.watch.users--
	last := o.watch.users == 0
	if last {
		delete(c.watches, o.watch.watchKey)
		m.forgetIdle(c)
	}
	m.mu.Unlock()
	if last {
		o.watch.stop()
	}
}

// Close ends the following. The handler is told of nothing once it has returned, but for a
// call that runs already.
func (o *Objects) Close() { o.release() }

// Synced reports whether the handler was told of all objects that there were at first.
func (o *Objects) Synced() bool { return o.lent.handlers[0].HasSynced() }

// Err returns what keeps the objects from being followed; nil if nothing does.
func (o *Objects) Err() error {
	_, _, err := o.watch.health.state()
	return err
}

// Get returns one object, which is shared and must not be changed; nil if there is none.
func (o *Objects) Get(namespace, name string) *unstructured.Unstructured {
	k := name
	if namespace != "" {
		k = key(namespace, name)
	}
	known, _, _ := o.watch.informer.GetStore().GetByKey(k)
	u, _ := known.(*unstructured.Unstructured)
	return u
}

// List returns the objects that are known; they are shared and must not be changed.
func (o *Objects) List() []*unstructured.Unstructured {
	known := o.watch.informer.GetStore().List()
	out := make([]*unstructured.Unstructured, 0, len(known))
	for _, x := range known {
		if u, ok := x.(*unstructured.Unstructured); ok {
			out = append(out, u)
		}
	}
	return out
}

// dynamicResource returns the resource of a name; there is one for each, since watches are
// told apart by it.
func (m *Mechanism) dynamicResource(r schema.GroupVersionResource) *resource {
	if known := m.dynamic[r]; known != nil {
		return known
	}
	client := func(a *api, namespace string) dynamic.ResourceInterface {
		if namespace == "" {
			return a.dynamic.Resource(r)
		}
		return a.dynamic.Resource(r).Namespace(namespace)
	}
	made := &resource{
		name: strings.Trim(fmt.Sprintf("%s.%s", r.Resource, r.Group), "."), object: &unstructured.Unstructured{},
		client: func(a *api) any { return a.dynamic },
		list: func(ctx context.Context, a *api, namespace string, o metav1.ListOptions) (runtime.Object, error) {
			return client(a, namespace).List(ctx, o)
		},
		watch: func(ctx context.Context, a *api, namespace string, o metav1.ListOptions) (apiwatch.Interface, error) {
			return client(a, namespace).Watch(ctx, o)
		},
	}
	m.dynamic[r] = made
	return made
}

// NewClient returns a client of a server that somebody else has connected to, with a
// mechanism of its own; for tests, whose server is only played.
func NewClient(server dynamic.Interface, address string, logger *slog.Logger) *Client {
	m, err := New(prometheus.NewRegistry(), logger)
	must(err)
	m.connect = func(connection) (*api, string, error) { return &api{dynamic: server}, address, nil }
	c, err := m.Connect(&upstream.SDConfig{})
	must(err)
	return c
}
