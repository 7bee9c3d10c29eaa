package wal

import (
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/gnomonhq/gnomon/storage"
)

// targetPayload is where records that hold lists are split.
const targetPayload = 256 << 10

// Batch collects records that are written together: all of them or none. It belongs to one
// goroutine, which ends it with Commit or Discard and does not touch it afterwards. What is
// passed in is encoded at once and not kept, but for row encoders.
type Batch struct {
	w       *Writer
	segment uint64
	buf     []byte // Framed records.
	records []recordRef
	rows    []*RowEncoder
	packed  []byte   // Scratch memory of pack.
	samples struct { // The record that Sample appends to.
		sampleEncoder
		open  bool
		start int
	}
	err error // Of encoding, or of a commit led by another goroutine.

	firstNumber int
	last        Sequence
	signal      chan bool // True: lead the next group commit. False: done.
}

// recordRef is a record in Batch.buf whose frame is not filled in.
type recordRef struct {
	start, payload int
	typ            Type
	crc            uint32 // Of the payload.
}

var batches = sync.Pool{New: func() any { return &Batch{signal: make(chan bool, 1)} }}

// maxPooledBatch keeps a rare large batch from pinning its memory.
const maxPooledBatch = 4 << 20

// Segment is the segment that the batch will be written to.
func (b *Batch) Segment() uint64 { return b.segment }

// Len is the number of bytes of the records collected so far.
func (b *Batch) Len() int { return len(b.buf) }

// begin makes room for a frame; the payload is to be appended to buf.
func (b *Batch) begin() (start int) {
	start = len(b.buf)
	b.buf = append(b.buf, make([]byte, frameHeader)...)
	return start
}

// end finishes the record that begin began.
func (b *Batch) end(start int, t Type) {
	r := b.frame(start, t)
	b.pack(&r)
	b.records = append(b.records, r)
}

// frame checks the record that begin began; the caller adds it to records.
func (b *Batch) frame(start int, t Type) recordRef {
	payload := b.buf[start+frameHeader:]
	if len(payload) > maxPayload {
		b.err = fmt.Errorf("%s record of %d bytes: %w", t, len(payload), ErrRecordTooLarge)
	}
	return recordRef{start: start, payload: len(payload), typ: t, crc: crc32.Checksum(payload, castagnoli)}
}

// Group defines a group.
func (b *Batch) Group(g Group) {
	start := b.begin()
	b.buf = appendGroup(b.buf, g)
	b.end(start, TypeGroup)
}

// CloseGroup says that a group gets no more rows.
func (b *Batch) CloseGroup(group uint64) {
	start := b.begin()
	b.buf = appendGroupClose(b.buf, group)
	b.end(start, TypeGroupClose)
}

// Columns defines columns of a group. Group 0 defines series that are in no group.
func (b *Batch) Columns(group uint64, columns []Column) {
	for len(columns) > 0 {
		start := b.begin()
		var n int
		b.buf, n = appendColumns(b.buf, group, columns)
		b.end(start, TypeColumns)
		columns = columns[n:]
	}
}

// ReleaseColumns says that columns of a group get no more samples.
func (b *Batch) ReleaseColumns(group uint64, columns []storage.Column) {
	if len(columns) == 0 {
		return
	}
	start := b.begin()
	b.buf = appendColumnRelease(b.buf, group, columns)
	b.end(start, TypeColumnRelease)
}

// Row appends a row of the encoder's group; the row's exemplars are not part of it. The
// group's rows must be committed in the order in which they were encoded, so the caller
// keeps other writers of the group away from here until Commit returned. If the commit
// fails, the encoder starts over with the next row.
func (b *Batch) Row(enc *RowEncoder, row *storage.Row) {
	start := b.begin()
	var err error
	if b.buf, err = enc.append(b.buf, row, b.segment); err != nil {
		b.buf = b.buf[:start]
		b.err = err
		return
	}
	r := b.frame(start, TypeRow)
	enc.base = r.crc
	switch {
	case r.payload < packFrom:
	case enc.unpacked > 0:
		enc.unpacked--
	case !b.pack(&r):
		enc.unpacked = packPause
	}
	b.records = append(b.records, r)
	b.rows = append(b.rows, enc)
}

// Samples appends samples of series one by one.
func (b *Batch) Samples(samples []Sample) {
	flags := flagsOf(samples)
	b.BeginSamples(flags&samplesHistograms != 0, flags&samplesStartTimes != 0)
	for i := range samples {
		b.Sample(&samples[i])
	}
	b.EndSamples()
}

// BeginSamples is for samples that are not in a list: call Sample for each, then EndSamples,
// and nothing else meanwhile. It is told whether there can be histograms and start timestamps
// among them.
func (b *Batch) BeginSamples(histograms, startTimes bool) {
	flags := byte(0)
	if histograms {
		flags |= samplesHistograms
	}
	if startTimes {
		flags |= samplesStartTimes
	}
	b.samples.sampleEncoder = sampleEncoder{flags: flags}
}

// Sample appends a sample.
func (b *Batch) Sample(s *Sample) {
	r := &b.samples
	if !r.open {
		r.open, r.start, r.sampleEncoder = true, b.begin(), sampleEncoder{flags: r.flags}
		b.buf = append(b.buf, r.flags)
	}
	b.buf = r.append(b.buf, s)
	if len(b.buf)-r.start > frameHeader+targetPayload {
		b.EndSamples()
	}
}

// EndSamples ends what BeginSamples began.
func (b *Batch) EndSamples() {
	if r := &b.samples; r.open {
		r.open = false
		b.end(r.start, TypeSamples)
	}
}

// Exemplars appends exemplars.
func (b *Batch) Exemplars(exemplars []Exemplar) {
	for len(exemplars) > 0 {
		start := b.begin()
		var n int
		b.buf, n = appendExemplars(b.buf, exemplars)
		b.end(start, TypeExemplars)
		exemplars = exemplars[n:]
	}
}

// Metadata appends metadata of series.
func (b *Batch) Metadata(metadata []Metadata) {
	for len(metadata) > 0 {
		start := b.begin()
		var n int
		b.buf, n = appendMetadata(b.buf, metadata)
		b.end(start, TypeMetadata)
		metadata = metadata[n:]
	}
}

// Tombstone appends a deletion.
func (b *Batch) Tombstone(t Tombstone) {
	start := b.begin()
	b.buf = appendTombstone(b.buf, t)
	b.end(start, TypeTombstone)
}

// Floors appends what is to be remembered of deleted samples.
func (b *Batch) Floors(floors []Floor) {
	if len(floors) == 0 {
		return
	}
	start := b.begin()
	b.buf = appendFloors(b.buf, floors)
	b.end(start, TypeFloors)
}

// number fills in the frames, the first record being the given one of the segment, and
// returns the number after the last.
func (b *Batch) number(first int) (next int) {
	b.firstNumber = first
	for i, r := range b.records {
		putFrame(b.buf[r.start:], r.typ, r.payload, first+i, r.crc)
	}
	return first + len(b.records)
}

// written notes where the batch went.
func (b *Batch) written(seg *segment) {
	b.last = Sequence(seg.number<<sequenceShift | uint64(b.firstNumber+len(b.records)-1))
}

// Commit writes the batch, with one write shared by the goroutines that commit at the same
// time, and syncs it if the policy says so. It returns the sequence number of the batch's
// last record; 0 if there is none. After an error nothing of the batch is in the log, and
// the log can be used on: a full disk only fails until there is room.
func (b *Batch) Commit() (Sequence, error) {
	w, err := b.w, b.err
	if err == nil && len(b.records) > 0 {
		b.err = nil
		err = w.commit(b)
	}
	if err != nil {
		for _, enc := range b.rows {
			enc.Reset()
		}
	}
	last := b.last
	b.release()
	w.rotateIfDue()
	if err != nil {
		return 0, err
	}
	return last, nil
}

// Discard ends the batch without writing it.
func (b *Batch) Discard() {
	for _, enc := range b.rows {
		enc.Reset()
	}
	b.release()
}

// release unpins the segment and gives the batch back.
func (b *Batch) release() {
	w := b.w
	clear(b.rows)
	b.w, b.err, b.last, b.buf, b.records, b.rows = nil, nil, 0, b.buf[:0], b.records[:0], b.rows[:0]
	if cap(b.buf)+cap(b.packed) <= maxPooledBatch {
		batches.Put(b)
	}
	w.pin.RUnlock()
}
