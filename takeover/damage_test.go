package takeover

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// flip turns a bit of a file over, and returns a function that turns it back.
func flip(t testing.TB, name string, at int64) (undo func()) {
	t.Helper()
	turn := func() {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		data[at] ^= 4
		require.NoError(t, os.WriteFile(name, data, 0o600))
	}
	turn()
	return turn
}

func sizeOf(t testing.TB, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	require.NoError(t, err)
	return info.Size()
}

// TestDamagedBlockCostsItself damages one block of several in different ways.
func TestDamagedBlockCostsItself(t *testing.T) {
	whole, want := lived(t)
	source := copyFolder(t, whole)
	f, err := openFolder(source, false)
	require.NoError(t, err)
	require.NoError(t, f.close())
	victim := f.blocks[len(f.blocks)-1].ULID.String()
	dir := filepath.Join(source, victim)
	chunk := filepath.Join(dir, "chunks", "000001")
	for _, c := range []struct {
		name   string
		damage func() (undo func())
	}{
		{"chunk", func() func() { return flip(t, chunk, sizeOf(t, chunk)/2) }},
		{"index", func() func() {
			return flip(t, filepath.Join(dir, "index"), seriesOffset(t, filepath.Join(dir, "index"))+20)
		}},
		{"meta", func() func() { return flip(t, filepath.Join(dir, "meta.json"), 0) }},
		{"tombstones", func() func() { return flip(t, filepath.Join(dir, "tombstones"), 6) }},
		{"missing file", func() func() {
			require.NoError(t, os.Rename(chunk, chunk+".away"))
			return func() { require.NoError(t, os.Rename(chunk+".away", chunk)) }
		}},
		{"torn file", func() func() {
			index := filepath.Join(dir, "index")
			data, err := os.ReadFile(index)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(index, data[:len(data)/2], 0o600))
			return func() { require.NoError(t, os.WriteFile(index, data, 0o600)) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			undo := c.damage()
			mem := vfs.NewMem()
			s, err := Import(context.Background(), source, "data", ImportOptions{FS: mem})
			require.ErrorContains(t, err, victim)
			require.Len(t, s.Damages, 1)
			require.GreaterOrEqual(t, s.Imported, 4, "the others are imported")
			undo()
			rest := imported(t, mem, source, "data", ImportOptions{})
			require.Equal(t, 1, rest.Imported)
			requireContent(t, want, ourContent(t, mem, "data"))
		})
	}
}

// seriesOffset is where the series begin in an index of Prometheus: the second
// number of the table of contents, the last 52 bytes.
func seriesOffset(t testing.TB, index string) int64 {
	t.Helper()
	data, err := os.ReadFile(index)
	require.NoError(t, err)
	return int64(binary.BigEndian.Uint64(data[len(data)-52+8:]))
}

// logFiles are the segments of the write-ahead log, in order.
func logFiles(t testing.TB, dir string) []string {
	t.Helper()
	l, err := listLogs(dir)
	require.NoError(t, err)
	var out []string
	for _, s := range l.segments {
		if !s.outOfOrder {
			out = append(out, s.file)
		}
	}
	return out
}

// missing counts the samples of want that got does not have, and demands that it
// has no others, except in series that something was deleted of: the record that
// says so may be the one that was lost.
func missing(t testing.TB, want, got content) int {
	t.Helper()
	n := 0
	for name, list := range want {
		have := map[string]bool{}
		for _, x := range got[name] {
			have[x] = true
		}
		found := 0
		for _, x := range list {
			if have[x] {
				found++
			}
		}
		n += len(list) - found
		if !strings.Contains(name, "odd") && !strings.Contains(name, `"1"`) && !strings.Contains(name, `"2"`) {
			require.Len(t, got[name], found, "%s has samples that nobody wrote", name)
		}
	}
	return n
}

// TestDamagedLogCostsRecords turns over single bits of the log. There are no
// chunks of the head to help out.
func TestDamagedLogCostsRecords(t *testing.T) {
	whole, want := killed(t)
	source := copyFolder(t, whole)
	require.NoError(t, os.RemoveAll(filepath.Join(source, promHead)))
	files := logFiles(t, source)
	require.Greater(t, len(files), 3)
	victim := files[len(files)-2]
	most := 0
	for at := int64(100); at < sizeOf(t, victim); at += 9973 {
		undo := flip(t, victim, at)
		mem := vfs.NewMem()
		s, err := Import(context.Background(), source, "data", ImportOptions{FS: mem})
		undo()
		if err == nil { // what was hit is padding, or a record of what is in a block
			continue
		}
		require.ErrorContains(t, err, victim+": offset ")
		require.GreaterOrEqual(t, s.Imported, 6)
		most = max(most, missing(t, want, ourContent(t, mem, "data")))
	}
	require.Greater(t, most, 0, "nothing was ever lost: the test hits nothing")
	require.Less(t, most, 100, "more than a record was lost")
}

// TestTornLogIsNoDamage cuts the end of the log off, as a crash does.
func TestTornLogIsNoDamage(t *testing.T) {
	whole, want := killed(t)
	source := copyFolder(t, whole)
	require.NoError(t, os.RemoveAll(filepath.Join(source, promHead)))
	files := logFiles(t, source)
	last := files[len(files)-1]
	require.NoError(t, os.Truncate(last, sizeOf(t, last)-13))
	mem := vfs.NewMem()
	s := imported(t, mem, source, "data", ImportOptions{})
	require.Len(t, s.Notes, 1)
	require.Contains(t, s.Notes[0], "as after a crash")
	require.Less(t, missing(t, want, ourContent(t, mem, "data")), 60)
}

func TestMissingSegmentIsNamed(t *testing.T) {
	whole, _ := killed(t)
	source := copyFolder(t, whole)
	files := logFiles(t, source)
	require.NoError(t, os.Remove(files[len(files)-2]))
	_, err := Import(context.Background(), source, "data", ImportOptions{FS: vfs.NewMem()})
	require.ErrorContains(t, err, "segments are missing")
}

// TestHeadChunksHelpOut takes all samples out of the logs: what is in chunks of
// the head is still imported.
func TestHeadChunksHelpOut(t *testing.T) {
	whole, want := lived(t)
	source := copyFolder(t, whole)
	keepDefinitions(t, filepath.Join(source, promWAL))
	require.NoError(t, os.RemoveAll(filepath.Join(source, promWBL)))
	for _, limit := range []uint64{0, 100} {
		mem := vfs.NewMem()
		imported(t, mem, source, "data", ImportOptions{MaxLogSamples: limit})
		got := ourContent(t, mem, "data")
		// Blocks have 360 minutes, the chunks that are full the next 120.
		require.Less(t, missing(t, want, got), 90*40)
		up := labels.FromStrings("__name__", "requests_total", "i", "3", "Zone", "2").String()
		require.Len(t, got[up], 480)
		require.Equal(t, want[up][:len(got[up])], got[up])
	}
}

// keepDefinitions writes a log anew without samples.
func keepDefinitions(t testing.TB, dir string) {
	t.Helper()
	var kept [][]byte
	l, err := listLogs(filepath.Dir(dir))
	require.NoError(t, err)
	dec := record.NewDecoder(nil, nil)
	require.NoError(t, l.read(context.Background(), func(s *promSegment, rec []byte) error {
		if kind := dec.Type(rec); !s.outOfOrder && (kind == record.Series || kind == record.Tombstones) {
			kept = append(kept, []byte(string(rec)))
		}
		return nil
	}, func(d *logDamage) { require.Fail(t, "damage", "%v", d) }))
	require.NoError(t, os.RemoveAll(dir))
	w, err := wlog.New(nil, nil, dir, compression.None)
	require.NoError(t, err)
	require.NoError(t, w.Log(kept...))
	require.NoError(t, w.Close())
}

// TestDamageCostsOneRecord hits bytes all over a segment, whose records lie within
// pages and across them. Only the few bytes that say how long a record is cost
// what follows in the page.
func TestDamageCostsOneRecord(t *testing.T) {
	dir := t.TempDir()
	w, err := wlog.New(nil, nil, dir, compression.None)
	require.NoError(t, err)
	lengths := []int{10, 20_000, 30, 5000, 20_000, 100_000, 40, 7, 65_000, 50, 60}
	for i, n := range lengths {
		require.NoError(t, w.Log(append([]byte{byte(i)}, make([]byte, n)...)))
	}
	require.NoError(t, w.Close())
	whole, err := os.ReadFile(filepath.Join(dir, "00000000"))
	require.NoError(t, err)
	read := func(data []byte) (n int, damages []*logDamage) {
		s := &promSegment{file: "x", last: true}
		require.NoError(t, s.scan(context.Background(), bytes.NewReader(data), int64(len(data)), func(_ *promSegment, rec []byte) error {
			require.Len(t, rec, lengths[rec[0]]+1)
			n++
			return nil
		}, func(d *logDamage) { damages = append(damages, d) }))
		return n, damages
	}
	n, damages := read(whole)
	require.Equal(t, len(lengths), n)
	require.Empty(t, damages)
	costly := 0
	for at := 0; at < len(whole); at += 61 {
		data := bytes.Clone(whole)
		data[at] ^= 1
		n, damages := read(data)
		if n < len(lengths) {
			require.NotEmpty(t, damages, "offset %d", at)
		}
		if n < len(lengths)-1 {
			costly++
			require.GreaterOrEqual(t, n, len(lengths)-5, "offset %d: %v", at, damages)
		}
	}
	require.LessOrEqual(t, costly, 3, "of %d", len(whole)/61)
	n, damages = read(whole[:len(whole)-promPage/2])
	require.LessOrEqual(t, len(lengths)-n, 3)
	for _, d := range damages {
		require.True(t, d.torn)
	}
}

// FuzzSegment reads whatever as a segment of the logs of Prometheus.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	w, err := wlog.New(nil, nil, dir, compression.None)
	require.NoError(f, err)
	var enc record.Encoder
	require.NoError(f, w.Log(
		enc.Series([]record.RefSeries{{Ref: 1, Labels: labels.FromStrings("a", "b")}}, nil),
		enc.Samples([]record.RefSample{{Ref: 1, T: start, V: 1}, {Ref: 1, T: math.MaxInt64, V: 2}}, nil),
		enc.Metadata([]record.RefMetadata{{Ref: 1, Type: 1, Help: "h"}}, nil),
	))
	require.NoError(f, w.Close())
	seed, err := os.ReadFile(filepath.Join(dir, "00000000"))
	require.NoError(f, err)
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		x := newIndexer(&promLogs{}, &headChunks{}, math.MinInt64, rangeLength, 10, func(error) {})
		d := newLogDecoder(x)
		s := &promSegment{file: "x", last: true}
		require.NoError(t, s.scan(context.Background(), strings.NewReader(string(data)), int64(len(data)), func(s *promSegment, rec []byte) error {
			d.decode(s, rec)
			return nil
		}, func(*logDamage) {}))
		x.finish()
	})
}

// FuzzHeadChunks reads whatever as a file of chunks of the head.
func FuzzHeadChunks(f *testing.F) {
	source, _ := killed(f)
	h, err := listHeadChunks(source)
	require.NoError(f, err)
	require.NotEmpty(f, h.files)
	seed, err := os.ReadFile(h.files[0])
	require.NoError(f, err)
	f.Add(seed[:min(len(seed), 4000)])
	f.Add(make([]byte, 100))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = scanHeadChunks(context.Background(), io.Reader(strings.NewReader(string(data))), int64(len(data)), func(c *headChunk) {
			var s samples
			_ = c.decode(&s)
			s.settle()
		})
	})
}
