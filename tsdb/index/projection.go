package index

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Projection makes label sets with a few of their labels only. What is left of
// many sets is the same, and is made once. It is used by one goroutine; sets must
// have a user meanwhile.
type Projection struct {
	sets    *LabelSets
	names   []Symbol
	kept    []Pair
	key     []byte
	made    map[string]labels.Labels
	builder labels.ScratchBuilder
}

// maxProjected bounds the label sets that a projection keeps.
const maxProjected = 1 << 14

// NewProjection keeps the labels of the names. It returns nil if series have
// labels of type and unit: these are dropped with the name, and then what is left
// out tells series apart.
func (s *LabelSets) NewProjection(names []string) *Projection {
	p := &Projection{sets: s, made: map[string]labels.Labels{}}
	for _, name := range []string{model.MetricTypeLabel, model.MetricUnitLabel} {
		if _, ok := s.symbols.Lookup(name); ok {
			return nil
		}
	}
	for _, name := range names {
		if n, ok := s.symbols.Lookup(name); ok {
			p.names = append(p.names, n)
		}
	}
	return p
}

// Labels returns the labels of a set that are kept.
func (p *Projection) Labels(set LabelSet) labels.Labels {
	p.kept, p.key = p.kept[:0], p.key[:0]
	for _, part := range [2]string{p.sets.part(set.shared).pairs, p.sets.part(set.own).pairs} {
		for len(part) > 0 {
			var at Pair
			if at, part = takePair(part); slices.Contains(p.names, at.Name) {
				p.kept = append(p.kept, at)
				p.key = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(p.key, uint32(at.Name)), uint32(at.Value))
			}
		}
	}
	ls, ok := p.made[string(p.key)]
	if ok {
		return ls
	}
	slices.SortFunc(p.kept, func(a, b Pair) int {
		return strings.Compare(p.sets.symbols.String(a.Name), p.sets.symbols.String(b.Name))
	})
	p.builder.Reset()
	for _, at := range p.kept {
		p.builder.Add(p.sets.symbols.String(at.Name), p.sets.symbols.String(at.Value))
	}
	ls = p.builder.Labels()
	if len(p.made) < maxProjected {
		p.made[string(p.key)] = ls
	}
	return ls
}
