package block

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/klauspost/compress/zstd"

	"github.com/gnomonhq/gnomon/storage"
)

// frameDecoder decompresses frames, for all readers; DecodeAll may be called concurrently.
var frameDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxFrameBytes+1))
})

// decompress returns the bytes that a frame holds. They are memory of their own.
func decompress(stored []byte, raw uint32) ([]byte, bool) {
	dec, err := frameDecoder()
	if err != nil {
		return nil, false
	}
	out, err := dec.DecodeAll(stored, make([]byte, 0, raw))
	return out, err == nil && len(out) == int(raw)
}

// columnFrame is the columns of a frame of the directory that was read.
type columnFrame struct {
	// refs are the chunks, and the exemplars, by series; those of series i are
	// refs[ends[i-1]:ends[i]], in ascending order of time, exemplars last.
	refs []ChunkRef
	ends []uint32
	size int
}

// decodeColumns reads what frameColumns wrote. page is the number of the first page.
func decodeColumns(raw []byte, series, page uint32, timelines []timelineEntry) (*columnFrame, bool) {
	r := byteReader{b: raw}
	pages := make([]pageHeads, r.count(2))
	counts := make([]uint32, len(pages))
	columns := uint64(0)
	for i := range pages {
		pages[i].number = page + uint32(i)
		counts[i], pages[i].size = r.uint32(), r.uint32()
		columns += uint64(counts[i])
	}
	flags := r.bytes(columns)
	of, ok1 := readColumnSeries(&r, flags, series)
	refs, ok2 := readColumnRows(&r, flags, timelines)
	if r.bad || !ok1 || !ok2 || !readPlaces(&r, flags, refs, pages, counts) || len(r.b) > 0 {
		return nil, false
	}
	f := &columnFrame{refs: refs, ends: make([]uint32, series)}
	f.size = 4*len(f.ends) + int(unsafe.Sizeof(ChunkRef{}))*len(refs) + len(raw)
	for i := range pages {
		f.size += pages[i].floats.MemorySize()
	}
	f.sort(of)
	return f, true
}

// sort brings the columns into the order of their series, and within that of the pages, in which
// they are. of has the series of each.
func (f *columnFrame) sort(of []uint32) {
	for _, s := range of {
		f.ends[s]++
	}
	sum := uint32(0)
	if slices.IsSorted(of) { // As a rule: one column a series.
		for i, n := range f.ends {
			sum += n
			f.ends[i] = sum
		}
		return
	}
	for i, n := range f.ends {
		f.ends[i] = sum
		sum += n
	}
	sorted := make([]ChunkRef, len(of))
	for i, s := range of {
		sorted[f.ends[s]] = f.refs[i]
		f.ends[s]++
	}
	f.refs = sorted
}

// readColumnSeries reads the series of each column.
func readColumnSeries(r *byteReader, flags []byte, series uint32) (of []uint32, ok bool) {
	of = make([]uint32, len(flags))
	next := int64(0)
	for i := range of {
		s := next + r.svarint()
		if s < 0 || s >= int64(series) {
			return nil, false
		}
		of[i], next = uint32(s), s+1
	}
	return of, true
}

// readColumnRows reads kind and rows of each column, and checks them.
func readColumnRows(r *byteReader, flags []byte, timelines []timelineEntry) (refs []ChunkRef, ok bool) {
	refs = make([]ChunkRef, len(flags))
	var last ChunkRef
	for i, flag := range flags {
		c := &refs[i]
		c.Kind = storage.Kind(flag & columnKindMask)
		c.HasPresence, c.HasStartTimes = flag&columnPresence != 0, flag&columnStartTimes != 0
		if c.Kind == columnExemplars {
			continue
		}
		if flag&columnSameRows == 0 {
			timeline := int64(last.Timeline) + r.svarint()
			last.FirstRow, last.Rows = r.uint32(), r.uint32()
			if timeline < 0 || timeline >= int64(len(timelines)) || last.Rows == 0 ||
				uint64(last.FirstRow)+uint64(last.Rows) > uint64(timelines[timeline].rows) {
				return nil, false
			}
			last.Timeline = uint32(timeline)
		}
		if flag&^columnFlags != 0 || c.Kind > KindRollup || last.Rows == 0 {
			return nil, false
		}
		c.Timeline, c.FirstRow, c.Rows = last.Timeline, last.FirstRow, last.Rows
	}
	return refs, true
}

// readPlaces reads where the columns lie in their pages, and the heads of those.
func readPlaces(r *byteReader, flags []byte, refs []ChunkRef, pages []pageHeads, counts []uint32) bool {
	floats := make([]int, len(pages))
	next := 0
	for p := range pages {
		offset := uint64(pages[p].size)
		for range counts[p] {
			c := &refs[next]
			c.page = &pages[p]
			if c.Kind == storage.KindFloat {
				c.column = uint32(floats[p])
				floats[p]++
			}
			if hasBytes(flags[next]) {
				c.offset, c.length = uint32(offset), r.uint32()
				if offset += uint64(c.length); offset > maxPageBytes {
					return false
				}
			}
			next++
		}
	}
	for p := range pages {
		heads := r.bytes(r.uvarint())
		if r.bad || !pages[p].open(heads, floats[p]) {
			return false
		}
	}
	return true
}
