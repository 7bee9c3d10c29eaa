package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// readChunk is how much is read at once.
const readChunk = 1 << 20

// segmentReader finds the records of one segment.
type segmentReader struct {
	source
	file   vfs.File
	report func(Damage)

	off    int64 // Where the next record is looked for.
	want   int   // The number that it should have.
	tailAt int64 // Where a torn tail begins; −1 if there is none.
	failed error // A read error; nothing more can be read.
	opened bool
	origin Origin

	buf  []byte // A window of the file.
	base int64  // Where it begins.

	// What parse found whole: the payload, decompressed, and its checksum.
	payload    []byte
	payloadCRC uint32
	plain      []byte // Memory for payload.
}

// window returns the n bytes at off, or what there is of them. They are valid until the next call.
func (s *segmentReader) window(off int64, n int) []byte {
	if off >= s.base && off+int64(n) <= s.base+int64(len(s.buf)) {
		return s.buf[off-s.base:][:n]
	}
	want := int64(max(n, readChunk))
	want = max(0, min(want, s.size-off))
	if int64(cap(s.buf)) < want {
		s.buf = make([]byte, want)
	}
	s.buf, s.base = s.buf[:want], off
	got, err := s.file.ReadAt(s.buf, off)
	s.buf = s.buf[:got]
	if err != nil && !isEnd(err) {
		s.failed = err
	}
	return s.buf[:min(n, got)]
}

// buffered returns bytes from off on: those that are in memory, or newly read ones; none at
// the end of the file.
func (s *segmentReader) buffered(off int64) []byte {
	if off >= s.base && off < s.base+int64(len(s.buf)) {
		return s.buf[off-s.base:]
	}
	return s.window(off, int(min(readChunk, max(0, s.size-off))))
}

// next reads the next whole record into rec. It returns false at the end of the segment.
func (s *segmentReader) next(rec *Record) bool {
	if !s.opened {
		s.opened, s.tailAt = true, -1
		if !s.open() {
			return false
		}
	}
	if s.off >= s.size || s.failed != nil {
		return false
	}
	length, reason := s.parse(s.off, s.want, s.want)
	if reason == "" {
		s.accept(rec, length)
		return true
	}
	return s.resync(rec, reason)
}

// open checks the segment header. A damaged one is reported, and its records are read
// nevertheless: the file's name says which segment it is.
func (s *segmentReader) open() bool {
	if s.size == 0 {
		return false // Cut, or never written.
	}
	h := s.window(0, segmentHeader)
	if len(h) < segmentHeader {
		s.damage(0, s.size, fmt.Sprintf("segment header: %d bytes, want %d", len(h), segmentHeader))
		return false
	}
	s.off = segmentHeader
	reason, unreadable := checkSegmentHeader(h, s.kind, s.source.number)
	if reason == "" {
		s.origin = Origin(h[16:32])
		return true
	}
	if unreadable {
		s.report(Damage{File: s.name, Length: s.size, Reason: reason})
		return false
	}
	s.report(Damage{File: s.name, Length: segmentHeader, Reason: reason})
	return true
}

// damage reports a damage that reaches to the end of the segment if from+length does.
func (s *segmentReader) damage(from, length int64, reason string) {
	d := Damage{File: s.name, Offset: from, Length: length, Reason: reason}
	if s.failed != nil {
		d.Reason = s.failed.Error()
	} else if s.last && from+length == s.size {
		d.TornTail = true
		s.tailAt = from
	}
	s.report(d)
}

// parse looks at the record at off, whose number must lie in [from, to]. It returns the length of
// the payload, or the reason why there is no whole record.
func (s *segmentReader) parse(off int64, from, to int) (length int, reason string) {
	h := s.window(off, frameHeader)
	if len(h) < frameHeader {
		return 0, fmt.Sprintf("record header: %d bytes left, want %d", len(h), frameHeader)
	}
	length, number := getUint24(h[2:]), getUint24(h[5:])
	switch {
	case h[0] != frameSync:
		return 0, fmt.Sprintf("record header: begins with %#02x, want %#02x", h[0], frameSync)
	case Type(h[1])&^packed == 0 || Type(h[1])&^packed > maxType:
		return 0, fmt.Sprintf("record header: type %d", h[1])
	case number < from || number > to:
		return 0, fmt.Sprintf("record header: record %d, want %d", number, from)
	case off+frameHeader+int64(length) > s.size:
		return 0, fmt.Sprintf("record of %d bytes, %d left", length, s.size-off-frameHeader)
	}
	b := s.window(off, frameHeader+length)
	if len(b) < frameHeader+length {
		return 0, fmt.Sprintf("record of %d bytes, %d read", length, len(b))
	}
	want := binary.LittleEndian.Uint32(b[8:])
	s.payloadCRC = crc32.Checksum(b[frameHeader:], castagnoli)
	got := crc32.Update(s.payloadCRC, castagnoli, b[:8])
	if got != want {
		return 0, fmt.Sprintf("record checksum: got %#08x, want %#08x", got, want)
	}
	s.payload = b[frameHeader:]
	if Type(b[1])&packed != 0 {
		var err error
		if s.plain, err = unpack(s.plain, s.payload); err != nil {
			return 0, err.Error()
		}
		s.payload, s.payloadCRC = s.plain, crc32.Checksum(s.plain, castagnoli)
	}
	return length, ""
}

// accept takes the record at s.off, which parse found whole.
func (s *segmentReader) accept(rec *Record, length int) {
	b := s.window(s.off, frameHeader+length)
	number := getUint24(b[5:])
	*rec = Record{
		Type:     Type(b[1]) &^ packed,
		Sequence: Sequence(s.source.number<<sequenceShift | uint64(number)),
		Payload:  s.payload,
		Origin:   s.origin,
		File:     s.name,
		Offset:   s.off,

		payloadCRC: s.payloadCRC, stored: length,
	}
	s.off += frameHeader + int64(length)
	s.want = number + 1
}

// resync looks for the next whole record behind a damage and takes it. The number that it can
// have bounds what is mistaken for one: at least the expected, and no more further than
// records fit into the bytes passed over.
func (s *segmentReader) resync(rec *Record, reason string) bool {
	from := s.off
	for off := from + 1; s.failed == nil; {
		chunk := s.buffered(off)
		if len(chunk) == 0 {
			break
		}
		i := bytes.IndexByte(chunk, frameSync)
		if i < 0 {
			off += int64(len(chunk))
			continue
		}
		off += int64(i)
		most := s.want + int((off-from)/frameHeader) + 1
		if length, bad := s.parse(off, s.want, most); bad == "" {
			s.damage(from, off-from, reason)
			s.off = off
			s.accept(rec, length)
			return true
		}
		off++
	}
	s.damage(from, s.size-from, reason)
	s.off = s.size
	return false
}
