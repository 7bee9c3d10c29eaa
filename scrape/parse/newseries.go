package parse

import (
	"math/bits"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// EachNew calls f with the labels of each series of the body that has neither a
// column nor a reference yet, between Parse and Commit. A series may come more
// than once: with several timestamps, or by several lines that relabelling makes
// equal.
func (s *Scrape) EachNew(f func(ls labels.Labels)) {
	for i := range s.fresh {
		f(s.fresh[i].Labels)
	}
	for i := range s.Timed {
		if s.Timed[i].Ref == 0 {
			f(s.Timed[i].Labels)
		}
	}
}

// RefuseNew leaves those of the series that EachNew has out of the row and of
// Timed of which refuse says so. It calls refuse in the same order.
func (s *Scrape) RefuseNew(refuse func(ls labels.Labels) bool) {
	for i := range s.fresh {
		s.fresh[i].refused = refuse(s.fresh[i].Labels)
	}
	kept := s.Timed[:0]
	for i := range s.Timed {
		t := &s.Timed[i]
		if t.Ref == 0 && refuse(t.Labels) {
			if t.isNew {
				s.SeriesAdded--
			}
			continue
		}
		kept = append(kept, *t)
	}
	clear(s.Timed[len(kept):])
	s.Timed = kept
}

// Known returns the number of series of the body that EachNew has not, between
// Parse and Commit.
func (l *Layout) Known(s *Scrape) int {
	n := 0
	var columns storage.Bitmap // of sides: several lines may stand for one
	for w, word := range s.seen {
		for ; word != 0; word &= word - 1 {
			switch known := &l.lines[w<<6|bits.TrailingZeros64(word)]; {
			case known.column < firstMark:
				n++
			case known.column == markSide:
				side := &l.sides[known.about]
				if side.column != noColumn {
					columns = columns.Grow(int(side.column) + 1)
					columns.Set(storage.Column(side.column))
				} else if side.ref != 0 {
					n++
				}
			}
		}
	}
	return n + columns.Count()
}
