package head

import (
	"math"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// builder makes segments. It is scratch memory: take one from the pool, use it
// for one segment, put it back.
type builder struct {
	seg    *segment
	data   []byte
	values []float64
	hs     []*histogram.Histogram
	fhs    []*histogram.FloatHistogram
	column columnBuffer
	strip  stripBuffer
	even   storage.Bitmap
	// constants has where in data a constant is encoded, by a hash of its bits.
	constants [1 << constantBits]encodedConstant
	sparse    segmentSparse
}

const constantBits = 7

type encodedConstant struct {
	key      uint64
	from, to uint32
}

var builders = sync.Pool{New: func() any { return new(builder) }}

// begin starts a segment with the places of a layout and extras. It keeps no part of times.
func (b *builder) begin(first uint64, times []int64, main *layout, extras []extra) {
	b.seg = &segment{
		first: first, times: makeRowTimes(times), layout: main, extras: extras,
	}
	b.seg.sizes = makePieceSizes(main.columns + len(extras))
	b.data = b.data[:0]
	clear(b.constants[:])
	b.sparse = segmentSparse{partial: b.sparse.partial}
	b.sparse.partial.reset()
}

// end completes the segment. The builder keeps nothing of it.
func (b *builder) end() *segment {
	s := b.seg
	s.data, s.sparse = slices.Clone(b.data), &nothingSparse
	if !b.sparse.empty() {
		s.sparse = &segmentSparse{b.sparse.partial.clone(), placeMasks{}, slices.Clip(b.sparse.histograms), slices.Clip(b.sparse.starts)}
	}
	b.seg, b.sparse.histograms, b.sparse.starts = nil, nil, nil
	return s
}

// addFloats encodes the floats of the next place: the values of the rows of the
// mask, ascending. No value is an absent column.
func (b *builder) addFloats(values []float64, rows rowMask) {
	if len(values) > 0 {
		b.data = encoding.AppendFloats(b.data, values)
		if len(values) < b.seg.rows() {
			b.sparse.partial.add(b.seg.places(), rows)
		}
	}
	b.seg.sizes.add(len(b.data))
}

// addConstant is addFloats for a value that every row of the segment has. Few
// values are most constants, so it remembers how some are encoded.
func (b *builder) addConstant(v float64) {
	key := math.Float64bits(v)
	known := &b.constants[key*0x9e3779b97f4a7c15>>(64-constantBits)]
	if known.to > 0 && known.key == key {
		b.data = append(b.data, b.data[known.from:known.to]...)
		b.seg.sizes.add(len(b.data))
		return
	}
	from := len(b.data)
	b.values = resized(b.values, b.seg.rows())
	fill(b.values, v)
	b.addFloats(b.values, rowMask{})
	*known = encodedConstant{key, uint32(from), uint32(len(b.data))}
}

// addStarts encodes the start timestamps of the place added last, one per row
// of the segment.
func (b *builder) addStarts(starts []int64) {
	for _, st := range starts {
		if st != 0 {
			place := int32(b.seg.places() - 1)
			b.sparse.starts = append(b.sparse.starts, encodedPlace{place, encoding.AppendTimes(nil, starts)})
			return
		}
	}
}

// addHistograms encodes the histograms of the place added last. Rows that are
// too much for one column are split.
func (b *builder) addHistograms(rows rowMask, hs []*histogram.Histogram) {
	if len(hs) == 0 {
		return
	}
	data, err := encoding.AppendHistograms(nil, hs)
	if err != nil && len(hs) > 1 {
		left, right := splitMask(rows, len(hs)/2)
		b.addHistograms(left, hs[:len(hs)/2])
		b.addHistograms(right, hs[len(hs)/2:])
		return
	}
	b.sparse.histograms = append(b.sparse.histograms, histogramColumn{int32(b.seg.places() - 1), storage.KindHistogram, rows, data})
}

// addFloatHistograms is addHistograms for float histograms.
func (b *builder) addFloatHistograms(rows rowMask, hs []*histogram.FloatHistogram) {
	if len(hs) == 0 {
		return
	}
	data, err := encoding.AppendFloatHistograms(nil, hs)
	if err != nil && len(hs) > 1 {
		left, right := splitMask(rows, len(hs)/2)
		b.addFloatHistograms(left, hs[:len(hs)/2])
		b.addFloatHistograms(right, hs[len(hs)/2:])
		return
	}
	b.sparse.histograms = append(b.sparse.histograms, histogramColumn{int32(b.seg.places() - 1), storage.KindFloatHistogram, rows, data})
}

// splitMask divides a mask after its first n rows.
func splitMask(m rowMask, n int) (left, right rowMask) {
	right = m
	for r := 0; n > 0; r++ {
		if m.has(r) {
			left.set(r)
			n--
		}
	}
	right.remove(left)
	return left, right
}

// addColumn adds a place from decoded rows.
func (b *builder) addColumn(c *columnBuffer) {
	var floats, hists, floatHists rowMask
	b.values, b.hs, b.fhs = b.values[:0], b.hs[:0], b.fhs[:0]
	for r, kind := range c.kinds {
		switch kind {
		case cellFloat:
			floats.set(r)
			b.values = append(b.values, c.values[r])
		case cellHistogram:
			hists.set(r)
			b.hs = append(b.hs, c.hs[r])
		case cellFloatHistogram:
			floatHists.set(r)
			b.fhs = append(b.fhs, c.fhs[r])
		}
	}
	b.addFloats(b.values, floats)
	b.addHistograms(hists, b.hs)
	b.addFloatHistograms(floatHists, b.fhs)
	b.addStarts(c.starts)
}
