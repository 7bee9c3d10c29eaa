package block

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

const parent = "data/blocks"

var testID = ulid.MustParse("01JAAAAAAAAAAAAAAAAAAAAAAA")

// sample is a sample as the tests compare it.
type sample struct {
	t, start int64
	bits     uint64
	hist     string
}

// testSeries is a series with what is expected of it.
type testSeries struct {
	Series
	samples []sample
}

// fixture is the content of a block.
type fixture struct {
	timelines [][]int64
	series    []testSeries
}

// newFixture makes a block of targets times metrics series, with everything that a block can
// hold in some of them.
func newFixture(seed uint64, targets, metrics, rows int) *fixture {
	rng := rand.New(rand.NewPCG(seed, 1))
	f := &fixture{}
	for target := range targets {
		times := make([]int64, rows)
		for i := range times {
			times[i] = int64(target) + int64(i)*15000 + rng.Int64N(2)
		}
		f.timelines = append(f.timelines, times)
	}
	for metric := range metrics {
		for target := range targets {
			s := testSeries{Series: Series{Labels: labels.FromStrings(
				"A_label_before_the_name", "x", model.MetricNameLabel, fmt.Sprintf("metric_%d", metric), "instance", fmt.Sprint("host-", target),
				"job", fmt.Sprint(target%2))}}
			if metric%3 == 0 {
				s.Labels = labels.NewBuilder(s.Labels).Set("extra", fmt.Sprint(rng.IntN(3))).Labels()
			}
			if metric%2 == 0 {
				s.Metadata = metadata.Metadata{Type: model.MetricTypeCounter, Unit: "", Help: fmt.Sprint("Help of ", metric)}
			}
			if metric%4 == 1 {
				s.Exemplars = []exemplar.Exemplar{
					{Labels: labels.FromStrings("trace_id", fmt.Sprint(target)), Value: 1.5, Ts: 100, HasTs: true},
					{Labels: labels.EmptyLabels(), Value: math.Inf(1), Ts: 50},
				}
			}
			f.addChunks(rng, &s, uint32(target), rows)
			f.series = append(f.series, s)
			if metric%4 == 2 {
				f.addBuckets(rng, s.Labels, uint32(target), rows)
			}
		}
	}
	slices.SortFunc(f.series, func(a, b testSeries) int { return Compare(a.Labels, b.Labels) })
	return f
}

// addBuckets adds the buckets of a histogram, over all rows of a timeline.
func (f *fixture) addBuckets(rng *rand.Rand, ls labels.Labels, timeline uint32, rows int) {
	counts := make([]float64, rows)
	for _, le := range []string{"0.5", "1", "10", "+Inf"} {
		total, floats := 0.0, make([]float64, rows)
		s := testSeries{Series: Series{Labels: labels.NewBuilder(ls).Set("le", le).Set("zone", "z").Labels()}}
		for i := range rows {
			total += float64(rng.IntN(3))
			counts[i] += total
			floats[i] = counts[i]
			s.samples = append(s.samples, sample{t: f.timelines[timeline][i], bits: math.Float64bits(floats[i])})
		}
		s.Chunks = []Chunk{{Timeline: timeline, Rows: uint32(rows), Floats: floats}}
		f.series = append(f.series, s)
	}
}

// addChunks splits the rows of a timeline into chunks of different kinds.
func (f *fixture) addChunks(rng *rand.Rand, s *testSeries, timeline uint32, rows int) {
	for first := 0; first < rows; {
		n := min(rows-first, 1+rng.IntN(100))
		c := Chunk{Kind: storage.Kind(rng.IntN(5) % 3), Timeline: timeline, FirstRow: uint32(first), Rows: uint32(n)}
		if rng.IntN(3) == 0 {
			c.Presence = make(storage.Bitmap, (n+63)/64)
			c.Presence.Set(0)
			for i := range n {
				if rng.IntN(4) > 0 {
					c.Presence.Set(storage.Column(i))
				}
			}
		}
		withStart := rng.IntN(3) == 0
		var starts []int64
		var floats []float64
		var hists []*histogram.Histogram
		var floatHists []*histogram.FloatHistogram
		for i := range n {
			if c.Presence != nil && !c.Presence.Has(storage.Column(i)) {
				continue
			}
			sm := sample{t: f.timelines[timeline][first+i]}
			if withStart {
				sm.start = sm.t - 77
				starts = append(starts, sm.start)
			}
			h := &histogram.Histogram{Count: uint64(i), Sum: rng.Float64(), PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{int64(i)}}
			switch c.Kind {
			case storage.KindFloat:
				v := float64(rng.IntN(1000)) / 8
				floats = append(floats, v)
				sm.bits = math.Float64bits(v)
			case storage.KindHistogram:
				hists = append(hists, h)
				sm.hist = h.String()
			case storage.KindFloatHistogram:
				floatHists = append(floatHists, h.ToFloat(nil))
				sm.hist = h.ToFloat(nil).String()
			}
			s.samples = append(s.samples, sm)
		}
		if withStart {
			c.StartTimes = encoding.AppendTimes(nil, starts)
		}
		switch c.Kind {
		case storage.KindFloat:
			c.Floats = floats
		case storage.KindHistogram:
			c.Values, _ = encoding.AppendHistograms(nil, hists) // Far from any limit.
		case storage.KindFloatHistogram:
			c.Values, _ = encoding.AppendFloatHistograms(nil, floatHists)
		}
		s.Chunks = append(s.Chunks, c)
		first += n
	}
}

// write writes the fixture as a block.
func (f *fixture) write(fsys vfs.FS, opts WriterOptions) (meta Meta, err error) {
	w, err := NewWriter(fsys, parent, testID, opts)
	if err != nil {
		return meta, err
	}
	defer func() {
		if err != nil {
			_ = w.Abort() // The first error counts.
		}
	}()
	for _, times := range f.timelines {
		if _, err := w.AddTimeline(times); err != nil {
			return meta, err
		}
	}
	for i := range f.series {
		if _, err := w.AddSeries(&f.series[i].Series); err != nil {
			return meta, err
		}
	}
	return w.Finish(Meta{
		MinTime: 0, MaxTime: 1e9, Compaction: Compaction{Level: 1, Sources: []ulid.ULID{testID}},
		Stats: Stats{NumGroups: uint64(len(f.timelines))}, Origins: map[string]uint64{"node": 5 << 24},
	})
}

func (f *fixture) mustWrite(t testing.TB, fsys vfs.FS, opts WriterOptions) string {
	t.Helper()
	_, err := f.write(fsys, opts)
	require.NoError(t, err)
	return filepath.Join(parent, testID.String())
}

func mustOpen(t testing.TB, fsys vfs.FS, dir string) *Reader {
	t.Helper()
	r, err := Open(fsys, dir, ReaderOptions{})
	require.NoError(t, err)
	return r
}

// readSamples decodes all samples of a series.
func readSamples(r *Reader, e *SeriesEntry) (out []sample, err error) {
	var dec encoding.Decoder
	for i := range e.Chunks {
		c := &e.Chunks[i]
		d, err := r.Chunk(c)
		if err != nil {
			return nil, err
		}
		times, err := r.Timeline(c.Timeline)
		if err != nil {
			return nil, err
		}
		var floats []float64
		var hists []*histogram.Histogram
		var floatHists []*histogram.FloatHistogram
		var starts []int64
		switch c.Kind {
		case storage.KindFloat:
			floats, err = c.Floats(&dec, nil, d)
		case storage.KindHistogram:
			hists, _, err = encoding.DecodeHistograms(nil, d.Values)
		case storage.KindFloatHistogram:
			floatHists, _, err = encoding.DecodeFloatHistograms(nil, d.Values)
		}
		if err != nil {
			return nil, err
		}
		if c.HasStartTimes {
			if starts, _, err = encoding.DecodeTimes(nil, d.StartTimes); err != nil {
				return nil, err
			}
		}
		at := 0
		for row := range int(c.Rows) {
			if d.Presence != nil && !d.Presence.Has(storage.Column(row)) {
				continue
			}
			s := sample{t: times[int(c.FirstRow)+row]}
			switch {
			case at < len(floats):
				s.bits = math.Float64bits(floats[at])
			case at < len(hists):
				s.hist = hists[at].String()
			case at < len(floatHists):
				s.hist = floatHists[at].String()
			default:
				return nil, fmt.Errorf("chunk has %d values", at)
			}
			if at < len(starts) {
				s.start = starts[at]
			}
			at++
			out = append(out, s)
		}
	}
	return out, nil
}

// check reads series i and compares it with the fixture.
func (f *fixture) check(t testing.TB, r *Reader, i int) error {
	var e SeriesEntry
	var b labels.ScratchBuilder
	if err := r.Series(uint32(i), &b, &e); err != nil {
		return err
	}
	want := &f.series[i]
	require.Equal(t, want.Labels.String(), e.Labels.String())
	require.Equal(t, want.Metadata, e.Metadata)
	require.Len(t, e.Chunks, len(want.Chunks))
	es, err := r.Exemplars(&e)
	if err != nil {
		return err
	}
	require.Equal(t, len(want.Exemplars) > 0, e.HasExemplars())
	require.Equal(t, want.Exemplars, es)
	got, err := readSamples(r, &e)
	if err != nil {
		return err
	}
	require.Equal(t, want.samples, got)
	return nil
}
