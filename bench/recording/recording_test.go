package recording

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func frames(bodies ...string) []byte {
	var out []byte
	for i, body := range bodies {
		out = binary.BigEndian.AppendUint64(out, uint64(1000+5000*i))
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		out = append(out, body...)
	}
	return out
}

// write compresses frames into a recording and returns its folder.
func write(t *testing.T, kind string, raw []byte) string {
	dir := t.TempDir()
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, kind+Suffix), z.EncodeAll(raw, nil), 0o644))
	return dir
}

func TestLoadRoundTrip(t *testing.T) {
	raw := frames(
		"# HELP a words\na 1\nb{x=\"q\\\"\\n\\\\\",empty=\"\"} 2.5\n",
		"b{x=\"q\\\"\\n\\\\\",empty=\"\"} NaN\nc{y=\"1\",x=\"2\"} +Inf\na 3\n",
		"a 4\nc{y=\"1\",x=\"2\"} -0\n",
	)
	list, err := Load(write(t, "node", raw), Options{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	r := list[0]
	require.Equal(t, "node", r.Kind)
	require.Equal(t, []int64{1000, 6000, 11000}, r.Times)
	require.Equal(t, []labels.Labels{
		labels.FromStrings("__name__", "a"),
		labels.FromStrings("__name__", "b", "x", "q\"\n\\"),
		labels.FromStrings("__name__", "c", "x", "2", "y", "1"),
	}, r.Series)

	nan, stale, minus0 := math.Float64bits(math.NaN()), value.StaleNaN, uint64(1)<<63
	one := func(f float64) uint64 { return math.Float64bits(f) }
	target := Targets(list, 1, 0)[0]
	for i, want := range []map[storage.Column]uint64{
		{0: one(1), 1: one(2.5)},
		{0: one(3), 1: nan, 2: one(math.Inf(1))},
		{0: one(4), 1: stale, 2: minus0},
		{0: one(1), 1: one(2.5), 2: stale}, // the seam
	} {
		var row storage.Row
		target.Row(i, &row)
		require.Len(t, row.Values, 3)
		got := map[storage.Column]uint64{}
		for c := range storage.Column(3) {
			if row.Has(c) {
				got[c] = math.Float64bits(row.Values[c])
			}
		}
		require.Equal(t, want, got, "row %d", i)
	}
	require.Equal(t, 2+3+3+3, target.Samples(4))
}

func TestLoadKindsAndFrames(t *testing.T) {
	dir := write(t, "node", frames("a 1\n", "a 2\n", "a 3\n"))
	list, err := Load(dir, Options{Want: func(kind string) bool { return kind == "node" }, MaxFrames: 2})
	require.NoError(t, err)
	require.Equal(t, 2, list[0].Frames())
	_, err = Load(dir, Options{Want: func(string) bool { return false }})
	require.ErrorContains(t, err, dir)
}

func TestTargetsDiffer(t *testing.T) {
	r, err := Read(bytes.NewReader(frames("a 1\nb{job=\"x\"} 2\n", "a 2\nb{job=\"x\"} 2\n")), "node", 0)
	require.NoError(t, err)
	targets := Targets([]*Recording{r}, 2, 10)
	require.Len(t, targets, 2)
	for c := range 2 {
		require.Equal(t, 10, targets[0].Labels(c).Len())
		require.NotEqual(t, targets[0].Labels(c), targets[1].Labels(c))
	}
	var a, b storage.Row
	targets[0].Row(0, &a)
	targets[1].Row(0, &b)
	require.NotEqual(t, a.Values, b.Values)
	require.Nil(t, a.Present)
}

func TestReadDamage(t *testing.T) {
	whole := frames("a 1\n", "a 2\n")
	r, err := Read(bytes.NewReader(whole[:len(whole)-1]), "node", 0)
	require.NoError(t, err)
	require.Equal(t, 1, r.Frames())
	for name, raw := range map[string][]byte{
		"nothing":      nil,
		"no value":     frames("a\n"),
		"no number":    frames("a b\n"),
		"no equals":    frames("a{x} 1\n"),
		"no quote":     frames("a{x=\"y} 1\n"),
		"giant length": {0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255},
	} {
		_, err := Read(bytes.NewReader(raw), "node", 0)
		require.Error(t, err, name)
	}
}

func TestNarrow(t *testing.T) {
	r, err := Read(bytes.NewReader(frames("a 1\nb 2\nc 3\n", "a 4\nc 6\n")), "node", 0)
	require.NoError(t, err)
	n, err := r.Narrow(2)
	require.NoError(t, err)
	require.Equal(t, []labels.Labels{labels.FromStrings("__name__", "a"), labels.FromStrings("__name__", "c")}, n.Series)
	var row storage.Row
	Targets([]*Recording{n}, 1, 0)[0].Row(1, &row)
	require.Equal(t, []float64{4, 6}, row.Values)
	_, err = r.Narrow(3)
	require.ErrorContains(t, err, "2 series")
}

func TestNeighbour(t *testing.T) {
	r, err := Read(bytes.NewReader(frames(`a_count 1
h_bucket{x="1",le="1"} 1
h_bucket{x="1",le="+Inf"} 1
h_sum{x="1"} 1
h_count{x="1"} 1
h_bucket{x="2",le="1"} 1
h_bucket{x="2",le="+Inf"} 1
h_count{x="2"} 1
`)), "node", 0)
	require.NoError(t, err)
	var got []int
	for c := range r.Series {
		got = append(got, r.Neighbour(c))
	}
	require.Equal(t, []int{-1, -1, 1, -1, 2, -1, 5, 6}, got)
}
