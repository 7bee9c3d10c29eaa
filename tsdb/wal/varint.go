package wal

import "encoding/binary"

func zigzag(n int64) uint64   { return uint64(n)<<1 ^ uint64(n>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendSvarint(dst []byte, n int64) []byte {
	u := zigzag(n)
	if u < 0x80 {
		return append(dst, byte(u))
	}
	return binary.AppendUvarint(dst, u)
}

// readUvarint reads a uvarint; what names it in the error.
func readUvarint(src []byte, what string) (uint64, []byte, error) {
	if len(src) > 0 && src[0] < 0x80 {
		return uint64(src[0]), src[1:], nil
	}
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, nil, corruptf("%s: varint is cut off or too long", what)
	}
	return v, src[n:], nil
}

func readSvarint(src []byte, what string) (int64, []byte, error) {
	u, rest, err := readUvarint(src, what)
	return unzigzag(u), rest, err
}

// readCount reads the number of things that take at least size bytes each.
func readCount(src []byte, size int, what string) (int, []byte, error) {
	u, rest, err := readUvarint(src, what)
	if err == nil && u > uint64(len(rest)/size) {
		return 0, nil, corruptf("%d %s in %d bytes", u, what, len(rest))
	}
	return int(u), rest, err
}

func readBytes8(src []byte, what string) (uint64, []byte, error) {
	if len(src) < 8 {
		return 0, nil, corruptf("%s: %d bytes left, want 8", what, len(src))
	}
	return binary.LittleEndian.Uint64(src), src[8:], nil
}

// checkEnd is the last step of decoding a payload.
func checkEnd(src []byte, what string) error {
	if len(src) > 0 {
		return corruptf("%s: %d bytes too many", what, len(src))
	}
	return nil
}
