package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// index is an open index file. Nothing in it changes after openIndex.
type index struct {
	file    string
	mapping vfs.Mapping
	data    []byte

	pages     []pageEntry
	timelines []timelineEntry
	frames    []frameEntry
	names     []nameEntry // Ascending.
	metadata  func() ([]metadata.Metadata, error)
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
		{sectionPages, x.openPages},
		{sectionTimelines, x.openTimelines},
		{sectionFrames, x.openFrames},
		{sectionNames, x.openNames},
		{sectionMetadata, x.openMetadata},
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
		if uint64(f.first) != next || f.series == 0 || f.series > maxFrameSeries {
			return at.corrupt("frame %d: %d series from %d", i, f.series, f.first)
		}
		for _, part := range [...]*storedBytes{&f.labels, &f.columns} {
			if !part.inside(len(x.data)) || part.raw > maxFrameBytes {
				return at.corrupt("frame %d at %d+%d, %d bytes", i, part.offset, part.length, part.raw)
			}
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
	for range r.count(13) {
		n, ok := readNameEntry(&r, len(x.data))
		if !ok {
			return at.corrupt("names: %q at %d+%d", n.name, n.offset, n.length)
		}
		if len(x.names) > 0 && x.names[len(x.names)-1].name >= n.name {
			return at.corrupt("names: %q does not ascend", n.name)
		}
		x.names = append(x.names, n)
	}
	if r.bad || len(r.b) > 0 {
		return at.corrupt("names: %d bytes too many, or cut off", len(r.b))
	}
	return nil
}

// openMetadata leaves the metadata to whoever needs it first.
func (x *index) openMetadata(b []byte, at part) error {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) > maxFrameBytes {
		return at.corrupt("metadata of %d bytes", len(b))
	}
	x.metadata = sync.OnceValues(func() ([]metadata.Metadata, error) {
		raw, ok := decompress(b[4:], binary.LittleEndian.Uint32(b))
		if !ok {
			return nil, at.corrupt("metadata of %d bytes", len(b))
		}
		list, ok := readMetadata(raw)
		if !ok {
			return nil, at.corrupt("metadata of %d bytes", len(b))
		}
		return list, nil
	})
	return nil
}

// bytes returns bytes of the file, checked.
func (x *index) bytes(s *storedBytes, what string) ([]byte, error) {
	b := x.data[s.offset:][:s.length]
	if got := crc32.Checksum(b, castagnoli); got != s.crc {
		return nil, part{x.file, int64(s.offset)}.checksum(what, s.crc, got)
	}
	return b, nil
}

// raw returns bytes of the file, checked and decompressed. They are memory of their own.
func (x *index) raw(s *storedBytes, what string) ([]byte, error) {
	b, err := x.bytes(s, what)
	if err != nil {
		return nil, err
	}
	raw, ok := decompress(b, s.raw)
	if !ok {
		return nil, part{x.file, int64(s.offset)}.corrupt("%s of %d bytes", what, s.length)
	}
	return raw, nil
}
