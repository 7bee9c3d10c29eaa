package block

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// Sections of the index file; they never change.
const (
	sectionPages     = 1
	sectionTimelines = 2
	sectionFrames    = 3
	sectionNames     = 4
	sectionMetadata  = 5

	sections      = 5
	tocEntry      = 24
	tocTail       = 12
	tocMagic      = "GEND"
	pageEntrySize = 16
	timelineSize  = 32
	storedSize    = 20
	frameSize     = 12 + 2*storedSize
)

// pageEntry is a page in the table of pages.
type pageEntry struct {
	offset      uint64
	length, crc uint32
}

func (e pageEntry) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, e.offset)
	dst = binary.LittleEndian.AppendUint32(dst, e.length)
	return binary.LittleEndian.AppendUint32(dst, e.crc)
}

func readPageEntry(b []byte) pageEntry {
	return pageEntry{
		offset: binary.LittleEndian.Uint64(b),
		length: binary.LittleEndian.Uint32(b[8:]),
		crc:    binary.LittleEndian.Uint32(b[12:]),
	}
}

// location is where bytes lie in the pages of the data file.
type location struct {
	page, offset, length uint32
}

// timelineEntry is a timeline in the table of timelines.
type timelineEntry struct {
	at         location
	rows       uint32
	mint, maxt int64
}

func (e timelineEntry) append(dst []byte) []byte {
	for _, n := range [...]uint32{e.at.page, e.at.offset, e.at.length, e.rows} {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.mint))
	return binary.LittleEndian.AppendUint64(dst, uint64(e.maxt))
}

func readTimelineEntry(b []byte) timelineEntry {
	return timelineEntry{
		at: location{
			page:   binary.LittleEndian.Uint32(b),
			offset: binary.LittleEndian.Uint32(b[4:]),
			length: binary.LittleEndian.Uint32(b[8:]),
		},
		rows: binary.LittleEndian.Uint32(b[12:]),
		mint: int64(binary.LittleEndian.Uint64(b[16:])),
		maxt: int64(binary.LittleEndian.Uint64(b[24:])),
	}
}

// storedBytes are bytes in the index file with a checksum. raw is their length when they are
// decompressed.
type storedBytes struct {
	offset           uint64
	length, raw, crc uint32
}

func (s storedBytes) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.offset)
	dst = binary.LittleEndian.AppendUint32(dst, s.length)
	dst = binary.LittleEndian.AppendUint32(dst, s.raw)
	return binary.LittleEndian.AppendUint32(dst, s.crc)
}

func readStoredBytes(b []byte) storedBytes {
	return storedBytes{
		offset: binary.LittleEndian.Uint64(b),
		length: binary.LittleEndian.Uint32(b[8:]),
		raw:    binary.LittleEndian.Uint32(b[12:]),
		crc:    binary.LittleEndian.Uint32(b[16:]),
	}
}

// inside says whether the bytes lie in a file of the given length.
func (s *storedBytes) inside(file int) bool {
	return s.offset <= uint64(file) && uint64(s.length) <= uint64(file)-s.offset
}

// frameEntry is a frame of the directory in the table of frames: consecutive series, with
// their labels, and their columns, whose pages begin with page.
type frameEntry struct {
	first, series, page uint32
	labels, columns     storedBytes
}

func (e frameEntry) append(dst []byte) []byte {
	for _, n := range [...]uint32{e.first, e.series, e.page} {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	return e.columns.append(e.labels.append(dst))
}

func readFrameEntry(b []byte) frameEntry {
	return frameEntry{
		first:   binary.LittleEndian.Uint32(b),
		series:  binary.LittleEndian.Uint32(b[4:]),
		page:    binary.LittleEndian.Uint32(b[8:]),
		labels:  readStoredBytes(b[12:]),
		columns: readStoredBytes(b[12+storedSize:]),
	}
}

// nameEntry is a label name in the table of names.
type nameEntry struct {
	name string
	// values is the number of its values, series that of the series that have it, and has lists
	// those.
	values, series uint32
	has            listRef
	// Its values and where each block of them begins; the checksum is of the latter.
	offset, length uint64
	crc            uint32
}

// blocks is the number of blocks of values.
func (e *nameEntry) blocks() int { return int((uint64(e.values) + blockValues - 1) / blockValues) }

func appendNames(dst []byte, names []nameEntry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for i := range names {
		n := &names[i]
		dst = appendString(dst, n.name)
		dst = binary.AppendUvarint(dst, uint64(n.values))
		dst = binary.AppendUvarint(dst, uint64(n.series))
		dst = n.has.append(dst)
		dst = binary.AppendUvarint(dst, n.offset)
		dst = binary.AppendUvarint(dst, n.length)
		dst = binary.LittleEndian.AppendUint32(dst, n.crc)
	}
	return dst
}

// readNameEntry reads an entry of an index file of the given length.
func readNameEntry(r *byteReader, file int) (n nameEntry, ok bool) {
	n.name, n.values, n.series = string(r.bytes(r.uvarint())), r.uint32(), r.uint32()
	if n.has, ok = readListRef(r, file); !ok {
		return n, false
	}
	n.offset, n.length = r.uvarint(), r.uvarint()
	crc := r.bytes(4)
	if r.bad || n.offset > uint64(file) || n.length > uint64(file)-n.offset || uint64(n.blocks())*8 > n.length {
		return n, false
	}
	n.crc = binary.LittleEndian.Uint32(crc)
	return n, true
}

func appendMetadata(dst []byte, list []metadata.Metadata) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		for _, s := range [...]string{string(list[i].Type), list[i].Unit, list[i].Help} {
			dst = appendString(dst, s)
		}
	}
	return dst
}

func readMetadata(raw []byte) (list []metadata.Metadata, ok bool) {
	r := byteReader{b: raw}
	list = make([]metadata.Metadata, r.count(3))
	for i := range list {
		list[i].Type = model.MetricType(r.bytes(r.uvarint()))
		list[i].Unit, list[i].Help = string(r.bytes(r.uvarint())), string(r.bytes(r.uvarint()))
	}
	return list, !r.bad && len(r.b) == 0
}

// writeTables writes the rest of the index file: postings, labels, tables and the table of
// contents.
func (w *Writer) writeTables() error {
	r := w.labels.dictionary.sort()
	postings := postingsWriter{w: w}
	names, err := postings.write(&r)
	if err != nil {
		return err
	}
	if err := w.writeLabelFrames(); err != nil {
		return err
	}
	var toc, buf []byte
	section := func(kind uint32, build func(dst []byte) []byte) {
		if err != nil {
			return
		}
		buf = build(buf[:0])
		toc = binary.LittleEndian.AppendUint32(toc, kind)
		toc = binary.LittleEndian.AppendUint64(toc, uint64(w.index.off))
		toc = binary.LittleEndian.AppendUint64(toc, uint64(len(buf)))
		toc = binary.LittleEndian.AppendUint32(toc, crc32.Checksum(buf, castagnoli))
		err = w.index.write(buf)
	}
	section(sectionPages, func(dst []byte) []byte { return appendTable(dst, w.pages) })
	section(sectionTimelines, func(dst []byte) []byte { return appendTable(dst, w.timelines) })
	section(sectionFrames, func(dst []byte) []byte { return appendTable(dst, w.frames) })
	section(sectionNames, func(dst []byte) []byte { return appendNames(dst, names) })
	section(sectionMetadata, func(dst []byte) []byte {
		raw := appendMetadata(nil, w.labels.metadata)
		return w.encoder.EncodeAll(raw, binary.LittleEndian.AppendUint32(dst, uint32(len(raw))))
	})
	if err != nil {
		return err
	}
	crc := crc32.Checksum(toc, castagnoli)
	toc = binary.LittleEndian.AppendUint32(toc, crc)
	toc = binary.LittleEndian.AppendUint32(toc, sections)
	return w.index.write(append(toc, tocMagic...))
}

// rankLabelFrames gives the labels of all series the numbers of the sorted strings, and shows
// them.
func (w *Writer) rankLabelFrames(r *ranks, show func(first uint32, frame *labelFrame)) error {
	anything := func(uint32) (uint32, bool) { return 1<<32 - 1, true }
	for i, raw := range w.labels.frames {
		frame, ok := decodeLabels(raw, w.frames[i].series, anything, uint32(len(w.labels.metadata)))
		if !ok {
			return errLabelFrame
		}
		frame.rank(r)
		show(w.frames[i].first, frame)
		w.labels.frames[i] = frame.append(raw[:0])
	}
	return nil
}

// writeLabelFrames writes the labels of all series, which are ranked.
func (w *Writer) writeLabelFrames() (err error) {
	for i, raw := range w.labels.frames {
		if w.frames[i].labels, err = w.writeCompressed(raw); err != nil {
			return err
		}
	}
	return nil
}

func appendTable[E interface{ append([]byte) []byte }](dst []byte, entries []E) []byte {
	for _, e := range entries {
		dst = e.append(dst)
	}
	return dst
}
