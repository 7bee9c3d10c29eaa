package block

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

// FuzzOpen changes bytes of a block's index and data, and then makes the checksums right
// again, so that what is behind them meets the changes, too. Whatever is read, there is no
// panic, and an error is one of the package's.
//
// The patches are triples: two bytes of position, one byte to xor.
func FuzzOpen(f *testing.F) {
	mem := vfs.NewMem()
	fix := newFixture(20, 2, 6, 70)
	dir := fix.mustWrite(f, mem, WriterOptions{PageBytes: 600, FrameSeries: 5})
	goodIndex, err := vfs.ReadFile(mem, filepath.Join(dir, IndexFile))
	require.NoError(f, err)
	goodData, err := vfs.ReadFile(mem, filepath.Join(dir, DataFile))
	require.NoError(f, err)
	f.Add(true, []byte{}, []byte{})
	f.Add(false, []byte{20, 0, 1}, []byte{30, 0, 255})
	for i := 0; i < len(goodIndex); i += 17 {
		f.Add(true, []byte{byte(i), byte(i >> 8), byte(i | 1)}, []byte{})
	}
	for i := 16; i < len(goodData); i += 61 {
		f.Add(true, []byte{}, []byte{byte(i), byte(i >> 8), 0x81})
	}
	f.Fuzz(func(t *testing.T, fix bool, indexPatch, dataPatch []byte) {
		mem := vfs.NewMem()
		require.NoError(t, mem.MkdirAll(dir))
		index, data := patched(goodIndex, indexPatch), patched(goodData, dataPatch)
		if fix {
			fixChecksums(index, data)
		}
		meta := Meta{Version: Version, ULID: testID, Files: []File{{IndexFile, int64(len(index))}, {DataFile, int64(len(data))}}}
		require.NoError(t, WriteMeta(mem, dir, meta))
		require.NoError(t, vfs.WriteFileAtomic(mem, filepath.Join(dir, IndexFile), index))
		require.NoError(t, vfs.WriteFileAtomic(mem, filepath.Join(dir, DataFile), data))
		r, err := Open(mem, dir, ReaderOptions{})
		if err != nil {
			return
		}
		defer r.Close()
		readEverything(r)
	})
}

func patched(good, patch []byte) []byte {
	out := slices.Clone(good)
	for ; len(patch) >= 3; patch = patch[3:] {
		out[int(binary.LittleEndian.Uint16(patch))%len(out)] ^= patch[2]
	}
	return out
}

// readEverything reads whatever a block offers. Errors are expected.
func readEverything(r *Reader) {
	_ = r.Verify() // All that counts is that it returns.
	var e SeriesEntry
	var b labels.ScratchBuilder
	for id := range min(r.NumSeries(), 1000) {
		if r.Series(id, &b, &e) == nil {
			_, _ = readSamples(r, &e)
			_, _ = r.Exemplars(&e)
		}
	}
	ctx := context.Background()
	names, _ := r.Names()
	for _, name := range names {
		for _, value := range []string{"", "metric_1", "h.*", ".+", "0|1"} {
			for typ := labels.MatchEqual; typ <= labels.MatchNotRegexp; typ++ {
				m := labels.MustNewMatcher(typ, name, value)
				_, _ = idx.Select(ctx, r, m)
				_, _ = labelValues(ctx, r, name, m)
				_, _ = labelNames(ctx, r, m)
			}
		}
		_ = r.ValueCounts(name, func(string, int) bool { return true })
	}
}

// fixChecksums makes the checksums of an index and its data right, as far as the tables can be
// followed.
func fixChecksums(index, data []byte) {
	tocSize := sections * tocEntry
	start := len(index) - tocSize - tocTail
	toc := index[start : start+tocSize]
	section := func(kind uint32) []byte {
		for i := range sections {
			e := toc[i*tocEntry:]
			off, n := binary.LittleEndian.Uint64(e[4:]), binary.LittleEndian.Uint64(e[12:])
			if binary.LittleEndian.Uint32(e) == kind && off <= uint64(len(index)) && n <= uint64(len(index))-off {
				return index[off : off+n]
			}
		}
		return nil
	}
	sum := func(file []byte, off, n uint64, crc []byte) {
		if off <= uint64(len(file)) && n <= uint64(len(file))-off {
			binary.LittleEndian.PutUint32(crc, crc32.Checksum(file[off:off+n], castagnoli))
		}
	}
	for b := section(sectionPages); len(b) >= pageEntrySize; b = b[pageEntrySize:] {
		sum(data, binary.LittleEndian.Uint64(b), uint64(binary.LittleEndian.Uint32(b[8:])), b[12:])
	}
	stored := func(b []byte) {
		sum(index, binary.LittleEndian.Uint64(b), uint64(binary.LittleEndian.Uint32(b[8:])), b[16:])
	}
	for b := section(sectionFrames); len(b) >= frameSize; b = b[frameSize:] {
		stored(b[12:])
		stored(b[12+storedSize:])
	}
	r := byteReader{b: section(sectionNames)}
	for range r.count(13) {
		r.bytes(r.uvarint())
		n := r.uvarint()
		r.uvarint()
		off, size, _ := r.uvarint(), r.uvarint(), r.uvarint()
		if crc := r.bytes(4); !r.bad {
			sum(index, off, size, crc)
		}
		off, size = r.uvarint(), r.uvarint()
		if crc := r.bytes(4); !r.bad {
			fixBlocks(index, off, size, (n+blockValues-1)/blockValues)
			sum(index, off, 8*((n+blockValues-1)/blockValues), crc)
		}
	}
	for i := range sections {
		e := toc[i*tocEntry:]
		sum(index, binary.LittleEndian.Uint64(e[4:]), binary.LittleEndian.Uint64(e[12:]), e[20:])
	}
	binary.LittleEndian.PutUint32(index[start+tocSize:], crc32.Checksum(toc, castagnoli))
}

// fixBlocks makes the checksums of the values of a name right.
func fixBlocks(index []byte, off, size, blocks uint64) {
	if off > uint64(len(index)) || size > uint64(len(index))-off || 8*blocks > size || blocks > size {
		return
	}
	directory, body := index[off:][:8*blocks], index[off:][8*blocks:size]
	for i := range blocks {
		from, to := uint64(binary.LittleEndian.Uint32(directory[8*i:])), uint64(len(body))
		if i+1 < blocks {
			to = uint64(binary.LittleEndian.Uint32(directory[8*i+8:]))
		}
		if from <= to && to <= uint64(len(body)) {
			binary.LittleEndian.PutUint32(directory[8*i+4:], crc32.Checksum(body[from:to], castagnoli))
		}
	}
}

// FuzzFrame gives any bytes to the decoders of what in a file lies behind compression and
// checksums: labels, columns, posting lists, values, exemplars and metadata.
func FuzzFrame(f *testing.F) {
	fix := newFixture(21, 2, 6, 70)
	mem := vfs.NewMem()
	r := mustOpen(f, mem, fix.mustWrite(f, mem, WriterOptions{PageBytes: 600, FrameSeries: 5}))
	for i := range r.index.frames {
		for _, part := range []*storedBytes{&r.index.frames[i].labels, &r.index.frames[i].columns} {
			raw, err := r.index.raw(part, "frame")
			require.NoError(f, err)
			f.Add(raw)
		}
	}
	f.Add(appendList(nil, []uint32{1, 2, 3, 500, 999}))
	f.Add(appendMetadata(nil, []metadata.Metadata{{Type: "counter", Help: "h"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		limits := func(name uint32) (uint32, bool) { return 5, name < 20 }
		if l, ok := decodeLabels(b, 5, limits, 9); ok {
			require.Equal(t, l, requireDecoded(t, l))
		}
		if c, ok := decodeColumns(b, 5, 0, []timelineEntry{{rows: 10}, {rows: 70}}); ok {
			var dec encoding.Decoder
			for i := range c.refs {
				d, ok := c.refs[i].split(b)
				if d.page = b; ok && c.refs[i].Kind == storage.KindFloat && len(b) >= int(c.refs[i].page.size) {
					_, _ = c.refs[i].Floats(&dec, nil, d)
				}
			}
		}
		l := postingList{coded: b, series: 1000, n: 5}
		if set, err := l.set(); err == nil {
			require.True(t, set.GetCardinality() == 5 && set.Maximum() < 1000)
			require.Equal(t, set.ToArray(), requireList(t, set.ToArray()))
		} else {
			require.ErrorIs(t, err, errList)
		}
		readExemplars(b)
		readMetadata(b)
		decompress(b, 100)
	})
}

// requireDecoded writes a frame and reads it again.
func requireDecoded(t *testing.T, l *labelFrame) *labelFrame {
	t.Helper()
	limits := func(name uint32) (uint32, bool) { return 5, name < 20 }
	again, ok := decodeLabels(l.append(nil), 5, limits, 9)
	require.True(t, ok)
	return again
}

// requireList writes a list and reads it again.
func requireList(t *testing.T, ids []uint32) []uint32 {
	t.Helper()
	l := postingList{coded: appendList(nil, ids), series: 1000, n: uint32(len(ids))}
	set, err := l.set()
	require.NoError(t, err)
	return set.ToArray()
}

// FuzzSmallFiles gives any bytes to the decoders of meta.json and of tombstones, with a right
// checksum.
func FuzzSmallFiles(f *testing.F) {
	good, err := encodeMeta(Meta{Version: Version, ULID: testID, Origins: map[string]uint64{"a": 1}})
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte{0, 0})
	f.Add([]byte{1, 2, 2, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMeta(b, "meta.json"); err == nil {
			_, err := json.Marshal(m)
			require.NoError(t, err)
		}
		data := append(appendFileHeader(nil, tombstonesMagic), b...)
		data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
		list, err := decodeTombstones(data, "tombstones")
		if err != nil {
			require.True(t, errors.Is(err, ErrCorrupt))
			return
		}
		newTombstones(list).Intervals(nil, 1)
	})
}
