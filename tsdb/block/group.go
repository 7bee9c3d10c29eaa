package block

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/gnomonhq/gnomon/internal/yield"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// groupBuilder collects the columns of the series of a frame, so that those of the same time
// come to lie together in pages.
type groupBuilder struct {
	limit  int    // Of the series of a frame.
	first  uint32 // The first series of the frame.
	series int
	// columns are the chunks, and the exemplars, of the series. Their floats and bytes lie in
	// the two slices.
	columns []pendingColumn
	floats  []float64
	bytes   []byte

	encoder     encoding.PageWriter
	page, heads []byte
	frame       frameColumns
	offer       yield.Offer
}

// pendingColumn is a chunk that is not in a page yet.
type pendingColumn struct {
	series uint32 // In the frame.
	// key is about the time of the first row. It does not descend within a series.
	key  int64
	kind byte
	// bucket says that the series is the next bucket of the histogram of the series before.
	bucket                bool
	presence, startTimes  bool
	timeline, first, rows uint32
	floats, bytes         span
}

// span is a part of a slice.
type span struct{ from, to int }

// Limits of what a groupBuilder keeps in memory; a series is kept as a whole.
const (
	maxGroupFloats = 1 << 21
	maxGroupBytes  = 16 << 20
)

func (g *groupBuilder) begin(first uint32) {
	g.first, g.series = first, 0
	g.columns, g.floats, g.bytes = g.columns[:0], g.floats[:0], g.bytes[:0]
}

func (g *groupBuilder) full() bool {
	return len(g.floats) >= maxGroupFloats || len(g.bytes) >= maxGroupBytes
}

// add takes the chunks and exemplars of the next series.
func (g *groupBuilder) add(s *Series, bucket bool, timelines []timelineEntry) {
	key := int64(math.MinInt64)
	if cap(g.floats) == 0 {
		g.reserve(s)
	}
	for i := range s.Chunks {
		c := &s.Chunks[i]
		key = max(key, timelines[c.Timeline].near(c.FirstRow))
		from := span{len(g.floats), len(g.bytes)}
		g.floats = append(g.floats, c.Floats...)
		g.bytes = c.appendBytes(g.bytes)
		g.columns = append(g.columns, pendingColumn{
			series: uint32(g.series), key: key, kind: byte(c.Kind), bucket: bucket && c.Kind == storage.KindFloat && c.Presence == nil,
			presence: c.Presence != nil, startTimes: len(c.StartTimes) > 0,
			timeline: c.Timeline, first: c.FirstRow, rows: c.Rows,
			floats: span{from.from, len(g.floats)}, bytes: span{from.to, len(g.bytes)},
		})
	}
	g.addExemplars(s.Exemplars, key)
	g.series++
}

// reserve makes room for the floats of a frame of series like the first one: growing little by
// little would copy them several times, and touch as much memory.
func (g *groupBuilder) reserve(s *Series) {
	n := 0
	for i := range s.Chunks {
		n += len(s.Chunks[i].Floats)
	}
	g.floats = make([]float64, 0, min(n*g.limit, maxGroupFloats))
}

func (g *groupBuilder) addExemplars(es []exemplar.Exemplar, key int64) {
	if len(es) == 0 {
		return
	}
	from := len(g.bytes)
	g.bytes = appendExemplars(g.bytes, es)
	g.columns = append(g.columns, pendingColumn{series: uint32(g.series), key: key, kind: columnExemplars, bytes: span{from, len(g.bytes)}})
}

// near is about the time of a row.
func (e *timelineEntry) near(row uint32) int64 {
	if e.rows < 2 {
		return e.mint
	}
	return e.mint + (e.maxt-e.mint)/int64(e.rows-1)*int64(row)
}

// sameRows says whether two columns have the same rows.
func (c *pendingColumn) sameRows(o *pendingColumn) bool {
	return c.timeline == o.timeline && c.first == o.first && c.rows == o.rows
}

// followsIn says whether the column is the next bucket of the histogram of the one before, in
// the same rows.
func (c *pendingColumn) followsIn(before *pendingColumn) bool {
	return c.bucket && before.series+1 == c.series && before.kind == c.kind && !before.presence && c.sameRows(before)
}

// flushGroup writes the pages of the group and its part of the directory.
func (w *Writer) flushGroup() error {
	g := &w.group
	if g.series == 0 {
		return nil
	}
	// Ascending in time, and of the same time in the order of the series.
	slices.SortStableFunc(g.columns, func(a, b pendingColumn) int { return cmp.Compare(a.key, b.key) })
	e := frameEntry{first: g.first, series: uint32(g.series), page: uint32(len(w.pages))}
	g.frame.reset()
	for from := 0; from < len(g.columns); {
		n, err := w.writeColumns(g.columns[from:])
		if err != nil {
			return err
		}
		from += n
	}
	var err error
	g.page = g.frame.append(g.page[:0])
	if e.columns, err = w.writeCompressed(g.page); err != nil {
		return err
	}
	w.frames = append(w.frames, e)
	w.labels.endFrame()
	g.begin(uint32(w.stats.NumSeries))
	return nil
}

// yieldEvery is after how many columns the writer lets others run. Encoding a page takes a
// millisecond, and whoever appends samples should not wait for it.
const yieldEvery = 16

// writeColumns writes a page of the first of the columns, and says how many those are.
func (w *Writer) writeColumns(columns []pendingColumn) (n int, err error) {
	g := &w.group
	g.encoder.Reset()
	bytes, last := 0, -1
	for n < len(columns) && n < w.opts.FrameSeries {
		if _, payload := g.encoder.Size(); n > 0 && payload+bytes >= w.opts.PageBytes {
			break
		}
		c := &columns[n]
		if c.kind == byte(storage.KindFloat) {
			neighbour := -1
			if n > 0 && c.followsIn(&columns[n-1]) {
				neighbour = last
			}
			if n%yieldEvery == 0 {
				g.offer.Make()
			}
			last = g.encoder.AppendFloats(g.floats[c.floats.from:c.floats.to], neighbour)
		}
		g.frame.add(c)
		bytes += c.bytes.to - c.bytes.from
		n++
	}
	g.page = append(g.page[:0], g.encoder.Payload()...)
	payload := len(g.page)
	for i := range columns[:n] {
		g.page = append(g.page, g.bytes[columns[i].bytes.from:columns[i].bytes.to]...)
	}
	g.heads = g.encoder.AppendHeads(g.heads[:0])
	g.frame.endPage(n, payload, g.heads)
	_, err = w.writePage(g.page)
	return n, err
}

// frameColumns is the directory of the columns of a frame as it is being made, without
// compression. What is alike in all columns is kept together.
type frameColumns struct {
	pages, flags, series, rows, lengths, heads []byte

	numPages, columns int
	last              pendingColumn
}

func (f *frameColumns) reset() {
	*f = frameColumns{
		pages: f.pages[:0], flags: f.flags[:0], series: f.series[:0], rows: f.rows[:0], lengths: f.lengths[:0], heads: f.heads[:0],
	}
}

// Flags of a column in the directory; they never change.
const (
	columnKindMask   = 0x07
	columnPresence   = 0x08
	columnStartTimes = 0x10
	columnSameRows   = 0x20
	columnFlags      = 0x3f

	// columnExemplars is the kind of a column that is the exemplars of a series.
	columnExemplars = 7
)

func (f *frameColumns) add(c *pendingColumn) {
	flags := c.kind
	if c.presence {
		flags |= columnPresence
	}
	if c.startTimes {
		flags |= columnStartTimes
	}
	next := int64(0)
	if f.columns > 0 {
		next = int64(f.last.series) + 1
	}
	f.series = appendSvarint(f.series, int64(c.series)-next)
	same := f.columns > 0 && c.sameRows(&f.last)
	switch {
	case c.kind == columnExemplars:
		c.timeline, c.first, c.rows = f.last.timeline, f.last.first, f.last.rows
	case same:
		flags |= columnSameRows
	default:
		f.rows = appendSvarint(f.rows, int64(c.timeline)-int64(f.last.timeline))
		f.rows = binary.AppendUvarint(f.rows, uint64(c.first))
		f.rows = binary.AppendUvarint(f.rows, uint64(c.rows))
	}
	f.flags = append(f.flags, flags)
	if hasBytes(flags) {
		f.lengths = binary.AppendUvarint(f.lengths, uint64(c.bytes.to-c.bytes.from))
	}
	f.last = *c
	f.columns++
}

// hasBytes says whether a column has bytes beside floats.
func hasBytes(flags byte) bool {
	return flags&columnKindMask != byte(storage.KindFloat) || flags&(columnPresence|columnStartTimes) != 0
}

func (f *frameColumns) endPage(columns, floats int, heads []byte) {
	f.pages = binary.AppendUvarint(f.pages, uint64(columns))
	f.pages = binary.AppendUvarint(f.pages, uint64(floats))
	f.heads = binary.AppendUvarint(f.heads, uint64(len(heads)))
	f.heads = append(f.heads, heads...)
	f.numPages++
}

func (f *frameColumns) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(f.numPages))
	for _, part := range [][]byte{f.pages, f.flags, f.series, f.rows, f.lengths, f.heads} {
		dst = append(dst, part...)
	}
	return dst
}

// writePage writes a page as a whole and returns its number.
func (w *Writer) writePage(b []byte) (uint32, error) {
	if len(b) > maxPageBytes {
		return 0, fmt.Errorf("page of %d bytes, the limit is %d", len(b), maxPageBytes)
	}
	w.pages = append(w.pages, pageEntry{offset: uint64(w.data.off), length: uint32(len(b)), crc: crc32.Checksum(b, castagnoli)})
	return uint32(len(w.pages) - 1), w.data.write(b)
}

// writeCompressed writes bytes to the index file, compressed.
func (w *Writer) writeCompressed(raw []byte) (storedBytes, error) {
	w.stored = w.encoder.EncodeAll(raw, w.stored[:0])
	s := storedBytes{
		offset: uint64(w.index.off), length: uint32(len(w.stored)), raw: uint32(len(raw)), crc: crc32.Checksum(w.stored, castagnoli),
	}
	return s, w.index.write(w.stored)
}
