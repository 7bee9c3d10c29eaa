package main

import (
	"errors"
	"fmt"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/decimal"
	victoriaencoding "github.com/VictoriaMetrics/VictoriaMetrics/lib/encoding"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/gnomonhq/gnomon/bench/recording"
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
		addColumns(r, j.Rows, all, func([]float64) bool { return true })
		addColumns(r, j.Rows, changing, func(column []float64) bool { return !constant(column) })
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
		file := j.Profile
		if file != "" {
			file += "." + part.name
		}
		c, err := measureProfiled(file, func() error {
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

// addColumns adds the wanted columns of a recording.
func addColumns(r *recording.Recording, rows int, to columns, want func([]float64) bool) {
	table := r.Columns(rows)
	added := make([]int, len(table)) // the number that each column got, or -1
	for c, column := range table {
		added[c] = -1
		if len(column) == 0 || !want(column) {
			continue
		}
		neighbour := -1
		if n := r.Neighbour(c); n >= 0 && len(table[n]) == len(column) {
			neighbour = added[n]
		}
		added[c] = to.add(column, neighbour)
	}
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
	// add returns the number of the column. neighbour is the number of the column that is
	// the next lower bucket of the same histogram, or -1.
	add(column []float64, neighbour int) int
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
	columns    [][]float64
	neighbours []int
	samples    int
	decoded    []float64
}

func (s *source) add(column []float64, neighbour int) int {
	s.columns = append(s.columns, column)
	s.neighbours = append(s.neighbours, neighbour)
	s.samples += len(column)
	if cap(s.decoded) < len(column) {
		s.decoded = make([]float64, 0, len(column))
	}
	return len(s.columns) - 1
}

func (s *source) count() int { return s.samples }

var errDecoded = errors.New("decoded another number of values")

// pageColumns is how many columns gnomonColumns puts into a page.
const pageColumns = 256

type gnomonColumns struct {
	source
	writer  encoding.PageWriter
	decoder encoding.Decoder
	pages   []encodedPage
}

// encodedPage is what a block has of a page: heads that were read, and the payload.
type encodedPage struct {
	heads, payload []byte
	page           *encoding.Page
}

func (c *gnomonColumns) encode() error {
	c.pages = resize(c.pages, (len(c.columns)+pageColumns-1)/pageColumns)
	for n := range c.pages {
		first := n * pageColumns
		c.writer.Reset()
		for i := first; i < min(first+pageColumns, len(c.columns)); i++ {
			c.writer.AppendFloats(c.columns[i], max(c.neighbours[i]-first, -1))
		}
		p := &c.pages[n]
		p.heads, p.payload = c.writer.AppendHeads(p.heads[:0]), append(p.payload[:0], c.writer.Payload()...)
		p.page = nil
	}
	return nil
}

func (c *gnomonColumns) decode() error {
	for n := range c.pages {
		p := &c.pages[n]
		if p.page == nil { // a block reads heads once and keeps them
			var err error
			if p.page, err = encoding.OpenPage(p.heads); err != nil {
				return err
			}
		}
		for i := range p.page.Columns() {
			got, err := c.decoder.Floats(c.decoded[:0], p.page, p.payload, i)
			if err != nil {
				return err
			}
			if len(got) != len(c.columns[n*pageColumns+i]) {
				return errDecoded
			}
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
