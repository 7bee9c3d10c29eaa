package block

import (
	"encoding/binary"
	"slices"
)

// labelFrame is the labels and the metadata of the series of a frame: numbers of names, of the
// values of each name, and of metadata. A Writer fills it with numbers in the order in which
// the strings come; in a file they are in the order of the strings.
type labelFrame struct {
	// names are those that occur, ascending.
	names []uint32
	// shapes are the distinct lists of names that series have, as indices into names.
	shapes [][]uint32
	// Of each series: its shape, the end of its values, and the number of its metadata plus one;
	// 0 is none.
	shape, ends, metadata []uint32
	values                []uint32
}

// of returns the names, as indices, and the values of series i.
func (f *labelFrame) of(i int) (names, values []uint32) {
	from := uint32(0)
	if i > 0 {
		from = f.ends[i-1]
	}
	return f.shapes[f.shape[i]], f.values[from:f.ends[i]]
}

// ascending says whether the labels of each series ascend by name. In a Writer they do not by
// number.
func (f *labelFrame) ascending() bool {
	for _, shape := range f.shapes {
		for j := 1; j < len(shape); j++ {
			if shape[j] <= shape[j-1] {
				return false
			}
		}
	}
	return true
}

func (f *labelFrame) size() int {
	n := 4 * (len(f.names) + len(f.shape) + len(f.ends) + len(f.metadata) + len(f.values))
	for _, s := range f.shapes {
		n += 24 + 4*len(s)
	}
	return n
}

// append appends the frame as it is before compression. Each value is coded against the one
// that the name had in the series before.
func (f *labelFrame) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(f.names)))
	next := uint32(0)
	for _, n := range f.names {
		dst = binary.AppendUvarint(dst, uint64(n-next))
		next = n + 1
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.shapes)))
	for _, shape := range f.shapes {
		dst = binary.AppendUvarint(dst, uint64(len(shape)))
		for _, n := range shape {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	last := make([]uint32, len(f.names))
	metadata := uint32(0)
	for i := range f.shape {
		dst = binary.AppendUvarint(dst, uint64(f.shape[i]))
		dst = appendSvarint(dst, int64(f.metadata[i])-int64(metadata))
		metadata = f.metadata[i]
		names, values := f.of(i)
		for j, n := range names {
			dst = appendSvarint(dst, int64(values[j])-int64(last[n]))
			last[n] = values[j]
		}
	}
	return dst
}

// decodeLabels reads what labelFrame.append wrote, of the given number of series. limits has
// the number of values of each name.
func decodeLabels(raw []byte, series uint32, limits func(name uint32) (values uint32, ok bool), metadata uint32) (*labelFrame, bool) {
	r := byteReader{b: raw}
	f := &labelFrame{names: make([]uint32, r.count(1))}
	counts := make([]uint32, len(f.names))
	next := uint64(0)
	for i := range f.names {
		n := next + r.uvarint()
		if n > 1<<32-1 {
			return nil, false
		}
		var ok bool
		if counts[i], ok = limits(uint32(n)); !ok {
			return nil, false
		}
		f.names[i], next = uint32(n), n+1
	}
	f.shapes = make([][]uint32, r.count(1))
	for i := range f.shapes {
		shape := make([]uint32, r.count(1))
		for j := range shape {
			shape[j] = r.uint32()
			if int64(shape[j]) >= int64(len(f.names)) {
				return nil, false
			}
		}
		f.shapes[i] = shape
	}
	if r.bad || uint64(series) > uint64(len(r.b))/2 {
		return nil, false
	}
	return f, f.readSeries(&r, series, counts, metadata)
}

func (f *labelFrame) readSeries(r *byteReader, series uint32, counts []uint32, metadata uint32) bool {
	f.shape, f.ends, f.metadata = make([]uint32, series), make([]uint32, series), make([]uint32, series)
	last := make([]uint32, len(f.names))
	lastMetadata := int64(0)
	f.values = make([]uint32, 0, len(r.b))
	for i := range f.shape {
		f.shape[i] = r.uint32()
		lastMetadata += r.svarint()
		if int64(f.shape[i]) >= int64(len(f.shapes)) || lastMetadata < 0 || lastMetadata > int64(metadata) {
			return false
		}
		f.metadata[i] = uint32(lastMetadata)
		for _, n := range f.shapes[f.shape[i]] {
			v := int64(last[n]) + r.svarint()
			if v < 0 || v >= int64(counts[n]) || r.bad {
				return false
			}
			last[n] = uint32(v)
			f.values = append(f.values, uint32(v))
		}
		f.ends[i] = uint32(len(f.values))
	}
	f.values = slices.Clip(f.values)
	return !r.bad && len(r.b) == 0
}
