package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
)

// Sections of the index file; they never change.
const (
	sectionSymbols   = 1
	sectionPages     = 2
	sectionTimelines = 3
	sectionFrames    = 4
	sectionNames     = 5

	sections      = 5
	tocEntry      = 24
	tocTail       = 12
	tocMagic      = "GEND"
	pageEntrySize = 16
	timelineSize  = 32
	frameSize     = 28
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

// frameEntry is a frame in the table of frames.
type frameEntry struct {
	offset                          uint64
	first, series, stored, raw, crc uint32
}

func (e frameEntry) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, e.offset)
	for _, n := range [...]uint32{e.first, e.series, e.stored, e.raw, e.crc} {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	return dst
}

func readFrameEntry(b []byte) frameEntry {
	return frameEntry{
		offset: binary.LittleEndian.Uint64(b),
		first:  binary.LittleEndian.Uint32(b[8:]),
		series: binary.LittleEndian.Uint32(b[12:]),
		stored: binary.LittleEndian.Uint32(b[16:]),
		raw:    binary.LittleEndian.Uint32(b[20:]),
		crc:    binary.LittleEndian.Uint32(b[24:]),
	}
}

// nameEntry is a label name in the table of names.
type nameEntry struct {
	name   string
	offset uint64
	length uint64
	crc    uint32
}

// postingsBuilder collects the series of each label, by the numbers of the strings.
type postingsBuilder struct {
	names map[uint32]*nameBuilder
}

type nameBuilder struct {
	has    listBuilder
	values map[uint32]*listBuilder
}

func (p *postingsBuilder) add(id, name, value uint32) {
	n := p.names[name]
	if n == nil {
		n = &nameBuilder{values: map[uint32]*listBuilder{}}
		p.names[name] = n
	}
	v := n.values[value]
	if v == nil {
		v = &listBuilder{}
		n.values[value] = v
	}
	n.has.add(id)
	v.add(id)
}

// writeTables writes the rest of the index file: postings, tables and the table of contents.
func (w *Writer) writeTables() error {
	names, err := w.writePostings()
	if err != nil {
		return err
	}
	var toc []byte
	var buf []byte
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
	if w.symbols.bytes > 1<<32-1 {
		return fmt.Errorf("label strings of %d bytes, the limit is 4 GiB", w.symbols.bytes)
	}
	section(sectionSymbols, w.appendSymbols)
	section(sectionPages, func(dst []byte) []byte { return appendTable(dst, w.pages) })
	section(sectionTimelines, func(dst []byte) []byte { return appendTable(dst, w.timelines) })
	section(sectionFrames, func(dst []byte) []byte { return appendTable(dst, w.frames) })
	section(sectionNames, func(dst []byte) []byte { return appendNames(dst, names) })
	if err != nil {
		return err
	}
	crc := crc32.Checksum(toc, castagnoli)
	toc = binary.LittleEndian.AppendUint32(toc, crc)
	toc = binary.LittleEndian.AppendUint32(toc, sections)
	return w.index.write(append(toc, tocMagic...))
}

func (w *Writer) appendSymbols(dst []byte) []byte {
	symbols := w.symbols.strings
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(symbols)))
	dst = appendOffsets(dst, len(symbols), func(i int) int { return len(symbols[i]) })
	for _, s := range symbols {
		dst = append(dst, s...)
	}
	return dst
}

func appendTable[E interface{ append([]byte) []byte }](dst []byte, entries []E) []byte {
	for _, e := range entries {
		dst = e.append(dst)
	}
	return dst
}

func appendNames(dst []byte, names []nameEntry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, n := range names {
		dst = appendString(dst, n.name)
		dst = binary.AppendUvarint(dst, n.offset)
		dst = binary.AppendUvarint(dst, n.length)
		dst = binary.LittleEndian.AppendUint32(dst, n.crc)
	}
	return dst
}

// writePostings writes the postings of each name, in ascending order of the names.
func (w *Writer) writePostings() ([]nameEntry, error) {
	byString := func(a, b uint32) int { return strings.Compare(w.symbols.strings[a], w.symbols.strings[b]) }
	var entries []nameEntry
	for _, n := range slices.SortedFunc(maps.Keys(w.postings.names), byString) {
		b := w.postings.names[n]
		data, err := w.appendPostings(nil, b, slices.SortedFunc(maps.Keys(b.values), byString))
		if err != nil {
			return nil, err
		}
		entries = append(entries, nameEntry{
			name: w.symbols.strings[n], offset: uint64(w.index.off), length: uint64(len(data)),
			crc: crc32.Checksum(data, castagnoli),
		})
		if err := w.index.write(data); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// appendPostings appends the postings of one name.
func (w *Writer) appendPostings(dst []byte, b *nameBuilder, values []uint32) ([]byte, error) {
	has, err := b.has.append(nil)
	if err != nil {
		return nil, err
	}
	var body []byte
	ends := make([]int, 0, len(values))
	for _, v := range values {
		body = appendString(body, w.symbols.strings[v])
		if body, err = b.values[v].append(body); err != nil {
			return nil, err
		}
		ends = append(ends, len(body))
	}
	if len(body) > 1<<32-1 {
		return nil, fmt.Errorf("postings of a label name take %d bytes, the limit is 4 GiB", len(body))
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(values)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(has)))
	prev := 0
	dst = appendOffsets(dst, len(values), func(i int) int {
		n := ends[i] - prev
		prev = ends[i]
		return n
	})
	dst = append(dst, has...)
	return append(dst, body...), nil
}
