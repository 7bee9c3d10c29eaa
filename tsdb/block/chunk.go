package block

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// KindRollup is the kind of the chunks of a rollup, whose values are buckets: see package
// rollup. It is no kind of samples.
const KindRollup storage.Kind = 3

// Chunk is a run of one series' values over the rows of a timeline, as it is written.
type Chunk struct {
	Kind storage.Kind
	// Timeline is what Writer.AddTimeline returned. The chunk covers its rows FirstRow to
	// FirstRow+Rows-1.
	Timeline       uint32
	FirstRow, Rows uint32
	// Presence says at which of the rows there is a value, row FirstRow+i at bit i%64 of
	// word i/64; nil means at all of them. (It is a set of rows, in the shape of a set of
	// columns.)
	Presence storage.Bitmap
	// StartTimes are the start timestamps as encoding.AppendTimes made them, one per value;
	// empty if there is none.
	StartTimes []byte
	// Floats are the values of a float chunk, one per present row.
	Floats []float64
	// Values are those of a chunk of another kind, as encoding.AppendHistograms or
	// AppendFloatHistograms made them, or of KindRollup as package rollup did. The writer does not
	// decode them.
	Values []byte
}

// values is the number of values of the chunk.
func (c *Chunk) values() int {
	if c.Presence == nil {
		return int(c.Rows)
	}
	return c.Presence.Count()
}

// check holds a chunk against its timeline.
func (c *Chunk) check(timelines []timelineEntry) error {
	switch {
	case c.Kind > KindRollup:
		return fmt.Errorf("chunk of kind %d", c.Kind)
	case int(c.Timeline) >= len(timelines):
		return fmt.Errorf("chunk of timeline %d, there are %d", c.Timeline, len(timelines))
	case c.Rows == 0 || uint64(c.FirstRow)+uint64(c.Rows) > uint64(timelines[c.Timeline].rows):
		return fmt.Errorf("chunk of rows %d+%d, timeline %d has %d", c.FirstRow, c.Rows, c.Timeline, timelines[c.Timeline].rows)
	case c.Presence != nil && !presenceFits(c.Presence, int(c.Rows)):
		return fmt.Errorf("chunk with a presence beyond its %d rows, or without any", c.Rows)
	case c.Kind == storage.KindFloat && len(c.Floats) != c.values():
		return fmt.Errorf("chunk with %d values in %d rows", len(c.Floats), c.values())
	case c.Kind != storage.KindFloat && len(c.Values) == 0:
		return fmt.Errorf("chunk without values")
	}
	return nil
}

func presenceFits(p storage.Bitmap, rows int) bool {
	for w := len(p) - 1; w >= 0; w-- {
		if p[w] != 0 {
			return w*64+bits.Len64(p[w]) <= rows
		}
	}
	return false
}

// appendBytes appends what the chunk has beside floats, as it lies in a page.
func (c *Chunk) appendBytes(dst []byte) []byte {
	if c.Presence != nil {
		for i := range int(c.Rows+7) / 8 {
			b := byte(0)
			if w := i >> 3; w < len(c.Presence) {
				b = byte(c.Presence[w] >> (8 * (i & 7)))
			}
			dst = append(dst, b)
		}
	}
	if len(c.StartTimes) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(c.StartTimes)))
		dst = append(dst, c.StartTimes...)
	}
	if c.Kind != storage.KindFloat {
		dst = append(dst, c.Values...)
	}
	return dst
}

// ChunkRef is a chunk in the directory of a block: everything but its values.
type ChunkRef struct {
	Kind           storage.Kind
	Timeline       uint32
	FirstRow, Rows uint32
	// HasPresence and HasStartTimes say what the chunk has beside values.
	HasPresence, HasStartTimes bool

	page *pageHeads
	// column is the place of a float chunk among those of the page.
	column uint32
	// What appendBytes made lies at offset in the bytes of the page.
	offset, length uint32
}

// ChunkData are the bytes of a chunk. They lie in the block's file: valid while the reader is
// held, and not to be changed.
type ChunkData struct {
	// Presence is as in Chunk, in memory of its own.
	Presence storage.Bitmap
	// StartTimes is for encoding.DecodeTimes; empty if there is none.
	StartTimes []byte
	// Values is for the Decode function of the chunk's kind; a float chunk has
	// ChunkRef.Floats instead.
	Values []byte

	page []byte
}

// split takes the bytes of a chunk apart.
func (c *ChunkRef) split(b []byte) (d ChunkData, ok bool) {
	r := byteReader{b: b}
	if c.HasPresence {
		packed := r.bytes(uint64(c.Rows+7) / 8)
		if r.bad {
			return d, false
		}
		d.Presence = make(storage.Bitmap, (c.Rows+63)/64)
		for i, b := range packed {
			d.Presence[i>>3] |= uint64(b) << (8 * (i & 7))
		}
		if !presenceFits(d.Presence, int(c.Rows)) {
			return d, false
		}
	}
	if c.HasStartTimes {
		d.StartTimes = r.bytes(r.uvarint())
	}
	d.Values = r.b
	return d, !r.bad && (len(d.Values) == 0) == (c.Kind == storage.KindFloat)
}

// Constant says whether a float chunk is stored as the same bits in every row, and gives the
// value.
func (c *ChunkRef) Constant() (v float64, ok bool) {
	if c.Kind != storage.KindFloat {
		return 0, false
	}
	return c.page.floats.Constant(int(c.column))
}

// Floats appends to dst the values of a float chunk and checks their number. A decoder that
// is used for one chunk after the other decodes the buckets of a histogram faster.
func (c *ChunkRef) Floats(dec *encoding.Decoder, dst []float64, d ChunkData) ([]float64, error) {
	out, err := dec.Floats(dst, c.page.floats, d.page, int(c.column))
	if err != nil {
		return dst, fmt.Errorf("chunk: %w", err)
	}
	want := int(c.Rows)
	if d.Presence != nil {
		want = d.Presence.Count()
	}
	if got := len(out) - len(dst); got != want {
		return dst, fmt.Errorf("chunk: %d values, want %d: %w", got, want, encoding.ErrCorrupt)
	}
	return out, nil
}
