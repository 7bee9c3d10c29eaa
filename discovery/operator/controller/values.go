package controller

import (
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/gnomonhq/gnomon/discovery/kubernetes"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

// errPending is that a Secret or ConfigMap has not been read yet.
var errPending = errors.New("not read yet")

var sourceResources = map[operator.ReferenceKind]schema.GroupVersionResource{
	operator.ReferenceSecret:    {Version: "v1", Resource: "secrets"},
	operator.ReferenceConfigMap: {Version: "v1", Resource: "configmaps"},
}

// source is a Secret or ConfigMap.
type source struct {
	kind            operator.ReferenceKind
	namespace, name string
}

func sourceOf(r operator.Reference) source {
	return source{kind: r.Kind, namespace: r.Namespace, name: r.Name}
}

// values follows the Secrets and ConfigMaps that objects refer to. It is used by the
// goroutine of Run; changed is called from others.
type values struct {
	client  *kubernetes.Client
	changed func(source)
	max     int
	sources map[source]*kubernetes.Objects
}

// lookup returns the value of a reference. A source that was not followed is from now on.
func (v *values) lookup(r operator.Reference) (string, error) {
	s := sourceOf(r)
	objects := v.sources[s]
	if objects == nil {
		if len(v.sources) >= v.max {
			return "", fmt.Errorf("%s is not read: objects refer to more than %d Secrets and ConfigMaps", r, v.max)
		}
		tell := func() { v.changed(s) }
		objects = v.client.Follow(kubernetes.Query{Resource: sourceResources[r.Kind], Namespace: r.Namespace, Name: r.Name}, anyChange(tell))
		v.sources[s] = objects
	}
	if !objects.Synced() {
		if err := objects.Err(); refused(err) {
			return "", fmt.Errorf("%s cannot be read: %w", r, err)
		}
		return "", errPending
	}
	return valueOf(objects.Get(r.Namespace, r.Name), r)
}

// valueOf reads a key of a Secret or ConfigMap, which is nil if there is none.
func valueOf(u *unstructured.Unstructured, r operator.Reference) (string, error) {
	if u == nil {
		return "", fmt.Errorf("there is no %s %s/%s", r.Kind, r.Namespace, r.Name)
	}
	text, plain, _ := unstructured.NestedString(u.Object, "data", r.Key)
	if plain && r.Kind == operator.ReferenceConfigMap {
		return text, nil
	}
	encoded := plain
	if r.Kind == operator.ReferenceConfigMap {
		text, encoded, _ = unstructured.NestedString(u.Object, "binaryData", r.Key)
	}
	if !encoded {
		return "", fmt.Errorf("the %s %s/%s has no key %q", r.Kind, r.Namespace, r.Name, r.Key)
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("%s is not in base64", r) // without the value
	}
	return string(decoded), nil
}

// keep ends the following of sources that nobody refers to any more.
func (v *values) keep(used map[source]bool) {
	for s, objects := range v.sources {
		if !used[s] {
			objects.Close()
			delete(v.sources, s)
		}
	}
}

// anyChange is a handler that only tells that something has changed.
func anyChange(tell func()) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
	}
}

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
	n.wake()
}

func (n *notes) wake() {
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
