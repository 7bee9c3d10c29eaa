package operator

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v2"
)

// section is a mapping of a configuration file that is being written. The keys keep
// their order, so that equal input gives equal bytes.
type section yaml.MapSlice

// set adds a key.
func (s *section) set(key string, value any) {
	*s = append(*s, yaml.MapItem{Key: key, Value: value})
}

// text adds a key unless the value is empty.
func (s *section) text(key, value string) {
	if value != "" {
		s.set(key, value)
	}
}

// some adds a key if the value points to something. Optional fields of objects are
// pointers.
func some[T any](s *section, key string, value *T) {
	if value != nil {
		s.set(key, *value)
	}
}

// list adds a key if the list has elements.
func list[T any](s *section, key string, values []T) {
	if len(values) > 0 {
		s.set(key, values)
	}
}

// sorted returns the mapping in the order of its keys.
func sorted[V any](m map[string]V) section {
	s := make(section, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s.set(k, m[k])
	}
	return s
}
