package block

import (
	"encoding/binary"
	"hash/crc32"
	"sync/atomic"
)

// valueTable is the values of one label name, as they lie in the file.
type valueTable struct {
	r         *Reader
	entry     *nameEntry
	at        part
	directory []byte // 8 bytes a block: its offset in body, its checksum.
	body      []byte

	checked atomic.Bool // The checksum of directory was found right.
	// verified has a bit for each block whose checksum was found right.
	verified []atomic.Uint64
}

// openValues finds the values of all names. It does not look at them.
func (r *Reader) openValues() {
	r.values = make([]valueTable, len(r.index.names))
	for i := range r.values {
		t, n := &r.values[i], &r.index.names[i]
		b, size := r.index.data[n.offset:][:n.length], 8*n.blocks()
		t.r, t.entry, t.at = r, n, part{r.index.file, int64(n.offset)}
		t.directory, t.body = b[:size], b[size:]
		t.verified = make([]atomic.Uint64, (n.blocks()+63)/64)
	}
}

// check checks the directory of the blocks.
func (t *valueTable) check() error {
	if t.checked.Load() {
		return nil
	}
	if got := crc32.Checksum(t.directory, castagnoli); got != t.entry.crc {
		return t.at.checksum("values of "+t.entry.name, t.entry.crc, got)
	}
	last := uint32(0)
	for i := range t.entry.blocks() {
		from := t.begin(i)
		if from < last || int64(from) > int64(len(t.body)) {
			return t.at.corrupt("values of %s: block %d at %d of %d", t.entry.name, i, from, len(t.body))
		}
		last = from
	}
	t.checked.Store(true)
	return nil
}

func (t *valueTable) begin(block int) uint32 {
	return binary.LittleEndian.Uint32(t.directory[8*block:])
}

// blockPart is where a block lies.
func (t *valueTable) blockPart(block int) part {
	return part{t.at.file, t.at.offset + int64(len(t.directory)) + int64(t.begin(block))}
}

// block returns a block, checked: the strings of its values, and their lists.
func (t *valueTable) block(i int) (b valueBlock, err error) {
	if err := t.check(); err != nil {
		return b, err
	}
	end := uint32(len(t.body))
	if i+1 < t.entry.blocks() {
		end = t.begin(i + 1)
	}
	r := byteReader{b: t.body[t.begin(i):end]}
	word, bit := &t.verified[i>>6], uint64(1)<<(i&63)
	if word.Load()&bit == 0 {
		want := binary.LittleEndian.Uint32(t.directory[8*i+4:])
		if got := crc32.Checksum(r.b, castagnoli); got != want {
			return b, t.blockPart(i).checksum("values of "+t.entry.name, want, got)
		}
		word.Or(bit)
	}
	b.strings = byteReader{b: r.bytes(r.uvarint())}
	if r.bad {
		return b, t.corrupt(i)
	}
	b.table, b.number, b.lists = t, i, r
	b.left = min(blockValues, int(t.entry.values)-i*blockValues)
	return b, nil
}

func (t *valueTable) corrupt(block int) error {
	return t.blockPart(block).corrupt("values of %s", t.entry.name)
}

// valueBlock goes through the values of a block.
type valueBlock struct {
	table          *valueTable
	number         int
	strings, lists byteReader
	left           int // Values whose string was not read yet.
	skipped        int // Lists that come before that of the value read last.
	value          []byte
}

// next reads the next string into b.value.
func (b *valueBlock) next() error {
	common := b.strings.uvarint()
	suffix := b.strings.bytes(b.strings.uvarint())
	if b.strings.bad || b.left == 0 || common > uint64(len(b.value)) {
		return b.table.corrupt(b.number)
	}
	b.value = append(b.value[:common], suffix...)
	b.left--
	b.skipped++
	return nil
}

// list returns the series of the value read last. It may be called once a value.
func (b *valueBlock) list() (l postingList, err error) {
	for ; b.skipped > 0; b.skipped-- {
		l.n = b.lists.uint32()
		if n := b.lists.uvarint(); n > 0 {
			l.coded = b.lists.bytes(n)
			continue
		}
		ref, ok := readListRef(&b.lists, len(b.table.r.index.data))
		if !ok {
			return l, b.table.corrupt(b.number)
		}
		if b.skipped == 1 {
			b.skipped = 0
			return b.table.r.list(&ref, l.n)
		}
	}
	l.series = b.table.r.index.series
	if b.lists.bad || l.n > l.series {
		return l, b.table.corrupt(b.number)
	}
	return l, nil
}

// count returns the number of the series of the value read last, in place of list.
func (b *valueBlock) count() (n uint32, err error) {
	for ; b.skipped > 0; b.skipped-- {
		n = b.lists.uint32()
		if size := b.lists.uvarint(); size > 0 {
			b.lists.bytes(size)
		} else if _, ok := readListRef(&b.lists, len(b.table.r.index.data)); !ok {
			return 0, b.table.corrupt(b.number)
		}
	}
	if b.lists.bad || n > b.table.r.index.series {
		return 0, b.table.corrupt(b.number)
	}
	return n, nil
}

// list reads a list of n series that does not lie beside its value.
func (r *Reader) list(ref *listRef, n uint32) (l postingList, err error) {
	l = postingList{series: r.index.series, n: n}
	if n > r.index.series {
		return l, part{r.index.file, int64(ref.stored.offset)}.corrupt("%v", errList)
	}
	if ref.packed {
		l.coded, err = r.index.raw(&ref.stored, "posting list")
	} else {
		l.coded, err = r.index.bytes(&ref.stored, "posting list")
	}
	return l, err
}

// appendValue appends a value of a name to dst.
func (r *Reader) appendValue(dst []byte, name, value int) ([]byte, error) {
	t := &r.values[name]
	b, err := t.block(value / blockValues)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	for range value%blockValues + 1 {
		common := b.strings.uvarint()
		suffix := b.strings.bytes(b.strings.uvarint())
		if b.strings.bad || common > uint64(len(dst)-start) {
			return dst[:start], t.corrupt(b.number)
		}
		dst = append(dst[:start+int(common)], suffix...)
	}
	return dst, nil
}

// search finds the block in which a value is, or would be: the last one that does not begin
// above it.
func (t *valueTable) search(value string) (int, error) {
	from, to := 0, t.entry.blocks()
	for to-from > 1 {
		mid := (from + to) / 2
		b, err := t.block(mid)
		if err == nil {
			err = b.next()
		}
		if err != nil {
			return 0, err
		}
		if string(b.value) <= value {
			from = mid
		} else {
			to = mid
		}
	}
	return from, nil
}

// find returns the block at a value, positioned there; ok is false if the name does not have
// it.
func (t *valueTable) find(value string) (b valueBlock, ok bool, err error) {
	if t.entry.values == 0 {
		return b, false, nil
	}
	i, err := t.search(value)
	if err != nil {
		return b, false, err
	}
	if b, err = t.block(i); err != nil {
		return b, false, err
	}
	for b.left > 0 {
		if err := b.next(); err != nil {
			return b, false, err
		}
		if string(b.value) >= value {
			return b, string(b.value) == value, nil
		}
	}
	return b, false, nil
}

// each calls f with the values from one on, ascending, until it returns false or an error.
// The block stands at the value.
func (t *valueTable) each(from string, f func(b *valueBlock) (bool, error)) error {
	if t.entry.values == 0 {
		return nil
	}
	first := 0
	if from != "" {
		var err error
		if first, err = t.search(from); err != nil {
			return err
		}
	}
	var room []byte
	for i := first; i < t.entry.blocks(); i++ {
		b, err := t.block(i)
		if err != nil {
			return err
		}
		for b.value = room[:0]; b.left > 0; {
			if err := b.next(); err != nil {
				return err
			}
			if i == first && string(b.value) < from {
				continue
			}
			if more, err := f(&b); err != nil || !more {
				return err
			}
		}
		room = b.value
	}
	return nil
}

// list says where a list that is not right was met.
func (t *valueTable) list(err error) error {
	if err != nil {
		return t.at.corrupt("postings of %s: %v", t.entry.name, err)
	}
	return nil
}

// verifyPostings reads all postings of the i-th name.
func (r *Reader) verifyPostings(i int) error {
	t := &r.values[i]
	all := func(l postingList, err error) error {
		if err != nil {
			return err
		}
		return t.list(l.check())
	}
	if err := all(r.list(&t.entry.has, t.entry.series)); err != nil {
		return err
	}
	return t.each("", func(b *valueBlock) (bool, error) { return true, all(b.list()) })
}
