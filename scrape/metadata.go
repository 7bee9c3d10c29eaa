package scrape

import (
	"github.com/prometheus/common/model"

	"github.com/gnomonhq/gnomon/scrape/parse"
)

// MetricMetadata is what a target says about one of its metric families.
type MetricMetadata struct {
	MetricFamily string
	Type         model.MetricType
	Help         string
	Unit         string
}

func (t *Target) families() *parse.Families {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mu.state.families
}

// ListMetadata returns the metadata of all metric families that the target
// exposes, or did a few scrapes ago, in no particular order.
func (t *Target) ListMetadata() []MetricMetadata {
	list := t.families().List()
	result := make([]MetricMetadata, 0, len(list))
	for _, f := range list {
		result = append(result, MetricMetadata{MetricFamily: f.Name, Type: f.Type, Help: f.Help, Unit: f.Unit})
	}
	return result
}

// GetMetadata returns the metadata of a metric family.
func (t *Target) GetMetadata(family string) (MetricMetadata, bool) {
	m, ok := t.families().Get(family)
	if !ok {
		return MetricMetadata{}, false
	}
	return MetricMetadata{MetricFamily: family, Type: m.Type, Help: m.Help, Unit: m.Unit}, true
}

// SizeMetadata returns the length in bytes of the types, units and helps of all
// metric families.
func (t *Target) SizeMetadata() int { return t.families().Size() }

// LengthMetadata returns the number of metric families with metadata.
func (t *Target) LengthMetadata() int { return t.families().Len() }
