package wal

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// rowSource makes the rows of a group: random ones that resemble scrapes, with everything
// that a row can have.
type rowSource struct {
	rng     *rand.Rand
	t       int64
	columns int
	values  []float64
	starts  []int64
}

func newRowSource(seed uint64, columns int) *rowSource {
	return &rowSource{rng: rand.New(rand.NewPCG(seed, 1)), t: 1_790_000_000_000, columns: columns}
}

var oddValues = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.5, 0.1, 1e-14, math.Pi, 1 << 53, 1<<53 + 2, -(1 << 62), math.Inf(1), math.Inf(-1),
	math.NaN(), math.Float64frombits(value.StaleNaN), math.Float64frombits(0xfff8dead00000001),
	math.SmallestNonzeroFloat64, math.MaxFloat64, 123456.789, 1e15, 1e16,
}

// next returns a row that is valid until the next call.
func (s *rowSource) next() *storage.Row {
	rng := s.rng
	s.t += 15000 + rng.Int64N(3)
	if rng.IntN(20) == 0 {
		s.columns = max(0, s.columns+rng.IntN(7)-3)
	}
	s.values = append(s.values, make([]float64, max(0, s.columns-len(s.values)))...)[:s.columns]
	for c := range s.values {
		switch rng.IntN(12) {
		case 0:
			s.values[c] = oddValues[rng.IntN(len(oddValues))]
		case 1, 2:
			s.values[c] += float64(rng.IntN(100))
		case 3:
			s.values[c] += 0.25
		case 4:
			s.values[c] += rng.Float64()
		}
	}
	row := &storage.Row{T: s.t, Values: s.values}
	if rng.IntN(2) == 0 {
		row.Present = make(storage.Bitmap, (s.columns+63)/64)
		for c := range s.columns {
			if rng.IntN(30) != 0 {
				row.Present.Set(storage.Column(c))
			}
		}
	}
	if rng.IntN(4) == 0 {
		s.starts = append(s.starts, make([]int64, max(0, s.columns-len(s.starts)))...)[:s.columns]
		if s.columns > 0 {
			s.starts[rng.IntN(s.columns)] = s.t - rng.Int64N(1e6)
		}
		row.StartTimes = s.starts
	}
	for c := 0; c < s.columns && rng.IntN(3) == 0; c += 1 + rng.IntN(s.columns) {
		h := storage.HistogramSample{Column: storage.Column(c)}
		if rng.IntN(2) == 0 {
			h.Histogram = testHistogram(rng)
		} else {
			h.FloatHistogram = testHistogram(rng).ToFloat(nil)
		}
		if row.Present != nil {
			row.Present.Set(h.Column)
		}
		row.Histograms = append(row.Histograms, h)
	}
	return row
}

func testHistogram(rng *rand.Rand) *histogram.Histogram {
	return &histogram.Histogram{
		CounterResetHint: histogram.CounterResetHint(rng.IntN(4)), Schema: 1, Count: uint64(rng.IntN(1000)), Sum: rng.Float64(),
		ZeroThreshold: 0.01, ZeroCount: 2,
		PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []int64{rng.Int64N(50), -3},
	}
}

// sample is a sample of a row as a test compares it.
type rowSample struct {
	column uint32
	bits   uint64
	start  int64
	hist   string
}

// samplesOf lists what a row says, the same for every form of saying it.
func samplesOf(row *storage.Row) []rowSample {
	var out []rowSample
	hists := row.Histograms
	for c := range storage.Column(columnsOf(row)) {
		isHist := len(hists) > 0 && hists[0].Column == c
		if !row.Has(c) && !isHist {
			continue
		}
		s := rowSample{column: uint32(c)}
		if int(c) < len(row.StartTimes) {
			s.start = row.StartTimes[c]
		}
		if isHist {
			s.hist = histogramString(hists[0])
			hists = hists[1:]
		} else {
			s.bits = math.Float64bits(row.Values[c])
		}
		out = append(out, s)
	}
	return out
}

// histogramString shows a histogram that need not make sense, which its String would not stand.
func histogramString(h storage.HistogramSample) string {
	if h.Histogram != nil {
		type plain histogram.Histogram
		return fmt.Sprintf("%+v", plain(*h.Histogram))
	}
	type plain histogram.FloatHistogram
	return fmt.Sprintf("%+v", plain(*h.FloatHistogram))
}

func TestRowsRoundTrip(t *testing.T) {
	for seed := range uint64(60) {
		columns := []int{0, 1, 5, 64, 65, 200}[seed%6]
		src := newRowSource(seed, columns)
		enc, dec := NewRowEncoder(seed), NewRowDecoder()
		var latest []float64
		for i := range 300 {
			row := src.next()
			if i%100 == 99 { // Not written: the same, but that the decoder does not know.
				_, err := enc.append(nil, row, uint64(i/90))
				require.NoError(t, err)
				enc.Reset()
				latest = requireChanged(t, enc, row, latest)
				row = src.next()
			}
			payload, err := enc.append(nil, row, uint64(i/90))
			require.NoError(t, err)
			enc.base = crcOf(payload)
			group, got, err := dec.Decode(payload)
			require.NoError(t, err)
			require.Equal(t, seed, group)
			require.Equal(t, row.T, got.T)
			require.Equal(t, samplesOf(row), samplesOf(got), "seed %d row %d", seed, i)
			latest = requireChanged(t, enc, row, latest)
			base := dec.groups[seed]
			require.True(t, slices.Equal(base.modes, enc.modes), "seed %d row %d", seed, i)
			require.True(t, slices.Equal(bitsOf(base.values), bitsOf(enc.latest)), "seed %d row %d: absent columns, too", seed, i)
			g, err := RowGroup(payload)
			require.NoError(t, err)
			require.Equal(t, seed, g)
		}
	}
}

// requireChanged compares what the encoder says of the last row with the floats before it, and
// returns those after it.
func requireChanged(t *testing.T, enc *RowEncoder, row *storage.Row, before []float64) []float64 {
	t.Helper()
	latest := append(slices.Clone(before), make([]float64, max(0, columnsOf(row)-len(before)))...)
	changed, replaced := enc.Changed()
	for c := range latest {
		column := storage.Column(c)
		isHistogram := slices.ContainsFunc(row.Histograms, func(h storage.HistogramSample) bool { return h.Column == column })
		want := c < len(row.Values) && row.Has(column) && !isHistogram && math.Float64bits(row.Values[c]) != math.Float64bits(latest[c])
		require.Equal(t, want, changed.Has(column))
		if want {
			require.Equal(t, math.Float64bits(latest[c]), math.Float64bits(replaced[0]))
			replaced = replaced[1:]
			latest[c] = row.Values[c]
		}
	}
	require.Empty(t, replaced)
	require.Equal(t, bitsOf(latest), bitsOf(enc.Latest()))
	return latest
}

func bitsOf(values []float64) []uint64 {
	out := make([]uint64, len(values))
	for c, v := range values {
		out[c] = math.Float64bits(v)
	}
	return out
}

// TestRowTimes compares the times that are read from the front of rows with those of the
// decoder, some rows being lost.
func TestRowTimes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	times, dec := NewRowTimes(), NewRowDecoder()
	encs := []*RowEncoder{NewRowEncoder(1), NewRowEncoder(2)}
	srcs := []*rowSource{newRowSource(1, 20), newRowSource(2, 3)}
	refused := 0
	for i := range 2000 {
		n := rng.IntN(2)
		payload, err := encs[n].append(nil, srcs[n].next(), uint64(i/500))
		require.NoError(t, err)
		encs[n].base = crcOf(payload)
		if rng.IntN(20) == 0 {
			continue
		}
		got, err := times.Next(&Record{Payload: payload, payloadCRC: crcOf(payload)})
		_, row, want := dec.Decode(payload)
		require.Equal(t, want, err)
		if err != nil {
			refused++
			continue
		}
		require.Equal(t, row.T, got)
	}
	require.Positive(t, refused)
	row, err := NewRowEncoder(3).append(nil, srcs[0].next(), 1)
	require.NoError(t, err)
	for i := range 6 {
		_, err := NewRowTimes().Next(&Record{Payload: row[:i]})
		require.ErrorIs(t, err, ErrCorrupt, "cut at %d", i)
	}
}

// TestRowsLost drops rows, single ones and runs: what follows is refused or right, never
// wrong, and the next full row is read.
func TestRowsLost(t *testing.T) {
	for seed := range uint64(20) {
		src := newRowSource(seed, 40)
		rng := rand.New(rand.NewPCG(seed, 2))
		enc, dec := NewRowEncoder(7), NewRowDecoder()
		lost, refused, drop := false, 0, 0
		for range 600 {
			row := src.next()
			payload, err := enc.append(nil, row, 1)
			require.NoError(t, err)
			enc.base = crcOf(payload)
			if rng.IntN(100) == 0 {
				drop = 1 + rng.IntN(200)
			}
			if drop > 0 {
				drop--
				lost = true
				continue
			}
			_, got, err := dec.Decode(payload)
			if full := payload[1]&rowFull != 0; lost && !full {
				require.ErrorIs(t, err, ErrNoBase)
				refused++
				continue
			}
			lost = false
			require.NoError(t, err)
			require.Equal(t, samplesOf(row), samplesOf(got))
		}
		require.Positive(t, refused)
	}
}

func TestRowFullAtSegmentAndAfterReset(t *testing.T) {
	enc := NewRowEncoder(1)
	row := &storage.Row{T: 1, Values: []float64{1, 2, 3}}
	isFull := func(segment uint64) bool {
		payload, err := enc.append(nil, row, segment)
		require.NoError(t, err)
		return payload[1]&rowFull != 0
	}
	require.True(t, isFull(1))
	require.False(t, isFull(1))
	require.True(t, isFull(2))
	require.False(t, isFull(2))
	enc.Reset()
	require.True(t, isFull(2))
	full := 0
	for range 10 * fullRowEvery {
		if isFull(2) {
			full++
		}
	}
	require.Equal(t, 10, full)
}

func TestRowTooWide(t *testing.T) {
	enc := NewRowEncoder(1)
	present := make(storage.Bitmap, MaxColumns/64+1)
	present.Set(MaxColumns)
	_, err := enc.append(nil, &storage.Row{Present: present}, 1)
	require.ErrorContains(t, err, "columns")
}

func TestRowUnchangedIsSmall(t *testing.T) {
	enc := NewRowEncoder(1)
	values := make([]float64, 1000)
	for c := range values {
		values[c] = float64(c)
	}
	row := &storage.Row{T: 1_790_000_000_000, Values: values}
	for i := range 3 {
		payload, err := enc.append(nil, row, 1)
		require.NoError(t, err)
		row.T += 15000
		if i == 2 {
			require.LessOrEqual(t, len(payload), 9)
		}
	}
	values[77]++
	payload, err := enc.append(nil, row, 1)
	require.NoError(t, err)
	require.LessOrEqual(t, len(payload), 12)
}

// TestDecodeRowDamaged changes and cuts payloads at every byte: an error or a row, no panic,
// and afterwards the group needs a full row.
func TestDecodeRowDamaged(t *testing.T) {
	src := newRowSource(3, 30)
	enc := NewRowEncoder(9)
	var payloads [][]byte
	for range 20 {
		p, err := enc.append(nil, src.next(), 1)
		require.NoError(t, err)
		enc.base = crcOf(p)
		payloads = append(payloads, p)
	}
	for _, p := range payloads {
		for i := range p {
			for _, bad := range [][]byte{p[:i:i], flipped(p, i, 0x01), flipped(p, i, 0x80)} {
				dec := NewRowDecoder()
				for _, good := range payloads {
					if &good[0] == &p[0] {
						break
					}
					_, _, err := dec.Decode(good)
					require.NoError(t, err)
				}
				if _, _, err := dec.Decode(bad); err != nil {
					require.True(t, isRowError(err), "%v", err)
				}
			}
		}
	}
}

func flipped(b []byte, i int, mask byte) []byte {
	out := slices.Clone(b)
	out[i] ^= mask
	return out
}

func TestColumnSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 7, 8, 63, 64, 65, 1000, 20000} {
		for _, density := range []int{0, 1, 2, 10, 100, 5000, -1} {
			set := make(storage.Bitmap, (n+63)/64)
			for c := range n {
				if density < 0 || density > 0 && rng.IntN(density) == 0 {
					set.Set(storage.Column(c))
				}
			}
			encoded := appendSet(nil, set, n)
			require.LessOrEqual(t, len(encoded), 1+(n+7)/8)
			got := make(storage.Bitmap, len(set))
			for i := range got {
				got[i] = rng.Uint64()
			}
			rest, err := readSet(got, append(encoded[:len(encoded):len(encoded)], 0xaa), n)
			require.NoError(t, err)
			require.Equal(t, []byte{0xaa}, rest)
			require.Equal(t, set, got)
			for i := range encoded {
				_, err := readSet(got, encoded[:i:i], n)
				require.ErrorIs(t, err, ErrCorrupt)
			}
		}
	}
	set := make(storage.Bitmap, 1)
	for name, src := range map[string][]byte{
		"form":             {9},
		"gap":              {setGaps, 1, 10},
		"gaps":             {setGaps, 2, 5, 4},
		"bit beyond":       {setBitmap, 0, 4},
		"two-level beyond": {setTwoLevel, 4, 1},
	} {
		_, err := readSet(set, src, 10)
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
}
