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
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
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
	for i := 0; i < len(goodIndex); i += 7 {
		f.Add(true, []byte{byte(i), byte(i >> 8), byte(i | 1)}, []byte{})
	}
	for i := 16; i < len(goodData); i += 31 {
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
	for b := section(sectionFrames); len(b) >= frameSize; b = b[frameSize:] {
		sum(index, binary.LittleEndian.Uint64(b), uint64(binary.LittleEndian.Uint32(b[16:])), b[24:])
	}
	r := byteReader{b: section(sectionNames)}
	for range r.count(7) {
		r.bytes(r.uvarint())
		off, n := r.uvarint(), r.uvarint()
		if crc := r.bytes(4); !r.bad {
			sum(index, off, n, crc)
		}
	}
	for i := range sections {
		e := toc[i*tocEntry:]
		sum(index, binary.LittleEndian.Uint64(e[4:]), binary.LittleEndian.Uint64(e[12:]), e[20:])
	}
	binary.LittleEndian.PutUint32(index[start+tocSize:], crc32.Checksum(toc, castagnoli))
}

// FuzzFrame gives any bytes to the decoder of directory entries, posting lists and exemplars,
// which in a file lie behind compression and checksums.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{1, 0, 1, 0, 1, 0, 0, 0, 5, 0, 0, 4})
	f.Add([]byte{40, 10, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		x := &index{symbols: 2, symbolOffsets: []byte{0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}, symbolBytes: []byte("ab"), timelines: []timelineEntry{{rows: 10}}}
		var e SeriesEntry
		if e.read(b, 0, x, &labels.ScratchBuilder{}) {
			for i := range e.Chunks {
				_, _ = e.Chunks[i].split(b)
			}
		}
		l, err := readList(&byteReader{b: b}, 1000)
		if err == nil {
			set := l.set()
			require.True(t, set.IsEmpty() || set.Maximum() < 1000)
		} else {
			require.ErrorIs(t, err, errList)
		}
		readExemplars(b)
		if len(b) > 8 {
			decodeFrame(b[8:], &frameEntry{series: uint32(b[0]), raw: uint32(b[1]) << 4})
		}
	})
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
