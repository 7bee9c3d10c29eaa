package kubernetes

import (
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

const (
	// maxInterned is the number of strings beyond which all are forgotten, so that keys
	// that come and go do not stay for ever.
	maxInterned = 1 << 16
	// maxInternedBytes is the length beyond which a string is not worth a lookup.
	maxInternedBytes = 256
)

// interner makes equal strings share their bytes: names of labels, images and nodes
// repeat in thousands of objects. Safe for concurrent use.
type interner struct {
	mu    sync.Mutex
	known map[string]string
}

func (in *interner) string(s string) string {
	if len(s) == 0 || len(s) > maxInternedBytes {
		return s
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.lookup(s)
}

func (in *interner) lookup(s string) string {
	if known, ok := in.known[s]; ok {
		return known
	}
	if in.known == nil || len(in.known) >= maxInterned {
		in.known = make(map[string]string)
	}
	in.known[s] = s
	return s
}

// strings returns a map of equal content, which is as large as it has to be.
func (in *interner) strings(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[in.string(k)] = in.string(v)
	}
	return out
}

// group makes the names of a group's labels shared ones. The group is the caller's: nobody
// else has seen it yet.
func (in *interner) group(g *targetgroup.Group) {
	in.labels(g.Labels)
	for _, target := range g.Targets {
		in.labels(target)
	}
}

// labels replaces the names of labels by equal ones: an assignment to a key of type string
// stores the key again.
func (in *interner) labels(set model.LabelSet) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for name, value := range set {
		if len(name) <= maxInternedBytes {
			set[model.LabelName(in.lookup(string(name)))] = value
		}
	}
}
