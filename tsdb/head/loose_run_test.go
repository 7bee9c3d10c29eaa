package head

import (
	"cmp"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// packedSeeds are runs of samples with what is special about them.
var packedSeeds = []struct {
	name   string
	times  []int64
	values []float64
	golden string
}{
	{"counter", []int64{1000, 16000, 31000, 46001}, []float64{7, 7, 8, 3}, "0012b0ea010200060209"},
	{"gauge", []int64{-5, 0, 7}, []float64{0.1, 0.1, -2.5}, "00009a9999999999b93f0a02040000000000000004c0"},
	{"mixed", []int64{math.MinInt64, 0, math.MaxInt64}, []float64{1 << 53, 0.5, -1 << 53}, "008480808080808020ffffffffffffffffff0100000000000000e03f01ffffffffffffff3f"},
	{"special", []int64{1, 2, 3, 4, 5}, []float64{0, math.Copysign(0, -1), math.Inf(1), math.Float64frombits(value.StaleNaN), math.NaN()}, "0002020000000000000000800000000000000000f07f0000020000000000f07f0000010000000000f87f"},
}

func packed(times []int64, values []float64) []byte {
	var r looseRun
	for i, t := range times {
		r.add(t, values[i], 1, 0)
	}
	return r.data
}

// unpackAll unpacks a run of so many rows.
func unpackAll(mint int64, data []byte, rows uint16) ([]int64, []float64, error) {
	return unpack(nil, nil, &looseChunk{mint: mint, data: data, rows: rows})
}

func sameFloats(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

func TestPackedRun(t *testing.T) {
	for _, tc := range packedSeeds {
		data := packed(tc.times, tc.values)
		if got := hex.EncodeToString(data); got != tc.golden {
			t.Errorf("%s: packed as %s, want %s", tc.name, got, tc.golden)
		}
		times, values, err := unpackAll(tc.times[0], data, uint16(len(tc.times)))
		if err != nil || !slices.Equal(times, tc.times) || !sameFloats(values, tc.values) {
			t.Errorf("%s: unpacked %v %v, %v", tc.name, times, values, err)
		}
		for n := range data {
			if times, _, err := unpackAll(tc.times[0], data[:n], uint16(len(tc.times))); err == nil {
				t.Errorf("%s: %d of %d bytes have all %d samples", tc.name, n, len(data), len(times))
			}
		}
	}
}

// FuzzUnpack reads anything, and finds what it read again in what it packs.
func FuzzUnpack(f *testing.F) {
	for _, s := range packedSeeds {
		f.Add(s.times[0], packed(s.times, s.values), uint16(len(s.times)))
	}
	f.Fuzz(func(t *testing.T, mint int64, data []byte, rows uint16) {
		times, values, err := unpackAll(mint, data, rows)
		if len(times) != len(values) {
			t.Fatalf("%d times, %d values", len(times), len(values))
		}
		if err != nil || len(times) == 0 {
			return
		}
		data = packed(times, values)
		again, floats, err := unpackAll(times[0], data, rows)
		if err != nil || !slices.Equal(again, times) || !sameFloats(floats, values) {
			t.Fatalf("packed %v %v, unpacked %v %v, %v", times, values, again, floats, err)
		}
	})
}

// TestRunGrowsBehindReaders looks at views again when the run they have has grown,
// been filtered, and become a chunk.
func TestRunGrowsBehindReaders(t *testing.T) {
	var l loose
	var views []looseView
	add := func(n int) {
		for range n {
			at := int64(len(views)+1) * 1000
			l.add(&batch.Sample{T: at, V: float64(at) / 3}, uint64(at), uint64(at-1000))
			views = append(views, l.view(uint64(at)))
		}
	}
	add(chunkRows / 2)
	if l.run.rows == 0 || len(l.chunks) > 0 {
		t.Fatalf("%d rows in the run, %d chunks", l.run.rows, len(l.chunks))
	}
	// Samples keep the transaction that they came with, nearly.
	changed, err := l.filter(minTime, maxTime, func(_ int64, txn uint64) bool { return txn > 20_000 })
	if err != nil || !changed {
		t.Fatalf("filtered: %v, %v", changed, err)
	}
	if from := l.oldest(); from < 16_000 || from > 20_000+looseRows*1000 {
		t.Errorf("what is left begins at %d", from)
	}
	add(2 * chunkRows)
	if l.run.rows == 0 || len(l.chunks) == 0 {
		t.Fatalf("%d rows in the run, %d chunks", l.run.rows, len(l.chunks))
	}
	for i, v := range views {
		got, err := batch.Collect(batch.Merge(v.iterators(minTime, maxTime)...))
		if err != nil {
			t.Fatal(err)
		}
		first := int64(1000)
		if i >= chunkRows/2 {
			first = l.oldest()
		}
		if n := int64(i+1) - first/1000 + 1; int64(len(got)) != n {
			t.Fatalf("view %d has %d samples, want %d", i, len(got), n)
		}
		for j, s := range got {
			if at := first + int64(j)*1000; s.T != at || s.V != float64(at)/3 {
				t.Fatalf("view %d has %v, want the sample at %d", i, s, at)
			}
		}
	}
}

// TestLateSamplesOfRun seals samples that are older than the run.
func TestLateSamplesOfRun(t *testing.T) {
	var l loose
	for i := range 5 * chunkRows {
		at := int64(i) * 10
		if i/looseRows%4 == 3 {
			at -= 1005
		}
		l.add(&batch.Sample{T: at, V: float64(i)}, 1, 1)
	}
	v := l.view(1)
	got, err := batch.Collect(batch.Merge(v.iterators(minTime, maxTime)...))
	if err != nil || len(got) != 5*chunkRows || !slices.IsSortedFunc(got, func(a, b batch.Sample) int { return cmp.Compare(a.T, b.T) }) {
		t.Fatalf("%d samples, %v", len(got), err)
	}
	for _, s := range got {
		if s.T != int64(s.V)*10 && s.T != int64(s.V)*10-1005 {
			t.Errorf("%v", s)
		}
	}
	if len(l.chunks) > 8 {
		t.Errorf("%d chunks", len(l.chunks))
	}
}
