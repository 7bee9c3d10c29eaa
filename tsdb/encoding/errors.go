package encoding

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt is wrapped by every error of decoding: the bytes are not what the package wrote.
var ErrCorrupt = errors.New("corrupt encoding")

// ErrTooLarge is returned for a histogram column that is over a limit of the format.
var ErrTooLarge = errors.New("column is too large to encode")

// Limits of the formats, never to be lowered.
const (
	// MaxRows is the greatest number of rows of an encoded vector.
	MaxRows = 1 << 16
	// MaxPageColumns is the greatest number of columns of a page.
	MaxPageColumns = 1 << 16
	// MaxHistogramValues bounds an encoded histogram column: the sum over its rows of three
	// plus the number of buckets.
	MaxHistogramValues = 1 << 22
)

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// checkRows guards the invariant that callers split columns at MaxRows.
func checkRows(n int) {
	if n > MaxRows {
		panic(fmt.Sprintf("encoding: %d rows in a vector, the limit is %d", n, MaxRows))
	}
}

// readUvarint reads a uvarint; what names it in the error.
func readUvarint(src []byte, what string) (uint64, []byte, error) {
	// Most are one byte.
	if len(src) > 0 && src[0] < 0x80 {
		return uint64(src[0]), src[1:], nil
	}
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, nil, corruptf("%s: varint is cut off or too long", what)
	}
	return v, src[n:], nil
}

// readSvarint reads a zigzag varint.
func readSvarint(src []byte, what string) (int64, []byte, error) {
	u, rest, err := readUvarint(src, what)
	return unzigzag(u), rest, err
}

// readRows reads a number of rows.
func readRows(src []byte, what string) (int, []byte, error) {
	u, rest, err := readUvarint(src, what)
	if err == nil && u > MaxRows {
		err = corruptf("%s: %d rows, the limit is %d", what, u, MaxRows)
	}
	return int(u), rest, err
}

// readUint64 reads 8 bytes.
func readUint64(src []byte, what string) (uint64, []byte, error) {
	if len(src) < 8 {
		return 0, nil, corruptf("%s: %d bytes left, want 8", what, len(src))
	}
	return binary.LittleEndian.Uint64(src), src[8:], nil
}

func zigzag(n int64) uint64   { return uint64(n)<<1 ^ uint64(n>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendSvarint(dst []byte, n int64) []byte { return binary.AppendUvarint(dst, zigzag(n)) }

// uvarintLen is the length of the uvarint of a number with the given bit length.
func uvarintLen(bitLen int) int { return max(1, (bitLen+6)/7) }
