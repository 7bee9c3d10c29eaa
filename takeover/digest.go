package takeover

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Digest is what proves that two sets of series are the same: counts, and a
// checksum over the labels of every series and over time, start time and value
// of every sample, to the bit. It is the sum of the checksums of the series, so
// that their order does not matter, nor how a series is divided into batches. Of
// the counter reset hint of a histogram only counts whether it is a gauge: the
// others say what can be worked out, and are worked out anew.
type Digest struct {
	Series, Samples uint64
	sum             uint64 // of the series that are complete
	hash            xxhash.Digest
	buf             []byte
}

// Sum returns the checksum of what was added so far.
func (d *Digest) Sum() uint64 {
	if d.Series == 0 {
		return 0
	}
	d.flush(0)
	return d.sum + d.hash.Sum64()
}

// Same reports whether both have seen the same.
func (d *Digest) Same(o *Digest) bool {
	return d.Series == o.Series && d.Samples == o.Samples && d.Sum() == o.Sum()
}

// String has the counts and the checksum.
func (d *Digest) String() string {
	return fmt.Sprintf("%d series, %d samples, checksum %016x", d.Series, d.Samples, d.Sum())
}

// flush hands the buffer to the hash if it has more than n bytes.
func (d *Digest) flush(n int) {
	if len(d.buf) > n {
		_, _ = d.hash.Write(d.buf) // never fails
		d.buf = d.buf[:0]
	}
}

// Begin goes to the next series.
func (d *Digest) Begin(ls labels.Labels) {
	d.sum = d.Sum()
	d.hash.Reset()
	d.Series++
	ls.Range(func(l labels.Label) {
		d.string(l.Name)
		d.string(l.Value)
	})
	d.string("") // no label has that name
}

// Add adds samples of the series that Begin went to.
func (d *Digest) Add(b *storage.Batch) {
	d.Samples += uint64(b.Len())
	for i, t := range b.Times {
		d.flush(1 << 12)
		d.buf = append(d.buf, byte(b.Kind))
		d.uint64(uint64(t))
		var st int64
		if b.StartTimes != nil {
			st = b.StartTimes[i]
		}
		d.uint64(uint64(st))
		switch b.Kind {
		case storage.KindHistogram:
			d.histogram(b.Histograms[i])
		case storage.KindFloatHistogram:
			d.floatHistogram(b.FloatHistograms[i])
		default:
			d.uint64(math.Float64bits(b.Values[i]))
		}
	}
}

func (d *Digest) uint64(v uint64) { d.buf = binary.LittleEndian.AppendUint64(d.buf, v) }

func (d *Digest) float(v float64) { d.uint64(math.Float64bits(v)) }

func (d *Digest) string(s string) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
	d.buf = append(d.buf, s...)
}

func (d *Digest) histogram(h *histogram.Histogram) {
	d.shape(h.Schema, h.CounterResetHint, h.ZeroThreshold, h.CustomValues, h.PositiveSpans, h.NegativeSpans)
	d.uint64(h.Count)
	d.uint64(h.ZeroCount)
	d.float(h.Sum)
	for _, list := range [][]int64{h.PositiveBuckets, h.NegativeBuckets} {
		d.uint64(uint64(len(list)))
		for _, n := range list {
			d.uint64(uint64(n))
		}
	}
}

func (d *Digest) floatHistogram(h *histogram.FloatHistogram) {
	d.shape(h.Schema, h.CounterResetHint, h.ZeroThreshold, h.CustomValues, h.PositiveSpans, h.NegativeSpans)
	d.float(h.Count)
	d.float(h.ZeroCount)
	d.float(h.Sum)
	for _, list := range [][]float64{h.PositiveBuckets, h.NegativeBuckets} {
		d.floats(list)
	}
}

func (d *Digest) floats(list []float64) {
	d.uint64(uint64(len(list)))
	for _, v := range list {
		d.float(v)
	}
}

func (d *Digest) shape(schema int32, hint histogram.CounterResetHint, zero float64, custom []float64, spans ...[]histogram.Span) {
	d.uint64(uint64(uint32(schema)))
	gauge := byte(0)
	if hint == histogram.GaugeType {
		gauge = 1
	}
	d.buf = append(d.buf, gauge)
	d.float(zero)
	d.floats(custom)
	for _, list := range spans {
		d.uint64(uint64(len(list)))
		for _, s := range list {
			d.uint64(uint64(uint32(s.Offset))<<32 | uint64(s.Length))
		}
	}
}
