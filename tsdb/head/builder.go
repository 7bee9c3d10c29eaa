package head

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// builder encodes a run of the places of a segment. It is scratch memory: see build.
type builder struct {
	seg  *segment // its rows and places
	from int      // the first place of the run
	// What it has made: the data, where each place ends in it, and what is sparse.
	data   []byte
	ends   []uint32
	sparse segmentSparse

	values []float64
	hs     []*histogram.Histogram
	fhs    []*histogram.FloatHistogram
	column columnBuffer
	joined columnBuffer
	strip  stripBuffer
	even   storage.Bitmap
	// constants has where in data a constant is encoded, by a hash of its bits.
	constants [1 << constantBits]encodedConstant
	// alike has where in data columns of the strip are encoded, by a hash of some values.
	alike [1 << alikeBits]encodedColumn
}

const (
	constantBits = 7
	alikeBits    = 6
)

type encodedConstant struct {
	key      uint64
	from, to uint32
}

// encodedColumn is a column of the strip; to is 0 if there is none.
type encodedColumn struct {
	column   int
	from, to uint32
}

var builders = sync.Pool{New: func() any { return new(builder) }}

// partPlaces is how many places one goroutine encodes at once: whole strips.
const partPlaces = 32 * 64

// build makes a segment with the places of a layout and extras. add encodes the places
// from <= place < to; several goroutines call it if there are many. The segment keeps no
// part of times.
func build(first uint64, times []int64, main *layout, extras []extra, add func(b *builder, from, to int) error) (*segment, error) {
	s := &segment{first: first, times: makeRowTimes(times), layout: main, extras: extras}
	places := main.columns + len(extras)
	parts := make([]*builder, max(1, (places+partPlaces-1)/partPlaces))
	var next atomic.Int32
	var failed atomic.Pointer[error]
	work := func() {
		for i := int(next.Add(1)) - 1; i < len(parts); i = int(next.Add(1)) - 1 {
			b := builders.Get().(*builder)
			b.begin(s, i*partPlaces)
			if err := add(b, b.from, min(b.from+partPlaces, places)); err != nil {
				failed.Store(&err)
			}
			parts[i] = b
		}
	}
	var others sync.WaitGroup
	for range min(len(parts), runtime.GOMAXPROCS(0)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	s.join(parts, places)
	for _, b := range parts {
		builders.Put(b)
	}
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return s, nil
}

// join gives the segment its places. The builders keep nothing of it.
func (s *segment) join(parts []*builder, places int) {
	size := 0
	for _, b := range parts {
		size += len(b.data)
	}
	s.sizes, s.data = makePieceSizes(places), make([]byte, 0, size)
	all := &parts[0].sparse
	for i, b := range parts {
		for _, end := range b.ends {
			s.sizes.add(len(s.data) + int(end))
		}
		s.data = append(s.data, b.data...)
		if i > 0 {
			all.append(&b.sparse)
		}
	}
	if s.sparse = &nothingSparse; !all.empty() {
		s.sparse = &segmentSparse{all.partial.clone(), placeMasks{}, slices.Clip(all.histograms), slices.Clip(all.starts)}
	}
	for _, b := range parts {
		b.seg, b.sparse.histograms, b.sparse.starts = nil, nil, nil
	}
}

// append adds what the following places have.
func (s *segmentSparse) append(more *segmentSparse) {
	for _, p := range more.partial.places {
		s.partial.add(int(p.place), more.partial.masks[p.mask])
	}
	s.histograms = append(s.histograms, more.histograms...)
	s.starts = append(s.starts, more.starts...)
}

// begin starts a run.
func (b *builder) begin(s *segment, from int) {
	b.seg, b.from = s, from
	b.data, b.ends = b.data[:0], b.ends[:0]
	clear(b.constants[:])
	b.sparse = segmentSparse{partial: b.sparse.partial}
	b.sparse.partial.reset()
}

// place returns the place that is added next.
func (b *builder) place() int32 { return int32(b.from + len(b.ends)) }

// endPlace ends the floats of a place.
func (b *builder) endPlace() { b.ends = append(b.ends, uint32(len(b.data))) }

// addFloats encodes the floats of the next place: the values of the rows of the
// mask, ascending. No value is an absent column.
func (b *builder) addFloats(values []float64, rows rowMask) {
	if len(values) > 0 {
		b.data = encoding.AppendFloats(b.data, values)
		if len(values) < b.seg.rows() {
			b.sparse.partial.add(int(b.place()), rows)
		}
	}
	b.endPlace()
}

// addConstant is addFloats for a value that every row of the segment has. Few
// values are most constants, so it remembers how some are encoded.
func (b *builder) addConstant(v float64) {
	key := math.Float64bits(v)
	known := &b.constants[key*0x9e3779b97f4a7c15>>(64-constantBits)]
	if known.to > 0 && known.key == key {
		b.data = append(b.data, b.data[known.from:known.to]...)
		b.endPlace()
		return
	}
	from := len(b.data)
	b.values = resized(b.values, b.seg.rows())
	fill(b.values, v)
	b.addFloats(b.values, rowMask{})
	*known = encodedConstant{key, uint32(from), uint32(len(b.data))}
}

// addStripColumn is addFloats for a column of the strip that has a value in every row.
// More than half of the columns that change are one before to the bit, as buckets of
// a histogram are and what is counted together, so it remembers how some are encoded.
func (b *builder) addStripColumn(column, rows int) {
	values := b.strip.columns[column][:rows]
	known := &b.alike[alikeHash(values)]
	if known.to > 0 && equalBits(b.strip.columns[known.column][:rows], values) {
		b.data = append(b.data, b.data[known.from:known.to]...)
		b.endPlace()
		return
	}
	from := len(b.data)
	b.addFloats(values, rowMask{})
	*known = encodedColumn{column, uint32(from), uint32(len(b.data))}
}

// alikeHash returns a hash of some of the values, of which there is one at least.
func alikeHash(values []float64) uint64 {
	const mix = 0x9e3779b97f4a7c15
	n := len(values)
	h := math.Float64bits(values[0]) * mix
	h = (h ^ math.Float64bits(values[n/3])) * mix
	h = (h ^ math.Float64bits(values[n*2/3])) * mix
	h = (h ^ math.Float64bits(values[n-1])) * mix
	return h >> (64 - alikeBits)
}

// equalBits reports whether floats, of which there are as many, are the same to the bit.
func equalBits(a, b []float64) bool {
	b = b[:len(a)]
	for i, v := range a {
		if math.Float64bits(v) != math.Float64bits(b[i]) {
			return false
		}
	}
	return true
}

// addStarts encodes the start timestamps of the place added last, one per row
// of the segment.
func (b *builder) addStarts(starts []int64) {
	for _, st := range starts {
		if st != 0 {
			b.sparse.starts = append(b.sparse.starts, encodedPlace{b.place() - 1, encoding.AppendTimes(nil, starts)})
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
	b.sparse.histograms = append(b.sparse.histograms, histogramColumn{b.place() - 1, storage.KindHistogram, rows, data})
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
	b.sparse.histograms = append(b.sparse.histograms, histogramColumn{b.place() - 1, storage.KindFloatHistogram, rows, data})
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
