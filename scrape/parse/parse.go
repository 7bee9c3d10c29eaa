package parse

import (
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
)

// Parse reads a body that came with the content type into s. The body may be
// changed within its capacity; a byte of it to spare saves a copy. After an error
// s has the counts of what was read, and Abort has to be called; otherwise Commit
// or Abort.
func (l *Layout) Parse(s *Scrape, body []byte, contentType string, opts *Options) error {
	l.compact()
	s.begin(l)
	if err := l.media.choose(contentType, opts); err != nil {
		return err
	}
	var err error
	if l.media.positional {
		x := &s.text
		*x = text{l: l, s: s, opts: opts, b: append(body, '\n'), size: len(body), builder: x.builder, block: x.block}
		err = x.run()
	} else {
		err = l.parseEntries(s, body, contentType, opts)
	}
	switch {
	case err != nil:
		return err
	case s.overLimit || opts.SampleLimit > 0 && s.stored() > opts.SampleLimit:
		return ErrSampleLimit
	case s.overBuckets:
		return ErrBucketLimit
	}
	return nil
}

// Skip readies s for a scrape without a body: it has no samples.
func (l *Layout) Skip(s *Scrape) {
	s.begin(l)
	l.Abort(s)
}

// Abort forgets what only this body had.
func (l *Layout) Abort(s *Scrape) {
	for _, id := range s.made {
		l.forget(id)
	}
	s.made, s.fresh, s.Timed = s.made[:0], s.fresh[:0], s.Timed[:0]
	s.Row.Present = s.Row.Present[:0].Grow(l.width)
	s.Row.Histograms, s.Row.Exemplars, s.Row.StartTimes = s.Row.Histograms[:0], s.Row.Exemplars[:0], nil
}

// Commit gets columns for the new series and completes the row. If to fails,
// Commit fails: then Abort has to be called, and the columns that to handed out
// belong to nobody.
//
// Series get their columns only here, after the whole body was found to be right,
// so that a body that fails leaves nothing behind in the store, not even the
// names of its series.
func (l *Layout) Commit(s *Scrape, to Columns) error {
	changed := l.stale || len(s.made) > 0 || len(s.fresh) > 0 || !sameSet(s.seen, l.live)
	if changed {
		// What can fail comes first. Then the lines that are gone leave, so that
		// a series that has changed its line is not taken for one with two.
		if err := l.addColumns(s, to); err != nil {
			return err
		}
		if l.stale {
			l.columns = l.owned(l.columns, l.live)
		}
		s.owned = append(s.owned[:0], l.columns...)
		var order []uint32
		if l.mayShare(s) {
			order = l.order() // which ends where a line vanishes
		}
		l.forgetVanished(s)
		l.bind(s, to, order)
		l.live = append(l.live[:0], s.seen...)
		l.columns = append(l.columns[:0], s.owned...)
		l.stale = false
	}
	l.scrapes++
	s.Row.Present = append(s.Row.Present[:0], l.columns...)
	for w, word := range s.sideCols {
		if word != 0 {
			s.Row.Present = s.Row.Present.Grow((w + 1) << 6)
			s.Row.Present[w] |= word
		}
	}
	if !slices.IsSortedFunc(s.Row.Histograms, byColumn) {
		slices.SortFunc(s.Row.Histograms, byColumn)
	}
	if s.starts {
		for len(s.startTimes) < len(s.Row.Values) {
			s.startTimes = append(s.startTimes, 0)
		}
		s.Row.StartTimes = s.startTimes[:len(s.Row.Values)]
	}
	l.dropColumns(s)
	l.tellMetadata(s, to)
	return nil
}

// dropColumns forgets the columns of sides that the row has not: the group takes
// them back, and a series whose samples come without timestamps again gets a new
// one.
func (l *Layout) dropColumns(s *Scrape) {
	s.Moved = s.Moved[:0]
	for i := range l.sides {
		if known := &l.sides[i]; known.column != noColumn && !s.Row.Has(storage.Column(known.column)) {
			s.Moved = append(s.Moved, storage.Column(known.column))
			known.column = noColumn
		}
	}
}

func byColumn(a, b storage.HistogramSample) int { return int(a.Column) - int(b.Column) }

// sameSet reports whether two sets are equal.
func sameSet(a, b storage.Bitmap) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	for _, w := range b[len(a):] {
		if w != 0 {
			return false
		}
	}
	return true
}

// addColumns gets the columns of the new series of the body.
func (l *Layout) addColumns(s *Scrape, to Columns) error {
	for i := range s.fresh {
		n := &s.fresh[i]
		n.column = noColumn
		var ok bool
		if !n.refused {
			c, taken, err := to.AddColumn(n)
			if err != nil {
				return err
			}
			n.column, ok = uint32(c), taken
		}
		if !ok {
			n.column = noColumn
			if n.counted {
				s.SeriesAdded--
			}
		}
	}
	return nil
}

// mayShare reports whether a new series may have the column of another line.
func (l *Layout) mayShare(s *Scrape) bool {
	if len(s.fresh) == 0 {
		return false
	}
	if len(l.sides) > len(l.sideFree) {
		return true
	}
	taken := slices.Clone(s.owned)
	for i := range s.fresh {
		c := storage.Column(s.fresh[i].column)
		if s.fresh[i].column == noColumn {
			continue
		}
		if taken.Has(c) {
			return true
		}
		taken = taken.Grow(int(c) + 1)
		taken.Set(c)
	}
	return false
}

// bind puts the new series of the body into their columns. order is that of the
// lines, if a column may be shared.
func (l *Layout) bind(s *Scrape, to Columns, order []uint32) {
	var shared map[uint32]bool
	for i := range s.fresh {
		n := &s.fresh[i]
		if l.bindOne(s, n, to) {
			continue
		}
		if shared == nil {
			shared = map[uint32]bool{}
		}
		shared[n.column] = true
		s.Duplicates++
	}
	if len(shared) > 0 {
		l.share(s, shared, order)
	}
}

// bindOne puts a new series into the row. It returns false if the row has its
// column already, which means that several lines stand for one series.
func (l *Layout) bindOne(s *Scrape, n *NewSeries, to Columns) bool {
	known := &l.lines[n.line]
	if n.column == noColumn {
		if known.column == markFresh {
			s.seen.Unset(storage.Column(n.line))
			l.forget(n.line) // The next body is to try again.
		}
		return true
	}
	c := storage.Column(n.column)
	l.width = max(l.width, int(c)+1)
	s.Row.Values = growTo(s.Row.Values, l.width)
	s.owned, s.sideCols = s.owned.Grow(l.width), s.sideCols.Grow(l.width)
	taken := s.owned.Has(c) || s.sideCols.Has(c)
	if known.column == markFresh {
		known.column, known.about = n.column, n.family
	} else {
		l.sides[known.about].column = n.column
		s.sideCols.Set(c)
	}
	if taken {
		return false
	}
	if known.column < firstMark {
		s.owned.Set(c)
	}
	s.put(n.column, n.sample())
	if hasFamily(n.family) {
		to.SetMetadata(c, l.families.get(n.family).Metadata)
	}
	return true
}

// share makes sides of all lines that stand for a shared column. Of their
// samples the first one in the body counts.
func (l *Layout) share(s *Scrape, shared map[uint32]bool, order []uint32) {
	first := map[uint32]uint32{} // where the first line of a column is
	for id := range l.lines {
		c := l.lines[id].column
		if c == markSide {
			c = l.sides[l.lines[id].about].column
		}
		if c >= firstMark || !shared[c] || !s.seen.Has(storage.Column(id)) {
			continue
		}
		if at, ok := first[c]; !ok || order[id] < at {
			first[c] = order[id]
		}
		l.toSide(uint32(id))
		s.sideCols.Set(storage.Column(c))
		s.owned.Unset(storage.Column(c))
	}
	for i := range s.fresh {
		if n := &s.fresh[i]; order[n.line] != 0 && order[n.line] == first[n.column] {
			s.remove(n.column)
			s.put(n.column, n.sample())
		}
	}
}

// order returns where the lines are in the last text body, 0 for one that is not
// there.
func (l *Layout) order() []uint32 {
	order := make([]uint32, len(l.lines))
	id := l.lines[start].next
	for at := uint32(1); id != start && order[id] == 0; at++ {
		order[id] = at
		id = l.lines[id].next
	}
	return order
}

// forgetVanished forgets the lines that the body before had and this one has
// not.
func (l *Layout) forgetVanished(s *Scrape) {
	reread := map[uint32]bool{}
	for w, word := range l.live {
		if w < len(s.seen) {
			word &^= s.seen[w]
		}
		for ; word != 0; word &= word - 1 {
			id := uint32(w<<6 | bits.TrailingZeros64(word))
			n := l.lines[id]
			l.forget(id)
			switch {
			case n.column < firstMark:
				s.owned.Unset(storage.Column(n.column))
			case n.column == markComment && familyOf(&n) != 0:
				reread[familyOf(&n)] = true
			}
		}
	}
	if len(reread) > 0 {
		l.forgetComments(s, reread)
	}
}

// forgetComments forgets the comments that the families have left, so that those
// of the next body are read again: the one that vanished may have been the last
// word.
func (l *Layout) forgetComments(s *Scrape, families map[uint32]bool) {
	for id := range l.lines {
		n := &l.lines[id]
		if n.column == markComment && families[familyOf(n)] {
			l.forget(uint32(id))
			s.seen.Unset(storage.Column(id))
		}
	}
}

// tellMetadata passes on what changed in families, and forgets the families that
// are gone.
func (l *Layout) tellMetadata(s *Scrape, to Columns) {
	if len(l.families.changed) > 0 {
		changed := map[uint32]metadata.Metadata{}
		for _, id := range l.families.changed {
			changed[id] = l.families.get(id).Metadata
		}
		l.families.changed = l.families.changed[:0]
		l.eachSeries(func(column uint32, family *uint32) {
			if m, ok := changed[*family]; ok && column != noColumn {
				to.SetMetadata(storage.Column(column), m)
			}
		})
		for i := range s.Timed {
			if n := &l.lines[s.Timed[i].line]; n.column == markSide {
				_, s.Timed[i].described = changed[l.sides[n.about].family]
			}
		}
	}
	if l.scrapes%familyGrace != 0 {
		return
	}
	if gone := l.families.expire(l.scrapes); len(gone) > 0 {
		l.eachSeries(func(_ uint32, family *uint32) {
			if gone[*family&^notOf] {
				*family = 0
			}
		})
	}
}
