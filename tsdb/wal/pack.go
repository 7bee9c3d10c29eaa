package wal

import (
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
)

const (
	// packFrom is the payload from which on compressing is tried.
	packFrom = 256
	// packPause is for how many rows of a group it is not tried again when it did not
	// pay: what a target's rows look like does not change from one to the next.
	packPause = 31
)

// pack compresses the payload of a record that ends the batch's buffer, if that saves a
// quarter, which it reports.
func (b *Batch) pack(r *recordRef) bool {
	payload := b.buf[r.start+frameHeader:]
	if b.w.opts.Uncompressed || len(payload) < packFrom {
		return false
	}
	if n := s2.MaxEncodedLen(len(payload)); cap(b.packed) < n {
		b.packed = make([]byte, n)
	}
	small := s2.Encode(b.packed[:cap(b.packed)], payload)
	if len(small) > len(payload)-len(payload)/4 {
		return false
	}
	b.buf = append(b.buf[:r.start+frameHeader], small...)
	r.payload, r.typ, r.crc = len(small), r.typ|packed, crc32.Checksum(small, castagnoli)
	return true
}

// unpack decompresses a payload into dst, which it replaces.
func unpack(dst, payload []byte) ([]byte, error) {
	n, err := s2.DecodedLen(payload)
	if err != nil || n > maxPayload {
		return dst, fmt.Errorf("compressed payload of %d bytes, the limit is %d: %w", n, maxPayload, ErrCorrupt)
	}
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	return s2.Decode(dst[:n], payload)
}
