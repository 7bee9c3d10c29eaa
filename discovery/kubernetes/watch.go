package kubernetes

import (
	"context"
	"log/slog"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// selector selects objects by their labels and fields, in Kubernetes's notation. The server
// applies it, so that what nobody wants is not sent.
type selector struct{ label, field string }

// watchKey says which objects a watch follows.
type watchKey struct {
	resource  *resource
	namespace string // empty for all
	selector  selector
}

// watch follows objects: it lists them once, is told of changes from then on, and keeps
// them trimmed. Users are counted by the mechanism.
type watch struct {
	watchKey
	informer cache.SharedIndexInformer
	health   *health
	users    int
	cancel   context.CancelFunc
	done     chan struct{}
}

// startWatch makes a watch and starts it.
func startWatch(k watchKey, c *cluster, in *interner, m *metrics, logger *slog.Logger) *watch {
	h := &health{
		metrics: m, server: c.server, resource: k.resource.name, namespace: k.namespace, selector: k.selector,
		logger: logger.With("server", c.server, "resource", k.resource.name, "namespace", k.namespace),
	}
	list := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			k.selector.apply(&o)
			objects, err := k.resource.list(ctx, c.api, k.namespace, o)
			h.listed(ctx, err)
			return objects, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			k.selector.apply(&o)
			events, err := k.resource.watch(ctx, c.api, k.namespace, o)
			if err != nil {
				if o.SendInitialEvents == nil || !apierrors.IsInvalid(err) {
					h.failed(ctx, err)
				} // else: a server that is too old for it; client-go lists instead
				return nil, err
			}
			return h.observe(events), nil
		},
	}
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.FromSlogHandler(h.logger.Handler())))
	w := &watch{watchKey: k, health: h, cancel: cancel, done: make(chan struct{})}
	w.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(list, k.resource.client(c.api)), k.resource.object, 0, cache.Indexers{})
	// Both fail only on an informer that has started.
	must(w.informer.SetTransform(in.trim))
	must(w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) { h.ended(ctx, err) }))
	m.begin(w)
	go func() {
		defer close(w.done)
		defer m.end(w)
		w.informer.RunWithContext(ctx)
	}()
	return w
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// String returns the selector for metrics and messages; it is empty if everything is
// selected.
func (s selector) String() string {
	if s.label != "" && s.field != "" {
		return s.label + "; " + s.field
	}
	return s.label + s.field
}

func (s selector) apply(o *metav1.ListOptions) { o.LabelSelector, o.FieldSelector = s.label, s.field }

// stop ends the watch and waits for it.
func (w *watch) stop() {
	w.cancel()
	<-w.done
}

// addIndexes adds those of the indexes that the watch has not. It is called under the
// mechanism's lock.
func (w *watch) addIndexes(names []string) {
	missing := cache.Indexers{}
	known := w.informer.GetIndexer().GetIndexers()
	for _, name := range names {
		if known[name] == nil {
			missing[name] = index(name)
		}
	}
	if len(missing) > 0 {
		must(w.informer.AddIndexers(missing)) // fails only on a watch that was stopped
	}
}
