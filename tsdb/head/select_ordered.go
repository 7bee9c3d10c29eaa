package head

import (
	"context"

	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// SelectOrdered returns all series with a sample in the querier's range, in the
// order of the series of a block. They are [OrderedSeries].
func (q *Querier) SelectOrdered(ctx context.Context) storage.SeriesSet {
	return q.selection(ctx, q.mint, q.maxt, nil).ordered()
}

// ordered returns the series in the order of a block.
func (s *seriesSet) ordered() *orderedSet {
	return &orderedSet{seriesSet: s, order: s.inOrderOfBlock()}
}

// orderedSet goes through the series in the order of a block. It holds the numbers
// of all series, and the labels of those of one metric.
type orderedSet struct {
	*seriesSet
	order *index.MetricOrder
	// numbers are the labels by their ranks in the order, as the dictionary has them.
	dictionary *block.Dictionary
	numbers    []block.Label
	known      []bool
	ranks      []uint32 // scratch memory
}

func (s *orderedSet) At() storage.Series                { return OrderedSeries{s.at, s} }
func (s *orderedSet) Err() error                        { return s.err }
func (s *orderedSet) Warnings() annotations.Annotations { return s.q.warnings() }

// OrderedSeries is a series in the order of a block.
type OrderedSeries struct {
	*headSeries
	set *orderedSet
}

// Number appends the labels to dst, by the numbers of a dictionary. All series of a
// set are given the same one, each while it is the current one.
func (s OrderedSeries) Number(d *block.Dictionary, dst []block.Label) []block.Label {
	set := s.set
	if set.dictionary != d {
		n := set.order.MaxRank() + 1
		set.dictionary, set.numbers, set.known = d, make([]block.Label, n), make([]bool, n)
	}
	symbols := set.q.head.reg.symbols
	set.ranks = set.order.Labels(set.ranks[:0])
	for _, r := range set.ranks {
		if !set.known[r] {
			p := set.order.Label(r)
			set.numbers[r], set.known[r] = d.Number(symbols.String(p.Name), symbols.String(p.Value)), true
		}
		dst = append(dst, set.numbers[r])
	}
	return dst
}
