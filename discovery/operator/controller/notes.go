package controller

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gnomonhq/gnomon/discovery/operator"
)

// notes are what handlers of events leave for Run. Safe for concurrent use.
type notes struct {
	news chan struct{} // holds one sign if there is something to take

	mu struct {
		sync.Mutex
		objects    map[identity]bool
		sources    map[source]bool
		namespaces map[string]bool
	}
}

// identity is that of an object.
type identity struct {
	kind            operator.Kind
	namespace, name string
}

func newNotes() *notes {
	n := &notes{news: make(chan struct{}, 1)}
	n.take()
	return n
}

func (n *notes) object(id identity)    { n.note(func() { n.mu.objects[id] = true }) }
func (n *notes) source(s source)       { n.note(func() { n.mu.sources[s] = true }) }
func (n *notes) namespace(name string) { n.note(func() { n.mu.namespaces[name] = true }) }

func (n *notes) note(write func()) {
	n.mu.Lock()
	write()
	n.mu.Unlock()
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// take returns what was noted since the last time.
func (n *notes) take() (objects map[identity]bool, sources map[source]bool, namespaces map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	objects, sources, namespaces = n.mu.objects, n.mu.sources, n.mu.namespaces
	n.mu.objects, n.mu.sources, n.mu.namespaces = map[identity]bool{}, map[source]bool{}, map[string]bool{}
	return objects, sources, namespaces
}

// eachChange is a handler that passes the namespace and name of each object that is new,
// changed or gone.
func eachChange(tell func(namespace, name string)) cache.ResourceEventHandler {
	note := func(o any) {
		if m, ok := o.(metav1.Object); ok {
			tell(m.GetNamespace(), m.GetName())
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, o any) { note(o) }, DeleteFunc: note}
}
