package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// Interval is a time range, inclusive at both ends, milliseconds.
type Interval struct{ MinT, MaxT int64 }

// Tombstone deletes the samples of some series in a time range.
type Tombstone struct {
	Interval
	// Series are the numbers of the series in the block.
	Series *roaring.Bitmap
}

// Tombstones are the deletions of a block. They are immutable, and may be used from any
// number of goroutines. A nil pointer is none.
type Tombstones struct {
	list []Tombstone
	any  *roaring.Bitmap // All series that have one.
}

func newTombstones(list []Tombstone) *Tombstones {
	t := &Tombstones{list: list, any: roaring.New()}
	for _, ts := range list {
		t.any.Or(ts.Series)
	}
	return t
}

// Len is the number of deletions.
func (t *Tombstones) Len() int {
	if t == nil {
		return 0
	}
	return len(t.list)
}

// Intervals appends to dst the ranges in which the samples of a series are deleted: in
// ascending order, neither overlapping nor adjacent.
func (t *Tombstones) Intervals(dst []Interval, series uint32) []Interval {
	if t == nil || !t.any.Contains(series) {
		return dst
	}
	start := len(dst)
	for i := range t.list {
		if t.list[i].Series.Contains(series) {
			dst = append(dst, t.list[i].Interval)
		}
	}
	return mergeIntervals(dst, start)
}

// Ranges returns the ranges in which samples of some series are deleted, in no order.
func (t *Tombstones) Ranges() []Interval {
	var out []Interval
	if t != nil {
		for i := range t.list {
			out = append(out, t.list[i].Interval)
		}
	}
	return out
}

// mergeIntervals brings dst[start:] into ascending order and joins what touches.
func mergeIntervals(dst []Interval, start int) []Interval {
	part := dst[start:]
	if len(part) < 2 {
		return dst
	}
	slices.SortFunc(part, func(a, b Interval) int {
		switch {
		case a.MinT < b.MinT:
			return -1
		case a.MinT > b.MinT:
			return 1
		}
		return 0
	})
	n := 0
	for _, iv := range part[1:] {
		last := &part[n]
		// Adjacent if MaxT+1 is MinT; the comparison cannot overflow this way round.
		if iv.MinT <= last.MaxT || iv.MinT-1 == last.MaxT {
			last.MaxT = max(last.MaxT, iv.MaxT)
			continue
		}
		n++
		part[n] = iv
	}
	return dst[:start+n+1]
}

// Tombstones returns the deletions that are in effect.
func (r *Reader) Tombstones() *Tombstones { return r.tombs.current.Load() }

// with returns the deletions and one more. One of the same series or the same time is
// widened, so that many alike do not make the list long.
func (t *Tombstones) with(iv Interval, series *roaring.Bitmap) []Tombstone {
	list := slices.Clone(t.list)
	for i := range list {
		have := &list[i]
		if have.Interval == iv {
			have.Series = roaring.Or(have.Series, series)
			return list
		}
		touches := iv.MinT <= have.MaxT || iv.MinT-1 == have.MaxT
		if touches && (have.MinT <= iv.MaxT || have.MinT-1 == iv.MaxT) && have.Series.Equals(series) {
			have.Interval = Interval{min(have.MinT, iv.MinT), max(have.MaxT, iv.MaxT)}
			return list
		}
	}
	return append(list, Tombstone{iv, series.Clone()})
}

// Series returns the series that have a deletion. It is not to be changed.
func (t *Tombstones) Series() *roaring.Bitmap {
	if t == nil {
		return roaring.New()
	}
	return t.any
}

// Delete deletes the samples of series in an interval, durably: readers that look at
// Tombstones from now on see it. The bitmap is not kept.
func (r *Reader) Delete(iv Interval, series *roaring.Bitmap) error {
	if series.IsEmpty() {
		return nil
	}
	r.tombs.Lock()
	defer r.tombs.Unlock()
	list := r.Tombstones().with(iv, series)
	data, err := encodeTombstones(list)
	if err != nil {
		return fmt.Errorf("delete from block %s: %w", r.dir, err)
	}
	if err := vfs.WriteFileAtomic(r.fs, filepath.Join(r.dir, TombstonesFile), data); err != nil {
		return fmt.Errorf("delete from block %s: %w", r.dir, err)
	}
	r.tombs.current.Store(newTombstones(list))
	return nil
}

func encodeTombstones(list []Tombstone) ([]byte, error) {
	data := appendFileHeader(nil, tombstonesMagic)
	data = binary.AppendUvarint(data, uint64(len(list)))
	for i := range list {
		t := &list[i]
		data = appendSvarint(appendSvarint(data, t.MinT), t.MaxT)
		b, err := t.Series.ToBytes()
		if err != nil {
			return nil, fmt.Errorf("tombstone: %w", err)
		}
		data = append(binary.AppendUvarint(data, uint64(len(b))), b...)
	}
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli)), nil
}

// ReadTombstones reads the tombstones file of the block in dir; a missing one has none.
func ReadTombstones(fsys vfs.FS, dir string) (*Tombstones, error) {
	name := filepath.Join(dir, TombstonesFile)
	data, err := vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return newTombstones(nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("tombstones: %w", err)
	}
	list, err := decodeTombstones(data, name)
	if err != nil {
		return nil, err
	}
	return newTombstones(list), nil
}

func decodeTombstones(data []byte, file string) (list []Tombstone, err error) {
	at := part{file, 0}
	if err := checkFileHeader(data, tombstonesMagic, file); err != nil {
		return nil, err
	}
	if len(data) < fileHeader+5 {
		return nil, at.corrupt("file of %d bytes is too short", len(data))
	}
	body := data[:len(data)-4]
	if want, got := binary.LittleEndian.Uint32(data[len(body):]), crc32.Checksum(body, castagnoli); want != got {
		return nil, at.checksum("tombstones", want, got)
	}
	r := byteReader{b: body[fileHeader:]}
	for range r.count(3) {
		t := Tombstone{Interval: Interval{MinT: r.svarint(), MaxT: r.svarint()}, Series: roaring.New()}
		b := r.bytes(r.uvarint())
		if r.bad {
			return nil, at.corrupt("tombstone %d is cut off", len(list))
		}
		if _, err := t.Series.ReadFrom(bytes.NewReader(b)); err != nil {
			return nil, at.corrupt("tombstone %d: %v", len(list), err)
		}
		if err := t.Series.Validate(); err != nil {
			return nil, at.corrupt("tombstone %d: %v", len(list), err)
		}
		list = append(list, t)
	}
	if r.bad || len(r.b) > 0 {
		return nil, at.corrupt("%d bytes too many, or cut off", len(r.b))
	}
	return list, nil
}
