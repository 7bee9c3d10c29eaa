package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// index is an open index file. Nothing in it changes after openIndex.
type index struct {
	file    string
	mapping vfs.Mapping
	data    []byte

	symbolOffsets []byte // 4 bytes each, one more than symbols.
	symbolBytes   []byte
	symbols       uint32

	pages     []pageEntry
	timelines []timelineEntry
	frames    []frameEntry
	names     []nameEntry // Ascending.
	series    uint32
}

// openIndex maps an index file and checks all of its tables; the frames of the directory and
// the postings are checked when they are read.
func openIndex(fsys vfs.FS, file string, size int64) (x *index, err error) {
	m, err := fsys.Map(file)
	if err != nil {
		return nil, fmt.Errorf("block index: %w", err)
	}
	x = &index{file: file, mapping: m, data: m.Bytes()}
	if err := x.open(size); err != nil {
		m.Close() // The error that counts is the other one.
		return nil, err
	}
	return x, nil
}

func (x *index) open(size int64) error {
	if err := checkFileHeader(x.data, indexMagic, x.file); err != nil {
		return err
	}
	if err := checkSize(x.file, size, x.data); err != nil {
		return err
	}
	secs, err := x.readTOC()
	if err != nil {
		return err
	}
	for _, open := range []struct {
		kind int
		read func(b []byte, at part) error
	}{
		{sectionSymbols, x.openSymbols},
		{sectionPages, x.openPages},
		{sectionTimelines, x.openTimelines},
		{sectionFrames, x.openFrames},
		{sectionNames, x.openNames},
	} {
		s := secs[open.kind]
		if err := open.read(s.bytes, part{x.file, s.offset}); err != nil {
			return err
		}
	}
	return nil
}

func checkSize(file string, want int64, data []byte) error {
	if want != int64(len(data)) {
		return &CorruptionError{
			File: file, Offset: min(want, int64(len(data))), Reason: "length of the file",
			Want: fmt.Sprint(want), Got: fmt.Sprint(len(data)),
		}
	}
	return nil
}

// section is a checked section of the file.
type section struct {
	bytes  []byte
	offset int64
}

// readTOC reads the table of contents at the end of the file and checks the sections.
func (x *index) readTOC() (secs [sections + 1]section, err error) {
	tocSize := sections * tocEntry
	start := len(x.data) - tocSize - tocTail
	if start < fileHeader {
		return secs, part{x.file, int64(len(x.data))}.corrupt("no room for a table of contents")
	}
	at := part{x.file, int64(start)}
	toc, tail := x.data[start:start+tocSize], x.data[start+tocSize:]
	if string(tail[8:]) != tocMagic || binary.LittleEndian.Uint32(tail[4:]) != sections {
		return secs, at.corrupt("end of the table of contents")
	}
	if want, got := binary.LittleEndian.Uint32(tail), crc32.Checksum(toc, castagnoli); want != got {
		return secs, at.checksum("table of contents", want, got)
	}
	for i := range sections {
		e := toc[i*tocEntry:]
		kind := binary.LittleEndian.Uint32(e)
		off, n := binary.LittleEndian.Uint64(e[4:]), binary.LittleEndian.Uint64(e[12:])
		if kind == 0 || kind > sections || off < fileHeader || off > uint64(start) || n > uint64(start)-off {
			return secs, at.corrupt("section %d at %d+%d", kind, off, n)
		}
		b := x.data[off : off+n : off+n]
		if want, got := binary.LittleEndian.Uint32(e[20:]), crc32.Checksum(b, castagnoli); want != got {
			return secs, part{x.file, int64(off)}.checksum(fmt.Sprintf("section %d", kind), want, got)
		}
		secs[kind] = section{bytes: b, offset: int64(off)}
	}
	return secs, nil
}

func (x *index) openSymbols(b []byte, at part) error {
	if len(b) < 8 {
		return at.corrupt("symbols: %d bytes", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	table := 4 * (uint64(n) + 1)
	if table > uint64(len(b)-4) {
		return at.corrupt("symbols: %d in %d bytes", n, len(b))
	}
	x.symbols, x.symbolOffsets, x.symbolBytes = n, b[4:4+table], b[4+table:]
	if !ascendingOffsets(x.symbolOffsets, len(x.symbolBytes)) {
		return at.corrupt("symbols: offsets do not ascend")
	}
	return nil
}

// ascendingOffsets checks a table of offsets into size bytes.
func ascendingOffsets(table []byte, size int) bool {
	prev := uint32(0)
	for i := 0; i < len(table); i += 4 {
		off := binary.LittleEndian.Uint32(table[i:])
		if off < prev || (i == 0 && off != 0) {
			return false
		}
		prev = off
	}
	return int64(prev) == int64(size)
}

// symbol returns a string; it lies in the file.
func (x *index) symbol(n uint32) ([]byte, bool) {
	if n >= x.symbols {
		return nil, false
	}
	from := binary.LittleEndian.Uint32(x.symbolOffsets[4*n:])
	to := binary.LittleEndian.Uint32(x.symbolOffsets[4*n+4:])
	return x.symbolBytes[from:to], true
}

// readTable reads a table of entries of equal size.
func readTable[E any](b []byte, size int, at part, what string, read func([]byte) E) ([]E, error) {
	if len(b)%size != 0 {
		return nil, at.corrupt("table of %s: %d bytes, %d each", what, len(b), size)
	}
	out := make([]E, len(b)/size)
	for i := range out {
		out[i] = read(b[i*size:])
	}
	return out, nil
}

func (x *index) openPages(b []byte, at part) (err error) {
	x.pages, err = readTable(b, pageEntrySize, at, "pages", readPageEntry)
	return err
}

func (x *index) openTimelines(b []byte, at part) (err error) {
	x.timelines, err = readTable(b, timelineSize, at, "timelines", readTimelineEntry)
	for i, t := range x.timelines {
		if t.rows == 0 || t.rows > encoding.MaxRows || t.mint > t.maxt {
			return at.corrupt("timeline %d: %d rows from %d to %d", i, t.rows, t.mint, t.maxt)
		}
	}
	return err
}

func (x *index) openFrames(b []byte, at part) (err error) {
	x.frames, err = readTable(b, frameSize, at, "frames", readFrameEntry)
	next := uint64(0)
	for i, f := range x.frames {
		if uint64(f.first) != next || f.series == 0 || f.series > maxFrameSeries || f.raw > maxFrameBytes {
			return at.corrupt("frame %d: %d series from %d, %d bytes", i, f.series, f.first, f.raw)
		}
		if f.offset > uint64(len(x.data)) || uint64(f.stored) > uint64(len(x.data))-f.offset {
			return at.corrupt("frame %d at %d+%d", i, f.offset, f.stored)
		}
		next += uint64(f.series)
	}
	if next > 1<<32-1 {
		return at.corrupt("%d series", next)
	}
	x.series = uint32(next)
	return err
}

func (x *index) openNames(b []byte, at part) error {
	r := byteReader{b: b}
	for range r.count(7) {
		n := nameEntry{name: string(r.bytes(r.uvarint())), offset: r.uvarint(), length: r.uvarint()}
		crc := r.bytes(4)
		if r.bad || n.offset > uint64(len(x.data)) || n.length > uint64(len(x.data))-n.offset {
			return at.corrupt("names: %q at %d+%d", n.name, n.offset, n.length)
		}
		if len(x.names) > 0 && x.names[len(x.names)-1].name >= n.name {
			return at.corrupt("names: %q does not ascend", n.name)
		}
		n.crc = binary.LittleEndian.Uint32(crc)
		x.names = append(x.names, n)
	}
	if r.bad || len(r.b) > 0 {
		return at.corrupt("names: %d bytes too many, or cut off", len(r.b))
	}
	return nil
}
