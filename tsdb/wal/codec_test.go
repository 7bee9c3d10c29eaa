package wal

import (
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func isRowError(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNoBase) }

// decodeAny gives a payload to the decoder of its type. For rows, dec.
func decodeAny(typ Type, payload []byte, dec *RowDecoder) (any, error) {
	switch typ {
	case TypeGroup:
		return DecodeGroup(payload)
	case TypeGroupClose:
		return DecodeGroupClose(payload)
	case TypeColumns:
		return DecodeColumns(payload)
	case TypeColumnRelease:
		_, columns, err := DecodeColumnRelease(payload)
		return columns, err
	case TypeRow:
		_, row, err := dec.Decode(payload)
		return row, err
	case TypeSamples:
		return DecodeSamples(nil, payload)
	case TypeExemplars:
		return DecodeExemplars(payload)
	case TypeMetadata:
		return DecodeMetadata(payload)
	case TypeTombstone:
		return DecodeTombstone(payload)
	case TypeCheckpointBegin, TypeCheckpointEnd:
		return DecodeCheckpoint(payload)
	case TypeFloors:
		return DecodeFloors(payload)
	}
	return nil, ErrCorrupt
}

func testColumns(n int) []Column {
	out := make([]Column, n)
	for i := range out {
		out[i] = Column{
			Number: storage.Column(i), Series: storage.SeriesRef(1000 + 3*i),
			Labels: labels.FromStrings("__name__", "metric_"+strconv.Itoa(i/10), "job", "test", "le", strconv.Itoa(i%10), "empty-ish", " "),
		}
	}
	return out
}

func testSamples(n int) []Sample {
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]Sample, n)
	for i := range out {
		s := Sample{Series: storage.SeriesRef(i * 7 % 50), T: 1_790_000_000_000 + int64(i), Value: oddValues[i%len(oddValues)]}
		switch i % 9 {
		case 3:
			s.Histogram, s.Value = testHistogram(rng), 0
		case 5:
			s.FloatHistogram, s.Value = testHistogram(rng).ToFloat(nil), 0
		case 7:
			s.StartTime = s.T - 5000
		}
		out[i] = s
	}
	return out
}

func testExemplars() []Exemplar {
	return []Exemplar{
		{Series: 5, Exemplar: exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "abc"), Value: 1.5, Ts: 1000, HasTs: true}},
		{Series: 6, Exemplar: exemplar.Exemplar{Labels: labels.EmptyLabels(), Value: math.Inf(1), Ts: -5}},
		{Series: math.MaxUint64, Exemplar: exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "abc", "x", "y")}},
	}
}

func testMetadata() []Metadata {
	return []Metadata{
		{Series: 1, Metadata: metadata.Metadata{Type: model.MetricTypeCounter, Unit: "seconds", Help: "Some help.\nIn two lines."}},
		{Series: 2, Metadata: metadata.Metadata{Type: model.MetricTypeCounter}},
		{Series: 3},
	}
}

func testTombstone() Tombstone {
	return Tombstone{
		MinT: math.MinInt64, MaxT: math.MaxInt64, Series: []storage.SeriesRef{3, 1, math.MaxUint64},
		Matchers: []*labels.Matcher{
			labels.MustNewMatcher(labels.MatchEqual, "job", "x"),
			labels.MustNewMatcher(labels.MatchNotRegexp, "instance", "a.*|b"),
		},
	}
}

func testFloors() []Floor {
	return []Floor{{Series: 9, T: 1_790_000_000_000}, {Series: 3, T: -1}, {Series: math.MaxUint64, T: math.MaxInt64}}
}

func TestFloors(t *testing.T) {
	for _, floors := range [][]Floor{{}, testFloors()} {
		got, err := DecodeFloors(appendFloors(nil, floors))
		require.NoError(t, err)
		require.Equal(t, floors, got)
	}
}

func TestDefinitions(t *testing.T) {
	g, err := DecodeGroup(appendGroup(nil, Group{ID: 1 << 60, Origin: "job/instance"}))
	require.NoError(t, err)
	require.Equal(t, Group{ID: 1 << 60, Origin: "job/instance"}, g)

	closed, err := DecodeGroupClose(appendGroupClose(nil, 77))
	require.NoError(t, err)
	require.Equal(t, uint64(77), closed)

	group, released, err := DecodeColumnRelease(appendColumnRelease(nil, 5, []storage.Column{9, 0, 300, MaxColumns - 1}))
	require.NoError(t, err)
	require.Equal(t, uint64(5), group)
	require.Equal(t, []storage.Column{9, 0, 300, MaxColumns - 1}, released)

	columns := testColumns(200)
	payload, n := appendColumns(nil, 12, columns)
	require.Equal(t, 200, n)
	got, err := DecodeColumns(payload)
	require.NoError(t, err)
	require.Equal(t, uint64(12), got.Group)
	require.Equal(t, columns, withLabels(got))
	require.Less(t, len(payload), 200*14, "strings are stored once")
}

// withLabels returns the columns as they were appended.
func withLabels(c *Columns) []Column {
	list := make([]Column, len(c.List))
	for i, d := range c.List {
		list[i] = Column{Number: d.Number, Series: d.Series}
		var ls labels.Labels
		c.Labels(i, &labels.ScratchBuilder{}, &ls)
		list[i].Labels = ls
	}
	return list
}

func TestColumnsAreSplit(t *testing.T) {
	columns := make([]Column, 50)
	for i := range columns {
		columns[i] = Column{Number: storage.Column(i), Labels: labels.FromStrings("l", strings.Repeat(strconv.Itoa(i%10), 50_000)+strconv.Itoa(i))}
	}
	var got []Column
	records := 0
	for rest := columns; len(rest) > 0; records++ {
		payload, n := appendColumns(nil, 1, rest)
		part, err := DecodeColumns(payload)
		require.NoError(t, err)
		require.LessOrEqual(t, len(payload), 2*targetPayload)
		got = append(got, withLabels(part)...)
		rest = rest[n:]
	}
	require.Greater(t, records, 5)
	require.Equal(t, columns, got)
}

// appendSamples returns a record of samples.
func appendSamples(samples []Sample) []byte {
	e := sampleEncoder{flags: flagsOf(samples)}
	payload := []byte{e.flags}
	for i := range samples {
		payload = e.append(payload, &samples[i])
	}
	return payload
}

func TestSamples(t *testing.T) {
	for _, n := range []int{0, 1, 3, 200} {
		want := testSamples(n)
		payload := appendSamples(want)
		got, err := DecodeSamples(nil, payload)
		require.NoError(t, err)
		require.Len(t, got, n)
		for i := range want {
			w, g := want[i], got[i]
			require.Equal(t, math.Float64bits(w.Value), math.Float64bits(g.Value))
			w.Value, g.Value = 0, 0
			require.Equal(t, w, g)
		}
	}
	_, err := DecodeSamples(nil, nil)
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestExemplarsMetadataTombstones(t *testing.T) {
	payload, n := appendExemplars(nil, testExemplars())
	require.Equal(t, 3, n)
	es, err := DecodeExemplars(payload)
	require.NoError(t, err)
	require.Equal(t, testExemplars(), es)

	payload, n = appendMetadata(nil, testMetadata())
	require.Equal(t, 3, n)
	ms, err := DecodeMetadata(payload)
	require.NoError(t, err)
	require.Equal(t, testMetadata(), ms)

	ts, err := DecodeTombstone(appendTombstone(nil, testTombstone()))
	require.NoError(t, err)
	require.Equal(t, testTombstone().Series, ts.Series)
	require.Equal(t, [2]int64{math.MinInt64, math.MaxInt64}, [2]int64{ts.MinT, ts.MaxT})
	require.Len(t, ts.Matchers, 2)
	for i, m := range testTombstone().Matchers {
		require.Equal(t, m.String(), ts.Matchers[i].String())
	}
	bad := appendTombstone(nil, Tombstone{Matchers: []*labels.Matcher{{Type: labels.MatchRegexp, Name: "a", Value: "("}}})
	_, err = DecodeTombstone(bad)
	require.ErrorIs(t, err, ErrCorrupt)
}

// payloadsOfAllTypes has an example of each type of record.
func payloadsOfAllTypes(t testing.TB) map[Type][]byte {
	out := map[Type][]byte{
		TypeGroup:           appendGroup(nil, Group{ID: 3, Origin: "abc"}),
		TypeGroupClose:      appendGroupClose(nil, 300),
		TypeColumnRelease:   appendColumnRelease(nil, 3, []storage.Column{1, 2, 200}),
		TypeTombstone:       appendTombstone(nil, testTombstone()),
		TypeFloors:          appendFloors(nil, testFloors()),
		TypeCheckpointBegin: {42},
		TypeCheckpointEnd:   {0x80, 1},
	}
	out[TypeColumns], _ = appendColumns(nil, 3, testColumns(12))
	out[TypeSamples] = appendSamples(testSamples(20))
	out[TypeExemplars], _ = appendExemplars(nil, testExemplars())
	out[TypeMetadata], _ = appendMetadata(nil, testMetadata())
	row, err := NewRowEncoder(3).append(nil, newRowSource(1, 50).next(), 1)
	require.NoError(t, err)
	out[TypeRow] = row
	return out
}

// TestDecodersDamaged cuts and changes every payload at every byte: an error that says so, or
// something else that decodes; no panic.
func TestDecodersDamaged(t *testing.T) {
	for typ, payload := range payloadsOfAllTypes(t) {
		_, err := decodeAny(typ, payload, NewRowDecoder())
		require.NoError(t, err, typ)
		for i := range payload {
			if _, err := decodeAny(typ, payload[:i:i], NewRowDecoder()); err != nil {
				require.True(t, isRowError(err), "%s cut at %d: %v", typ, i, err)
			} else {
				require.Equal(t, TypeSamples, typ, "only samples have no length of their own")
			}
			for bit := range 8 {
				if _, err := decodeAny(typ, flipped(payload, i, 1<<bit), NewRowDecoder()); err != nil {
					require.True(t, isRowError(err), "%s flipped at %d: %v", typ, i, err)
				}
			}
		}
	}
}

func TestTypeNames(t *testing.T) {
	require.Equal(t, "row", TypeRow.String())
	require.Equal(t, "checkpoint end", TypeCheckpointEnd.String())
	require.Equal(t, "type 31", Type(31).String())
}
