package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// postingsWriter writes the values of each name with the series that have them.
type postingsWriter struct {
	w *Writer
	// ids are the series of all values, of all names: those of value v of name n are
	// ids[starts[n][v]:starts[n][v+1]], ascending.
	ids    []uint32
	starts [][]int
	// elsewhere are the lists that do not lie beside their value, by a hash. Many labels tell the
	// same series apart, as pod and instance do: equal lists are stored once.
	elsewhere map[uint64]writtenList

	coded, packed, block, directory, lists []byte
}

type writtenList struct {
	ids []uint32
	ref listRef
}

// listRef is where a list lies that is not beside its value.
type listRef struct {
	stored storedBytes
	packed bool // It is compressed.
}

// Constants of the values of a name.
const (
	// blockValues is how many values make a block. It never changes.
	blockValues = 16
	// maxInline is up to how many bytes a list lies beside its value.
	maxInline = 64
	// minPacked is from how many bytes it is worth a try to compress a list.
	minPacked = 128
)

// write writes the postings of all names, whose labels are sorted, and returns their entries.
func (p *postingsWriter) write(r *ranks) ([]nameEntry, error) {
	if err := p.collect(r); err != nil {
		return nil, err
	}
	p.elsewhere = map[uint64]writtenList{}
	entries := make([]nameEntry, 0, len(p.w.labels.dictionary.names))
	for n, name := range p.w.labels.dictionary.names {
		e, err := p.writeName(n, name)
		if err != nil {
			return nil, fmt.Errorf("postings of %s: %w", name.name, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// collect sorts the series by name and value. Their labels are ranked by the way.
func (p *postingsWriter) collect(r *ranks) error {
	names := p.w.labels.dictionary.names
	total := 0
	next := make([][]int, len(names))
	for n, name := range names {
		starts := make([]int, 0, len(name.values)+1)
		for _, count := range name.counts {
			starts = append(starts, total)
			total += int(count)
		}
		p.starts, next[n] = append(p.starts, append(starts, total)), slices.Clone(starts)
	}
	p.ids = make([]uint32, total)
	return p.w.rankLabelFrames(r, func(first uint32, f *labelFrame) {
		for i := range f.shape {
			names, values := f.of(i)
			for j, n := range names {
				at := &next[f.names[n]][values[j]]
				p.ids[*at] = first + uint32(i)
				*at++
			}
		}
	})
}

// writeName writes the blocks of a name's values, and before them where they begin.
func (p *postingsWriter) writeName(n int, name *nameValues) (e nameEntry, err error) {
	starts := p.starts[n]
	e = nameEntry{name: name.name, values: uint32(len(name.values))}
	all := slices.Clone(p.ids[starts[0]:starts[len(name.values)]])
	slices.Sort(all)
	e.series = uint32(len(all))
	if e.has, err = p.writeList(all); err != nil {
		return e, err
	}
	p.directory, p.block = p.directory[:0], p.block[:0]
	for from := 0; from < len(name.values); from += blockValues {
		at := len(p.block)
		if err := p.appendBlock(name.values, starts, from, min(from+blockValues, len(name.values))); err != nil {
			return e, err
		}
		if len(p.block) > 1<<32-1 {
			return e, fmt.Errorf("values of %d bytes, the limit is 4 GiB", len(p.block))
		}
		p.directory = binary.LittleEndian.AppendUint32(p.directory, uint32(at))
		p.directory = binary.LittleEndian.AppendUint32(p.directory, crc32.Checksum(p.block[at:], castagnoli))
	}
	e.offset, e.length, e.crc = uint64(p.w.index.off), uint64(len(p.directory)+len(p.block)), crc32.Checksum(p.directory, castagnoli)
	if err := p.w.index.write(p.directory); err != nil {
		return e, err
	}
	return e, p.w.index.write(p.block)
}

// appendBlock appends a block of values: their strings, each without what it has in common
// with the one before, and then their lists.
func (p *postingsWriter) appendBlock(values []string, starts []int, from, to int) error {
	p.coded, p.lists = p.coded[:0], p.lists[:0]
	last := ""
	for v := from; v < to; v++ {
		common := commonPrefix(last, values[v])
		p.coded = binary.AppendUvarint(p.coded, uint64(common))
		p.coded = appendString(p.coded, values[v][common:])
		last = values[v]
	}
	p.block = binary.AppendUvarint(p.block, uint64(len(p.coded)))
	p.block = append(p.block, p.coded...)
	for v := from; v < to; v++ {
		ids := p.ids[starts[v]:starts[v+1]]
		p.lists = binary.AppendUvarint(p.lists, uint64(len(ids)))
		if p.coded = appendList(p.coded[:0], ids); len(p.coded) <= maxInline {
			p.lists = append(binary.AppendUvarint(p.lists, uint64(len(p.coded))), p.coded...)
			continue
		}
		ref, err := p.writeList(ids)
		if err != nil {
			return err
		}
		p.lists = ref.append(append(p.lists, 0))
	}
	p.block = append(p.block, p.lists...)
	return nil
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// writeList writes a list, or says where an equal one lies.
func (p *postingsWriter) writeList(ids []uint32) (listRef, error) {
	p.coded = appendList(p.coded[:0], ids)
	if len(p.coded) > maxFrameBytes {
		return listRef{}, fmt.Errorf("list of %d series takes %d bytes, the limit is %d", len(ids), len(p.coded), maxFrameBytes)
	}
	hash := xxhash.Sum64(p.coded)
	if same, ok := p.elsewhere[hash]; ok && slices.Equal(same.ids, ids) {
		return same.ref, nil
	}
	ref := listRef{}
	stored := p.coded
	if len(p.coded) >= minPacked {
		p.packed = p.w.encoder.EncodeAll(p.coded, p.packed[:0])
		if len(p.packed) < len(p.coded)*7/8 {
			stored, ref.packed = p.packed, true
		}
	}
	ref.stored = storedBytes{
		offset: uint64(p.w.index.off), length: uint32(len(stored)), raw: uint32(len(p.coded)), crc: crc32.Checksum(stored, castagnoli),
	}
	if len(p.coded) > maxInline {
		p.elsewhere[hash] = writtenList{ids, ref}
	}
	return ref, p.w.index.write(stored)
}

// append appends the place of a list.
func (l *listRef) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, l.stored.offset)
	dst = binary.AppendUvarint(dst, uint64(l.stored.length))
	raw := uint64(0)
	if l.packed {
		raw = uint64(l.stored.raw)
	}
	dst = binary.AppendUvarint(dst, raw)
	return binary.LittleEndian.AppendUint32(dst, l.stored.crc)
}

// readListRef reads the place of a list in a file of the given length.
func readListRef(r *byteReader, file int) (l listRef, ok bool) {
	l.stored.offset, l.stored.length, l.stored.raw = r.uvarint(), r.uint32(), r.uint32()
	l.packed = l.stored.raw > 0
	crc := r.bytes(4)
	if r.bad || !l.stored.inside(file) || l.stored.raw > maxFrameBytes {
		return l, false
	}
	l.stored.crc = binary.LittleEndian.Uint32(crc)
	return l, true
}
