package block

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"sync"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// Flags of a series in the directory; they never change.
const (
	seriesMetadata  = 0x01
	seriesExemplars = 0x02
	seriesFlags     = 0x03
)

// entryHead is what a series has beside chunks.
type entryHead struct {
	labels    labels.Labels
	metadata  metadata.Metadata
	exemplars *location
}

// frameBuilder collects the entries of consecutive series.
type frameBuilder struct {
	encoder *zstd.Encoder
	first   uint32
	base    uint32 // Pages of the frame count from here.
	series  int
	ends    []int // Of the entries.
	entries []byte
	refs    []ChunkRef // Scratch of the writer.
	raw     []byte
	stored  []byte
}

func (f *frameBuilder) begin(first, base uint32) {
	f.first, f.base, f.series = first, base, 0
	f.ends, f.entries = f.ends[:0], f.entries[:0]
}

func (f *frameBuilder) size() int { return len(f.entries) + 4*len(f.ends) }

func (f *frameBuilder) add(e *entryHead, refs []ChunkRef, symbols *symbolBuilder) {
	b := binary.AppendUvarint(f.entries, uint64(e.labels.Len()))
	e.labels.Range(func(l labels.Label) {
		b = binary.AppendUvarint(b, uint64(symbols.number(l.Name)))
		b = binary.AppendUvarint(b, uint64(symbols.number(l.Value)))
	})
	flags := byte(0)
	hasMetadata := e.metadata != metadata.Metadata{}
	if hasMetadata {
		flags |= seriesMetadata
	}
	if e.exemplars != nil {
		flags |= seriesExemplars
	}
	b = append(b, flags)
	if hasMetadata {
		b = binary.AppendUvarint(b, uint64(symbols.number(string(e.metadata.Type))))
		b = binary.AppendUvarint(b, uint64(symbols.number(e.metadata.Unit)))
		b = binary.AppendUvarint(b, uint64(symbols.number(e.metadata.Help)))
	}
	if e.exemplars != nil {
		b = e.exemplars.append(b, f.base)
	}
	b = binary.AppendUvarint(b, uint64(len(refs)))
	for i := range refs {
		b = refs[i].append(b, f.base)
	}
	f.entries = b
	f.ends = append(f.ends, len(b))
	f.series++
}

// finish compresses the frame and begins no new one. The bytes are valid until the next call.
func (f *frameBuilder) finish() (frameEntry, []byte) {
	f.raw = binary.LittleEndian.AppendUint32(f.raw[:0], f.base)
	prev := 0
	f.raw = appendOffsets(f.raw, len(f.ends), func(i int) int {
		n := f.ends[i] - prev
		prev = f.ends[i]
		return n
	})
	f.raw = append(f.raw, f.entries...)
	f.stored = f.encoder.EncodeAll(f.raw, f.stored[:0])
	e := frameEntry{
		first: f.first, series: uint32(f.series),
		stored: uint32(len(f.stored)), raw: uint32(len(f.raw)), crc: crc32.Checksum(f.stored, castagnoli),
	}
	f.series = 0
	return e, f.stored
}

// frame is a frame that was read.
type frame struct {
	base    uint32
	offsets []byte // 4 bytes each, one more than series.
	entries []byte
	size    int
}

// frameDecoder decompresses frames, for all readers; DecodeAll may be called concurrently.
var frameDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxFrameBytes+1))
})

// decodeFrame decompresses a frame of the given number of series and raw length.
func decodeFrame(stored []byte, e *frameEntry) (*frame, bool) {
	dec, err := frameDecoder()
	if err != nil {
		return nil, false
	}
	raw, err := dec.DecodeAll(stored, make([]byte, 0, e.raw))
	head := 4 + 4*(int(e.series)+1)
	if err != nil || len(raw) != int(e.raw) || len(raw) < head {
		return nil, false
	}
	f := &frame{base: binary.LittleEndian.Uint32(raw), offsets: raw[4:head], entries: raw[head:], size: len(raw)}
	prev := uint32(0)
	for i := range int(e.series) + 1 {
		off := binary.LittleEndian.Uint32(f.offsets[4*i:])
		if off < prev || int64(off) > int64(len(f.entries)) || (i == 0 && off != 0) {
			return nil, false
		}
		prev = off
	}
	return f, int(prev) == len(f.entries)
}

// entry is the bytes of the i-th series of the frame.
func (f *frame) entry(i int) []byte {
	from := binary.LittleEndian.Uint32(f.offsets[4*i:])
	to := binary.LittleEndian.Uint32(f.offsets[4*i+4:])
	return f.entries[from:to]
}

// SeriesEntry is a series of a block: everything but its samples.
type SeriesEntry struct {
	Labels labels.Labels
	// Metadata is the zero value if there is none.
	Metadata metadata.Metadata
	// Chunks are in ascending order of time.
	Chunks []ChunkRef

	exemplars    location
	hasExemplars bool
}

// HasExemplars says whether Reader.Exemplars has something to return.
func (e *SeriesEntry) HasExemplars() bool { return e.hasExemplars }

// read decodes an entry.
func (e *SeriesEntry) read(b []byte, base uint32, x *index, builder *labels.ScratchBuilder) bool {
	r := byteReader{b: b}
	builder.Reset()
	for range r.count(2) {
		name, ok1 := x.symbol(r.uint32())
		value, ok2 := x.symbol(r.uint32())
		if !ok1 || !ok2 {
			return false
		}
		builder.Add(inFile(name), inFile(value))
	}
	flags := r.byte()
	if r.bad || flags&^seriesFlags != 0 {
		return false
	}
	e.Metadata = metadata.Metadata{}
	if flags&seriesMetadata != 0 {
		typ, ok1 := x.symbol(r.uint32())
		unit, ok2 := x.symbol(r.uint32())
		help, ok3 := x.symbol(r.uint32())
		if !ok1 || !ok2 || !ok3 {
			return false
		}
		e.Metadata = metadata.Metadata{Type: model.MetricType(typ), Unit: string(unit), Help: string(help)}
	}
	if e.hasExemplars = flags&seriesExemplars != 0; e.hasExemplars {
		e.exemplars = readLocation(&r, base)
	}
	e.Chunks = e.Chunks[:0]
	for range r.count(7) {
		c, ok := readChunkRef(&r, base, x.timelines)
		if !ok {
			return false
		}
		e.Chunks = append(e.Chunks, c)
	}
	if r.bad || len(r.b) > 0 {
		return false
	}
	e.Labels = builder.Labels() // Copies the strings out of the file.
	return true
}

// inFile is bytes of the file as a string, without a copy. It must not outlive the mapping.
func inFile(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendExemplars appends the exemplars of a series as they lie in a page.
func appendExemplars(dst []byte, es []exemplar.Exemplar) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(es)))
	prev := int64(0)
	for i := range es {
		e := &es[i]
		hasTime := byte(0)
		if e.HasTs {
			hasTime = 1
		}
		dst = appendSvarint(append(dst, hasTime), e.Ts-prev)
		prev = e.Ts
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.Value))
		dst = binary.AppendUvarint(dst, uint64(e.Labels.Len()))
		e.Labels.Range(func(l labels.Label) {
			dst = appendString(appendString(dst, l.Name), l.Value)
		})
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// readExemplars reads what appendExemplars wrote, into memory of its own.
func readExemplars(b []byte) (es []exemplar.Exemplar, ok bool) {
	r := byteReader{b: b}
	prev := int64(0)
	var builder labels.ScratchBuilder
	for range r.count(11) {
		var e exemplar.Exemplar
		hasTime := r.byte()
		e.HasTs = hasTime == 1
		prev += r.svarint()
		e.Ts = prev
		e.Value = math.Float64frombits(r.uint64())
		builder.Reset()
		for range r.count(2) {
			name, value := r.bytes(r.uvarint()), r.bytes(r.uvarint())
			builder.Add(string(name), string(value))
		}
		if r.bad || hasTime > 1 {
			return nil, false
		}
		e.Labels = builder.Labels()
		es = append(es, e)
	}
	return es, !r.bad && len(r.b) == 0
}
