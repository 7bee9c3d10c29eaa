package rollup

import (
	"encoding/hex"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

var updateGolden = flag.Bool("update", false, "write golden files instead of comparing with them")

const (
	minute = int64(60_000)
	hour   = 60 * minute
)

// randomBuckets are buckets of random samples with their ends.
func randomBuckets(rng *rand.Rand, n int, resolution int64) (buckets []storage.Bucket, ends []int64) {
	end := rng.Int64N(1000) * resolution
	counter := rng.IntN(2) == 0
	v := 0.0
	for range n {
		end += resolution * (1 + rng.Int64N(2)*rng.Int64N(2))
		b := storage.Bucket{T: end, Histograms: rng.Int64N(2) * rng.Int64N(3)}
		for t := end - resolution + 1 + rng.Int64N(resolution/2); t <= end; t += 1 + rng.Int64N(resolution/3) {
			if v += float64(rng.IntN(100)); !counter {
				v = []float64{0.5, -3, math.NaN(), math.Copysign(0, -1), math.Inf(-1), 1e300, math.Pi}[rng.IntN(7)]
			}
			if b.Histograms == 0 || rng.IntN(3) > 0 {
				b.Add(t, v)
			}
		}
		if !b.Empty() {
			b.SetSum(b.Sum()) // what is stored is one number
			buckets, ends = append(buckets, b), append(ends, end)
		}
	}
	return buckets, ends
}

func requireSameBuckets(t testing.TB, want, got []storage.Bucket) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		w, g := &want[i], &got[i]
		require.Equal(t, [5]int64{w.T, w.Count, w.Histograms, w.FirstT, w.LastT}, [5]int64{g.T, g.Count, g.Histograms, g.FirstT, g.LastT}, "bucket %d", i)
		for k, v := range []float64{w.First, w.Last, w.Min, w.Max, w.Resets, w.Sum()} {
			require.Equal(t, math.Float64bits(v), math.Float64bits([]float64{g.First, g.Last, g.Min, g.Max, g.Resets, g.Sum()}[k]), "bucket %d, value %d", i, k)
		}
	}
}

func TestCodecRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var enc Encoder
	var dec Decoder
	for range 300 {
		resolution := []int64{minute, 5 * minute, hour}[rng.IntN(3)]
		want, ends := randomBuckets(rng, 1+rng.IntN(300), resolution)
		data := enc.Append(nil, want, resolution)
		got, err := dec.Append(nil, data, ends, resolution)
		require.NoError(t, err)
		requireSameBuckets(t, want, got)
		for cut := range min(len(data), 100) {
			_, err := dec.Append(nil, data[:cut], ends, resolution)
			require.ErrorIs(t, err, ErrCorrupt, "%d of %d bytes", cut, len(data))
		}
		_, err = dec.Append(nil, append(data, 0), ends, resolution)
		require.ErrorIs(t, err, ErrCorrupt)
		_, err = dec.Append(nil, data, append(ends, math.MaxInt64), resolution)
		require.ErrorIs(t, err, ErrCorrupt)
	}
}

// TestCounterTakesFewColumns pins what equal columns save: of a counter, the
// least value is the first and the greatest the last.
func TestCounterTakesFewColumns(t *testing.T) {
	var buckets []storage.Bucket
	for i := range int64(288) {
		b := storage.Bucket{T: (i + 1) * 5 * minute}
		for k := range int64(20) {
			b.Add(b.T-5*minute+(k+1)*15_000, float64(i*20+k))
		}
		buckets = append(buckets, b)
	}
	require.Less(t, len(new(Encoder).Append(nil, buckets, 5*minute)), 80)
}

// goldenBuckets are what the golden file has.
func goldenBuckets() ([]storage.Bucket, []int64) {
	return randomBuckets(rand.New(rand.NewPCG(3, 4)), 20, 5*minute)
}

func TestGolden(t *testing.T) {
	const file = "testdata/golden_v1.txt"
	buckets, ends := goldenBuckets()
	data := new(Encoder).Append(nil, buckets, 5*minute)
	if *updateGolden {
		require.NoError(t, os.MkdirAll("testdata", 0o777))
		require.NoError(t, os.WriteFile(file, []byte(hex.EncodeToString(data)+"\n"), 0o666))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	want, err := hex.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.Equal(t, want, data)
	got, err := new(Decoder).Append(nil, want, ends, 5*minute)
	require.NoError(t, err)
	requireSameBuckets(t, buckets, got)
}

// FuzzDecode decodes anything: there is no panic, and what was accepted is
// written and read again as the same.
func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		b, ends := randomBuckets(rng, 1+rng.IntN(30), minute)
		data := new(Encoder).Append(nil, b, minute)
		f.Add(data, len(ends))
		for i := 0; i < len(data); i += 5 {
			bad := append([]byte(nil), data...)
			bad[i] ^= 1 << (i % 8)
			f.Add(bad, len(ends))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, rows int) {
		ends := make([]int64, min(max(rows, 0), 1000))
		for i := range ends {
			ends[i] = int64(i+1) * minute
		}
		got, err := new(Decoder).Append(nil, data, ends, minute)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		if len(got) == 0 {
			return
		}
		again, err := new(Decoder).Append(nil, new(Encoder).Append(nil, got, minute), ends, minute)
		require.NoError(t, err)
		for i := range got { // what a bucket without floats had in its columns is not kept
			if got[i].Count == 0 {
				got[i] = storage.Bucket{T: got[i].T, Histograms: got[i].Histograms}
				again[i] = storage.Bucket{T: again[i].T, Histograms: again[i].Histograms}
			}
		}
		requireSameBuckets(t, got, again)
	})
}
