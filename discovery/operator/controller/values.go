package controller

import (
	"encoding/base64"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gnomonhq/gnomon/discovery/kubernetes"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

// errPending is that a Secret or ConfigMap has not been read yet.
var errPending = errors.New("not read yet")

// errFull is that no more Secrets and ConfigMaps are followed.
var errFull = errors.New("too many")

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
			return "", fmt.Errorf("%s is not read: objects refer to %w: more than %d Secrets and ConfigMaps", r, errFull, v.max)
		}
		query := kubernetes.Query{Resource: sourceResources[r.Kind], Namespace: r.Namespace, Name: r.Name}
		objects = v.client.Follow(query, eachChange(func(string, string) { v.changed(s) }))
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

// keep ends the following of sources that nobody refers to any more, and reports whether
// there were any.
func (v *values) keep(used map[source]bool) (freed bool) {
	for s, objects := range v.sources {
		if !used[s] {
			objects.Close()
			delete(v.sources, s)
			freed = true
		}
	}
	return freed
}
