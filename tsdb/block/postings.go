package block

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

var _ idx.Postings = (*Reader)(nil)

// postingsState is what is known of a label name's postings.
type postingsState struct {
	verified atomic.Bool
}

// namePostings are the postings of one label name; they lie in the file.
type namePostings struct {
	at      part
	series  uint32
	offsets []byte // 4 bytes each, one more than values.
	has     []byte
	body    []byte
	values  int
}

// namePostings returns the postings of the i-th name, checked.
func (r *Reader) namePostings(i int) (p namePostings, err error) {
	n := &r.index.names[i]
	b := r.index.data[n.offset:][:n.length]
	p.at, p.series = part{r.index.file, int64(n.offset)}, r.index.series
	first := !r.postings[i].verified.Load()
	if first {
		if got := crc32.Checksum(b, castagnoli); got != n.crc {
			return p, p.at.checksum("postings of "+n.name, n.crc, got)
		}
	}
	if len(b) < 12 {
		return p, p.at.corrupt("postings of %s: %d bytes", n.name, len(b))
	}
	values, has := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	table := 4 * (values + 1)
	if 8+table+has > uint64(len(b)) {
		return p, p.at.corrupt("postings of %s: %d values in %d bytes", n.name, values, len(b))
	}
	p.values = int(values)
	p.offsets, p.has, p.body = b[8:8+table], b[8+table:][:has], b[8+table+has:]
	if first {
		if !ascendingOffsets(p.offsets, len(p.body)) {
			return p, p.at.corrupt("postings of %s: offsets do not ascend", n.name)
		}
		r.postings[i].verified.Store(true)
	}
	return p, nil
}

// find returns the postings of a name; ok is false if the block does not have it.
func (r *Reader) find(name string) (p namePostings, ok bool, err error) {
	i, ok := slices.BinarySearchFunc(r.index.names, name, func(n nameEntry, name string) int {
		return strings.Compare(n.name, name)
	})
	if !ok {
		return p, false, nil
	}
	p, err = r.namePostings(i)
	return p, err == nil, err
}

// value returns the i-th value, in the file, and what follows it.
func (p *namePostings) value(i int) (value []byte, rest byteReader) {
	from := binary.LittleEndian.Uint32(p.offsets[4*i:])
	to := binary.LittleEndian.Uint32(p.offsets[4*i+4:])
	rest = byteReader{b: p.body[from:to]}
	value = rest.bytes(rest.uvarint())
	return value, rest
}

// list returns the series of the value that rest follows.
func (p *namePostings) list(rest byteReader) (postingList, error) {
	if rest.bad {
		return postingList{}, p.at.corrupt("posting list")
	}
	l, err := readList(&rest, p.series)
	if err != nil {
		return l, p.at.corrupt("%v", err)
	}
	return l, nil
}

// search finds the place of a value, or where it would be.
func (p *namePostings) search(value string) (i int, found bool) {
	i = sort.Search(p.values, func(i int) bool {
		v, _ := p.value(i)
		return string(v) >= value
	})
	if i == p.values {
		return i, false
	}
	v, _ := p.value(i)
	return i, string(v) == value
}

// All implements index.Postings.
func (r *Reader) All() (*roaring.Bitmap, error) {
	b := roaring.New()
	b.AddRange(0, uint64(r.index.series))
	return b, nil
}

// Name implements index.Postings.
func (r *Reader) Name(name string) (*roaring.Bitmap, error) {
	p, ok, err := r.find(name)
	if !ok {
		return roaring.New(), err
	}
	l, err := p.list(byteReader{b: p.has})
	if err != nil {
		return nil, err
	}
	return l.set(), nil
}

// Value implements index.Postings.
func (r *Reader) Value(name, value string) (*roaring.Bitmap, error) {
	p, ok, err := r.find(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return roaring.New(), nil
	}
	i, found := p.search(value)
	if !found {
		return roaring.New(), nil
	}
	_, rest := p.value(i)
	l, err := p.list(rest)
	if err != nil {
		return nil, err
	}
	return l.set(), nil
}

// checkEvery is after how many steps a long loop looks at its context.
const checkEvery = 1024

// AddValues implements index.Postings.
func (r *Reader) AddValues(ctx context.Context, dst *roaring.Bitmap, name string, values []string) error {
	p, ok, err := r.find(name)
	if !ok {
		return err
	}
	for n, value := range values {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		i, found := p.search(value)
		if !found {
			continue
		}
		_, rest := p.value(i)
		l, err := p.list(rest)
		if err != nil {
			return err
		}
		l.addTo(dst)
	}
	return nil
}

// AddMatching implements index.Postings.
func (r *Reader) AddMatching(ctx context.Context, dst *roaring.Bitmap, name, prefix string, match func(string) bool) error {
	p, ok, err := r.find(name)
	if !ok {
		return err
	}
	from, _ := p.search(prefix)
	for i := from; i < p.values; i++ {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		v, rest := p.value(i)
		if !bytes.HasPrefix(v, []byte(prefix)) {
			break
		}
		if !match(string(v)) {
			continue
		}
		l, err := p.list(rest)
		if err != nil {
			return err
		}
		l.addTo(dst)
	}
	return nil
}

// Names implements index.Postings.
func (r *Reader) Names() ([]string, error) {
	out := make([]string, len(r.index.names))
	for i := range out {
		out[i] = r.index.names[i].name
	}
	return out, nil
}

// Values implements index.Postings.
func (r *Reader) Values(name string) ([]string, error) {
	p, ok, err := r.find(name)
	if !ok {
		return nil, err
	}
	out := make([]string, p.values)
	for i := range out {
		v, _ := p.value(i)
		out[i] = string(v)
	}
	return out, nil
}

// Retain implements index.Postings: nothing is taken out of a block.
func (r *Reader) Retain(*roaring.Bitmap) {}

// ValuesIn implements index.Postings.
func (r *Reader) ValuesIn(ctx context.Context, set *roaring.Bitmap, name string) ([]string, error) {
	p, ok, err := r.find(name)
	if !ok {
		return nil, err
	}
	var out []string
	for i := range p.values {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v, rest := p.value(i)
		l, err := p.list(rest)
		if err != nil {
			return nil, err
		}
		if l.intersects(set) {
			out = append(out, string(v))
		}
	}
	return out, nil
}

// NameIn implements index.Postings.
func (r *Reader) NameIn(set *roaring.Bitmap, name string) (bool, error) {
	p, ok, err := r.find(name)
	if !ok {
		return false, err
	}
	l, err := p.list(byteReader{b: p.has})
	if err != nil {
		return false, err
	}
	return l.intersects(set), nil
}

// ValueCounts calls f for each value of a label name with the number of its series, in
// ascending order, until f returns false.
func (r *Reader) ValueCounts(name string, f func(value string, series int) bool) error {
	p, ok, err := r.find(name)
	if !ok {
		return err
	}
	for i := range p.values {
		v, rest := p.value(i)
		n := rest.uvarint() // A list begins with its length.
		if rest.bad || n > uint64(p.series) {
			return p.at.corrupt("posting list")
		}
		if !f(string(v), int(n)) {
			return nil
		}
	}
	return nil
}
