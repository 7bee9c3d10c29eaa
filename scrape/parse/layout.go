package parse

import (
	"hash/maphash"
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
)

// line is what is known of one line of a target's exposition. The entries of
// OpenMetrics and protobuf are lines as well.
type line struct {
	// hash is that of the first size bytes: up to the number, or all of a
	// comment.
	hash uint64
	// next is the number of the line that came after this one. It is a guess,
	// never relied on.
	next uint32
	// size is 0 for a line that cannot be recognised by its first bytes alone.
	size uint32
	// column is the column of the series, or one of the marks below.
	column uint32
	// about is the number of the metric family of a series (or of one that it is
	// known not to belong to, see notOf) or of comments (of those the code of a type
	// is in the upper byte), or the index into Layout.sides or into Scrape.fresh.
	about uint32
}

// Marks that a line has in place of a column.
const (
	markDropped = math.MaxUint32 - iota // relabelling dropped the series
	markComment                         // successive comment lines about one family
	markSide                            // the series is in Layout.sides
	markFresh                           // the series is new in the body being parsed
	markFree                            // the line number is not in use
	firstMark
)

// side is a series that needs more than a column: one whose samples come with a
// timestamp, and one that several lines stand for.
type side struct {
	column uint32 // noColumn if there is none
	family uint32
	ref    storage.SeriesRef // of the store's appender; 0 if it is not known
}

const noColumn = math.MaxUint32

// start is the line before the first one. No body has it.
const start = 0

// Layout is what is known of a target's exposition after its last body. The
// package comment describes it. A line costs about 35 bytes.
type Layout struct {
	seed     maphash.Seed
	nothing  uint64 // a hash that the empty string does not have
	lines    []line
	index    index
	free     []uint32
	sides    []side
	sideFree []uint32
	families *Families
	scrapes  uint64

	// live has the lines of the last body, columns the columns of those of them
	// that are not sides. stale says that columns is out of date.
	live    storage.Bitmap
	columns storage.Bitmap
	stale   bool
	width   int // one more than the largest column
	media   media
	scratch scanned
}

// NewLayout returns a layout that knows nothing.
func NewLayout() *Layout {
	l := &Layout{seed: maphash.MakeSeed(), families: newFamilies()}
	l.nothing = ^maphash.Bytes(l.seed, nil)
	l.Reset()
	return l
}

// Reset forgets all lines, but not the metadata. Columns stay as they are in the
// group: a series that comes again gets its column back.
func (l *Layout) Reset() {
	for id := range l.lines {
		l.dropFamily(&l.lines[id])
	}
	l.lines = []line{{hash: l.nothing, column: markFree}}
	l.index = index{}
	l.free, l.sides, l.sideFree = nil, nil, nil
	l.live, l.columns, l.stale, l.width = nil, nil, false, 0
	l.media = media{}
}

// Families returns the metadata of the target.
func (l *Layout) Families() *Families { return l.families }

// Lines returns the number of lines that are known.
func (l *Layout) Lines() int { return len(l.lines) - 1 - len(l.free) }

// add makes a line.
func (l *Layout) add(n line) uint32 {
	var id uint32
	if k := len(l.free); k > 0 {
		id, l.free = l.free[k-1], l.free[:k-1]
	} else {
		id = uint32(len(l.lines))
		l.lines = append(l.lines, line{})
	}
	l.lines[id] = n
	l.index.insert(l.lines, id)
	return id
}

// link makes id the line that comes after prev, and returns it. It is not called for
// a line that the body had before, so that the chain has each line once, where it
// was first. A new line takes
// over the successor that was expected in its place, since most likely it was
// inserted; a known line keeps its own. So after an insertion, a removal or a
// move the chain fits again from the next line on.
func (l *Layout) link(prev, id uint32, isNew bool) uint32 {
	if lines := l.lines; lines[prev].next != id {
		if isNew {
			lines[id].next = lines[prev].next
		}
		lines[prev].next = id
	}
	return id
}

// forget removes a line.
func (l *Layout) forget(id uint32) {
	n := &l.lines[id]
	l.index.remove(l.lines, id)
	l.dropFamily(n)
	if n.column == markSide {
		l.sides[n.about] = side{column: noColumn}
		l.sideFree = append(l.sideFree, n.about)
	}
	*n = line{hash: l.nothing, column: markFree}
	l.free = append(l.free, id)
}

// dropFamily notes that a comment line of a family is gone.
func (l *Layout) dropFamily(n *line) {
	if n.column == markComment && familyOf(n) != 0 {
		l.families.addLines(familyOf(n), -1, l.scrapes)
	}
}

// toSide makes the series of a line a side and returns it.
func (l *Layout) toSide(id uint32) *side {
	n := &l.lines[id]
	if n.column != markSide {
		s := side{column: noColumn}
		if n.column < firstMark {
			s.column, s.family = n.column, n.about
		}
		n.column, n.about = markSide, l.newSide(s)
		l.stale = true
	}
	return &l.sides[n.about]
}

func (l *Layout) newSide(s side) uint32 {
	if k := len(l.sideFree); k > 0 {
		id := l.sideFree[k-1]
		l.sideFree = l.sideFree[:k-1]
		l.sides[id] = s
		return id
	}
	l.sides = append(l.sides, s)
	return uint32(len(l.sides) - 1)
}

// compactLines is the number of lines below which unused room does not matter.
const compactLines = 1024

// compact gives back room after lines have vanished or the slice of lines has
// grown past its need. Between two bodies only live lines are in use.
func (l *Layout) compact() {
	if len(l.lines) < compactLines || len(l.free) <= len(l.lines)/2 && cap(l.lines)-len(l.lines) <= len(l.lines)/8 {
		return
	}
	old := l.lines
	number := make([]uint32, len(old)) // of the lines that stay
	l.lines = make([]line, 1, 1+l.Lines())
	l.lines[start] = old[start]
	for id := 1; id < len(old); id++ {
		if old[id].column != markFree {
			number[id] = uint32(len(l.lines))
			l.lines = append(l.lines, old[id])
		}
	}
	l.free, l.index, l.live = nil, index{}, storage.Bitmap(nil).Grow(len(l.lines))
	for id := range l.lines {
		l.lines[id].next = number[l.lines[id].next]
		if id != start {
			l.index.insert(l.lines, uint32(id))
			l.live.Set(storage.Column(id))
		}
	}
}

// owned fills b with the columns of the lines in the set that are not sides.
func (l *Layout) owned(b, lines storage.Bitmap) storage.Bitmap {
	b = b.Grow(l.width)
	b.Clear()
	for w, word := range lines {
		for ; word != 0; word &= word - 1 {
			if c := l.lines[w<<6|bits.TrailingZeros64(word)].column; c < firstMark {
				b.Set(storage.Column(c))
			}
		}
	}
	return b
}

// SetRef tells the reference that the store's appender gave to a series with
// timestamps.
func (l *Layout) SetRef(t *TimedSample, ref storage.SeriesRef) {
	if n := &l.lines[t.line]; n.column == markSide {
		l.sides[n.about].ref = ref
	}
}

// InRow calls f with the appender's references to the series of which s has a
// sample in the row.
func (l *Layout) InRow(s *Scrape, f func(ref storage.SeriesRef)) {
	for i := range l.sides {
		if known := &l.sides[i]; known.ref != 0 && known.column != noColumn && s.Row.Has(storage.Column(known.column)) {
			f(known.ref)
		}
	}
}

// MetadataOf returns the metadata of the family of a series with timestamps, if
// it is known.
func (l *Layout) MetadataOf(t *TimedSample) (metadata.Metadata, bool) {
	n := &l.lines[t.line]
	if n.column != markSide || !hasFamily(l.sides[n.about].family) {
		return metadata.Metadata{}, false
	}
	return l.families.get(l.sides[n.about].family).Metadata, true
}

// eachSeries calls f for the series that are known, with their column, noColumn if
// they have none, and the number of their family, which f may change.
func (l *Layout) eachSeries(f func(column uint32, family *uint32)) {
	for i := range l.lines {
		if n := &l.lines[i]; n.column < firstMark {
			f(n.column, &n.about)
		}
	}
	for i := range l.sides {
		f(l.sides[i].column, &l.sides[i].family)
	}
}

// Columns is the group that the rows go to, as far as a layout needs it.
type Columns interface {
	// AddColumn returns the column of a series. ok is false if the store
	// refuses this series and takes others; an error fails the scrape.
	AddColumn(s *NewSeries) (c storage.Column, ok bool, err error)
	// SetMetadata tells the metadata of a column's family.
	SetMetadata(c storage.Column, m metadata.Metadata)
}
