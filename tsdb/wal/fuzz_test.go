package wal

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// FuzzReader gives any bytes to the reader as the only segment: no panic, every byte is
// accounted for, and reading again after the tail was cut finds the same records.
func FuzzReader(f *testing.F) {
	fsys, name := buildLog(f, "alpha", "beta", "gamma")
	good, err := vfs.ReadFile(fsys, name)
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)-4])
	f.Add(packedSegment(f))
	f.Add(flipped(good, 60, 8))
	f.Add([]byte(nil))
	f.Add(append(good[:len(good):len(good)], make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := vfs.NewMem()
		require.NoError(t, fsys.MkdirAll(testDir))
		rewrite(t, fsys, name, data)
		read := func() (records [][]byte, bytes int64) {
			r, err := OpenReader(fsys, testDir, ReaderOptions{CutTail: true, OnDamage: func(d Damage) { bytes += d.Length }})
			require.NoError(t, err)
			for r.Next() {
				rec := r.Record()
				records = append(records, append([]byte{byte(rec.Type)}, rec.Payload...))
				bytes += int64(frameHeader + rec.stored)
				_, _ = decodeAny(rec.Type, rec.Payload, NewRowDecoder()) // An error is as good as a value.
			}
			return records, bytes
		}
		first, bytes := read()
		if len(data) > segmentHeader { // A header that is in order is neither record nor damage.
			require.Contains(t, []int64{int64(len(data)), int64(len(data) - segmentHeader)}, bytes)
		}
		again, _ := read()
		require.Equal(t, first, again)
	})
}

// FuzzPayloads gives any bytes to the decoder of any type.
func FuzzPayloads(f *testing.F) {
	for typ, payload := range payloadsOfAllTypes(f) {
		f.Add(byte(typ), payload)
	}
	f.Fuzz(func(t *testing.T, typ byte, payload []byte) {
		dec := NewRowDecoder()
		got, err := decodeAny(Type(typ%13), payload, dec)
		if err != nil {
			require.True(t, isRowError(err), "%v", err)
			return
		}
		if row, ok := got.(*storage.Row); ok {
			// What decoded can be encoded and decodes to the same.
			want := samplesOf(row)
			again, err := NewRowEncoder(1).append(nil, row, 1)
			require.NoError(t, err)
			_, row, err := NewRowDecoder().Decode(again)
			require.NoError(t, err)
			require.Equal(t, want, samplesOf(row))
		}
	})
}

// FuzzRows makes the rows of a group from the input: the first byte of each says how wide it
// is, the following ones what happens to each column.
func FuzzRows(f *testing.F) {
	f.Add([]byte{3, 1, 2, 3, 3, 0, 0, 1, 2, 9, 9})
	f.Add([]byte{200, 255, 254, 253, 5, 1, 1, 1, 1, 1, 5, 255, 254, 17, 16, 15})
	f.Fuzz(func(t *testing.T, src []byte) {
		enc, dec := NewRowEncoder(1), NewRowDecoder()
		var values []float64
		for rows := int64(0); len(src) > 0 && rows < 300; rows++ {
			n := int(src[0])
			src = src[1:]
			row := &storage.Row{T: rows * rows * 1000}
			for len(values) < n {
				values = append(values, 0)
			}
			if n%3 == 0 {
				row.Present = make(storage.Bitmap, n/64+1)
			}
			for c := range min(n, len(src)) {
				b := src[c]
				switch {
				case int(b) < len(oddValues):
					values[c] = oddValues[b]
				case b < 128:
					values[c] += float64(b)
				case b < 200:
					values[c] /= 10
				default:
					values[c] = math.Float64frombits(math.Float64bits(values[c]) + uint64(b))
				}
				if row.Present != nil && b&1 == 0 {
					row.Present.Set(storage.Column(c))
				}
			}
			src = src[min(n, len(src)):]
			row.Values = values[:n]
			payload, err := enc.append(nil, row, uint64(rows/100))
			require.NoError(t, err)
			enc.base = crcOf(payload)
			_, got, err := dec.Decode(payload)
			require.NoError(t, err)
			require.Equal(t, row.T, got.T)
			require.Equal(t, samplesOf(row), samplesOf(got))
		}
	})
}
