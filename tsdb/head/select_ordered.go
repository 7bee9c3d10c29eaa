package head

import (
	"context"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// SelectOrdered returns all series with a sample in the querier's range, in the
// order of compare, which goes by metric name first, bytewise. Its series have a
// method Metadata.
func (q *Querier) SelectOrdered(ctx context.Context, compare func(a, b labels.Labels) int) storage.SeriesSet {
	return q.selection(ctx, q.mint, q.maxt, nil).ordered(compare)
}

// ordered returns the series in the order of compare.
func (s *seriesSet) ordered(compare func(a, b labels.Labels) int) *orderedSet {
	reg := s.q.head.reg
	byMetric := map[string][]uint32{}
	for it := s.ids.Iterator(); it.HasNext(); {
		id := it.Next()
		if found := reg.byID(id); found != nil {
			metric := reg.sets.Value(found.labels, model.MetricNameLabel)
			byMetric[metric] = append(byMetric[metric], id)
		}
	}
	return &orderedSet{set: s, compare: compare, byMetric: byMetric, metrics: slices.Sorted(maps.Keys(byMetric))}
}

// orderedSet goes through the series metric by metric: it holds the numbers of all
// series, but the labels of those of one metric only.
type orderedSet struct {
	set      *seriesSet
	compare  func(a, b labels.Labels) int
	byMetric map[string][]uint32
	metrics  []string // those to come

	list []*headSeries // of a metric
	next int           // in list
}

func (s *orderedSet) Next() bool {
	for s.next++; s.next >= len(s.list); s.next = 0 {
		if s.set.err != nil || len(s.metrics) == 0 {
			return false
		}
		s.load()
	}
	return true
}

// load looks at the series of the next metric. There are none after an error.
func (s *orderedSet) load() {
	ids := s.byMetric[s.metrics[0]]
	s.metrics = s.metrics[1:]
	s.set.next = func() (id uint32, ok bool) {
		if len(ids) == 0 {
			return 0, false
		}
		id, ids = ids[0], ids[1:]
		return id, true
	}
	s.list = s.list[:0]
	for s.set.Next() {
		s.set.at.labels = s.set.at.Labels()
		s.list = append(s.list, s.set.at)
	}
	if s.set.err != nil {
		s.list = nil
	}
	slices.SortFunc(s.list, func(a, b *headSeries) int { return s.compare(a.labels, b.labels) })
}

func (s *orderedSet) At() storage.Series                { return s.list[s.next] }
func (s *orderedSet) Err() error                        { return s.set.err }
func (s *orderedSet) Warnings() annotations.Annotations { return s.set.q.warnings() }
