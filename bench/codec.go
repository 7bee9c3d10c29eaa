package main

import (
	"errors"
	"fmt"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/decimal"
	victoriaencoding "github.com/VictoriaMetrics/VictoriaMetrics/lib/encoding"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// codecWork is the number of samples that each measured loop has at least.
const codecWork = 30_000_000

// codec encodes and decodes the columns of the recordings, job.Rows rows each, values only.
//
//	encode_ns, decode_ns  processor time per sample, all columns
//	changing_ns           of decoding the columns that are not constant
func codec(j job, _ engine) (values, bool, error) {
	recs, err := j.recordings()
	if err != nil {
		return nil, false, err
	}
	all, changing := newColumns(j.Engine), newColumns(j.Engine)
	if all == nil {
		return nil, false, fmt.Errorf("no codec of %q", j.Engine)
	}
	for _, r := range recs {
		for _, column := range r.Columns(j.Rows) {
			if len(column) == 0 {
				continue
			}
			all.add(column)
			if !constant(column) {
				changing.add(column)
			}
		}
	}
	v := values{}
	for _, part := range []struct {
		name string
		work func() error
		n    int
	}{
		{"encode_ns", all.encode, all.count()},
		{"decode_ns", all.decode, all.count()},
		{"changing_encode_ns", changing.encode, changing.count()},
		{"changing_ns", changing.decode, changing.count()},
	} {
		if err := part.work(); err != nil { // once without measuring, and encode before decode
			return nil, false, err
		}
		rounds := 1 + codecWork/max(part.n, 1)
		if j.Tiny {
			rounds = 1
		}
		c, err := measure(func() error {
			for range rounds {
				if err := part.work(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		v[part.name] = float64(c.cpu) / float64(max(part.n, 1)*rounds)
	}
	return v, false, nil
}

func constant(column []float64) bool {
	for _, v := range column {
		if v != column[0] {
			return false
		}
	}
	return true
}

// columns are columns that a codec encodes and decodes, all in one go.
type columns interface {
	add(column []float64)
	count() int
	encode() error
	decode() error
}

func newColumns(engine string) columns {
	switch engine {
	case ours:
		return &gnomonColumns{}
	case upstream:
		return &upstreamColumns{}
	case victoria:
		return &victoriaColumns{}
	default:
		return nil
	}
}

// source holds the values to encode and room for decoded ones.
type source struct {
	columns [][]float64
	samples int
	decoded []float64
}

func (s *source) add(column []float64) {
	s.columns = append(s.columns, column)
	s.samples += len(column)
	if cap(s.decoded) < len(column) {
		s.decoded = make([]float64, 0, len(column))
	}
}

func (s *source) count() int { return s.samples }

var errDecoded = errors.New("decoded another number of values")

type gnomonColumns struct {
	source
	encoded [][]byte
}

func (c *gnomonColumns) encode() error {
	c.encoded = resize(c.encoded, len(c.columns))
	for i, column := range c.columns {
		c.encoded[i] = encoding.AppendFloats(c.encoded[i][:0], column)
	}
	return nil
}

func (c *gnomonColumns) decode() error {
	for i, src := range c.encoded {
		got, _, err := encoding.DecodeFloats(c.decoded, src)
		if err != nil {
			return err
		}
		if len(got) != len(c.columns[i]) {
			return errDecoded
		}
	}
	return nil
}

// upstreamColumns has a XOR chunk for every 120 samples, with a timestamp each, since the
// codec has no values alone.
type upstreamColumns struct {
	source
	chunks [][]*chunkenc.XORChunk
}

func (c *upstreamColumns) encode() error {
	c.chunks = resize(c.chunks, len(c.columns))
	for i, column := range c.columns {
		c.chunks[i] = c.chunks[i][:0]
		var app chunkenc.Appender
		for k, v := range column {
			if k%120 == 0 {
				chunk := chunkenc.NewXORChunk()
				c.chunks[i] = append(c.chunks[i], chunk)
				var err error
				if app, err = chunk.Appender(); err != nil {
					return err
				}
			}
			app.Append(0, int64(k)*interval, v)
		}
	}
	return nil
}

func (c *upstreamColumns) decode() error {
	var it chunkenc.Iterator
	for i, list := range c.chunks {
		out := c.decoded[:0]
		for _, chunk := range list {
			it = chunk.Iterator(it)
			for it.Next() != chunkenc.ValNone {
				_, v := it.At()
				out = append(out, v)
			}
			if it.Err() != nil {
				return it.Err()
			}
		}
		if len(out) != len(c.columns[i]) {
			return errDecoded
		}
	}
	return nil
}

type victoriaColumns struct {
	source
	encoded  [][]byte
	kinds    []victoriaencoding.MarshalType
	firsts   []int64
	scales   []int16
	integers []int64
}

func (c *victoriaColumns) encode() error {
	c.encoded, c.kinds = resize(c.encoded, len(c.columns)), resize(c.kinds, len(c.columns))
	c.firsts, c.scales = resize(c.firsts, len(c.columns)), resize(c.scales, len(c.columns))
	for i, column := range c.columns {
		c.integers, c.scales[i] = decimal.AppendFloatToDecimal(c.integers[:0], column)
		c.encoded[i], c.kinds[i], c.firsts[i] = victoriaencoding.MarshalValues(c.encoded[i][:0], c.integers, 64)
	}
	return nil
}

func (c *victoriaColumns) decode() error {
	for i, src := range c.encoded {
		var err error
		if c.integers, err = victoriaencoding.UnmarshalValues(c.integers[:0], src, c.kinds[i], c.firsts[i], len(c.columns[i])); err != nil {
			return err
		}
		out := decimal.AppendDecimalToFloat(c.decoded[:0], c.integers, c.scales[i])
		if len(out) != len(c.columns[i]) {
			return errDecoded
		}
	}
	return nil
}

func resize[T any](s []T, n int) []T {
	for len(s) < n {
		var zero T
		s = append(s, zero)
	}
	return s
}
