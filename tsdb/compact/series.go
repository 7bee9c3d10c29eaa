package compact

import (
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// seriesWriter turns the samples of a series into chunks and timelines. Its
// memory is that of the longest series.
//
// A series is divided where aligned ranges of time begin, so that the series of
// a target, which have the same timestamps, have the same timelines. The range
// doubles until a part has about as many rows as a chunk should have.
type seriesWriter struct {
	w         *block.Writer
	align     int64
	rows      int // of a chunk, about; a longer run is divided evenly
	timelines *Timelines
	exemplars *keeper

	// The samples of the series: of all the timestamps, and the start timestamps
	// if any has one; of those of a kind the values.
	times  []int64
	starts []int64
	runs   []run
	values []float64
	hs     []*histogram.Histogram
	fhs    []*histogram.FloatHistogram
	// origin is where the timestamps come from. divisions has how series were divided, by their
	// origin: those of a target are divided once, without another look at their timestamps.
	origin    origin
	divisions map[origin][]part
	chunks    []block.Chunk
	batch     storage.Batch
}

// run is consecutive samples of a kind.
type run struct {
	kind storage.Kind
	end  int // of its samples
	// shift is the index of a sample of the run minus that of its value.
	shift int
}

// part is the samples from <= i < end of a series, which share a timeline.
type part struct {
	from, end int
	timeline  uint32
}

// origin is the timelines of the sources that the timestamps of a series are: series of the same
// origin have the same timestamps.
type origin struct {
	rows [4]sourceRows
	n    int // of rows; -1 if it is not known
}

// sourceRows is consecutive rows of a timeline of a source.
type sourceRows struct {
	timeline      storage.TimelineID
	offset, count int
}

// add notes where the timestamps of a batch come from.
func (o *origin) add(b *storage.Batch) {
	switch {
	case o.n < 0:
	case b.Timeline == 0:
		o.n = -1
	case o.n > 0 && o.rows[o.n-1].timeline == b.Timeline && o.rows[o.n-1].offset+o.rows[o.n-1].count == b.Offset:
		o.rows[o.n-1].count += b.Len()
	case o.n == len(o.rows):
		o.n = -1
	default:
		o.rows[o.n] = sourceRows{b.Timeline, b.Offset, b.Len()}
		o.n++
	}
}

// maxDivisions bounds what is remembered of how series were divided.
const maxDivisions = 1 << 14

// write reads the series and writes it. A series without samples is left out.
func (sw *seriesWriter) write(s *Series) (bool, error) {
	if err := sw.read(s.Batches); err != nil {
		return false, err
	}
	if len(sw.times) == 0 {
		return false, nil
	}
	parts, err := sw.divide()
	if err != nil {
		return false, err
	}
	sw.chunks = sw.chunks[:0]
	for i := range parts {
		if err := sw.part(&parts[i]); err != nil {
			return false, err
		}
	}
	_, err = sw.w.AddSeries(&block.Series{
		Numbered: s.Numbered, Metadata: s.Metadata, Chunks: sw.chunks, Exemplars: sw.exemplars.keep(s.Exemplars),
	})
	clear(sw.hs)
	clear(sw.fhs)
	return true, err
}

// divide divides the series, and writes the timelines that are new.
func (sw *seriesWriter) divide() (parts []part, err error) {
	if sw.origin.n >= 0 {
		if parts = sw.divisions[sw.origin]; parts != nil {
			return parts, nil
		}
	}
	length := sw.rangeOf(sw.times)
	for from := 0; from < len(sw.times); {
		limit := alignedEnd(sw.times[from], length)
		end := from + 1
		for end < len(sw.times) && sw.times[end] < limit && end-from < encoding.MaxRows {
			end++
		}
		timeline, err := sw.timelines.Add(sw.times[from:end])
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{from, end, timeline})
		from = end
	}
	if sw.origin.n >= 0 {
		if sw.divisions == nil || len(sw.divisions) >= maxDivisions {
			sw.divisions = map[origin][]part{}
		}
		sw.divisions[sw.origin] = parts
	}
	return parts, nil
}

func (sw *seriesWriter) read(it storage.BatchIterator) error {
	sw.times, sw.starts, sw.runs = sw.times[:0], sw.starts[:0], sw.runs[:0]
	sw.values, sw.hs, sw.fhs = sw.values[:0], sw.hs[:0], sw.fhs[:0]
	sw.origin = origin{}
	b := &sw.batch
	for it.Next(b) {
		sw.origin.add(b)
		at := len(sw.times)
		sw.times = append(sw.times, b.Times...)
		sw.readStarts(at, b)
		first := 0
		switch b.Kind {
		case storage.KindHistogram:
			first = len(sw.hs)
			sw.hs = append(sw.hs, b.Histograms...)
		case storage.KindFloatHistogram:
			first = len(sw.fhs)
			sw.fhs = append(sw.fhs, b.FloatHistograms...)
		default:
			first = len(sw.values)
			sw.values = append(sw.values, b.Values...)
		}
		if n := len(sw.runs); n > 0 && sw.runs[n-1].kind == b.Kind {
			sw.runs[n-1].end = len(sw.times)
		} else {
			sw.runs = append(sw.runs, run{b.Kind, len(sw.times), at - first})
		}
	}
	return it.Err()
}

// readStarts adds the start timestamps of a batch whose first sample is number
// at. As long as none has any there are none.
func (sw *seriesWriter) readStarts(at int, b *storage.Batch) {
	switch {
	case b.StartTimes != nil:
		if missing := at - len(sw.starts); missing > 0 {
			sw.starts = append(sw.starts, make([]int64, missing)...)
		}
		sw.starts = append(sw.starts, b.StartTimes...)
	case len(sw.starts) > 0:
		sw.starts = append(sw.starts, make([]int64, b.Len())...)
	}
}

// rangeOf returns the range at which the series is divided.
func (sw *seriesWriter) rangeOf(times []int64) int64 {
	length := sw.align
	span := times[len(times)-1] - times[0] + 1
	for length < span && int64(len(times))*length/span < int64(sw.rows)*2/3 && length < 1<<50 {
		length *= 2
	}
	return length
}

// part writes a part as chunks of one kind each.
func (sw *seriesWriter) part(p *part) error {
	at := p.from
	for i := range sw.runs {
		r := &sw.runs[i]
		if r.end <= at {
			continue
		}
		stop := min(p.end, r.end)
		pieces := max(1, (stop-at+sw.rows/2)/sw.rows)
		for k := range pieces {
			lo, hi := at+(stop-at)*k/pieces, at+(stop-at)*(k+1)/pieces
			if err := sw.chunk(r, p.timeline, p.from, lo, hi); err != nil {
				return err
			}
		}
		if at = stop; at == p.end {
			break
		}
	}
	return nil
}

// chunk makes a chunk of samples of a run. Histograms that are too much for a
// chunk are divided.
func (sw *seriesWriter) chunk(r *run, timeline uint32, base, lo, hi int) error {
	c := block.Chunk{Kind: r.kind, Timeline: timeline, FirstRow: uint32(lo - base), Rows: uint32(hi - lo)}
	var err error
	first, last := lo-r.shift, hi-r.shift
	switch c.Kind {
	case storage.KindHistogram:
		c.Values, err = encoding.AppendHistograms(nil, sw.hs[first:last])
	case storage.KindFloatHistogram:
		c.Values, err = encoding.AppendFloatHistograms(nil, sw.fhs[first:last])
	default:
		c.Floats = sw.values[first:last]
	}
	if err != nil {
		if hi-lo == 1 {
			return err
		}
		mid := (lo + hi) / 2
		if err := sw.chunk(r, timeline, base, lo, mid); err != nil {
			return err
		}
		return sw.chunk(r, timeline, base, mid, hi)
	}
	for i := lo; i < min(hi, len(sw.starts)); i++ {
		if sw.starts[i] != 0 {
			c.StartTimes = encoding.AppendTimes(nil, sw.starts[lo:hi])
			break
		}
	}
	sw.chunks = append(sw.chunks, c)
	return nil
}
