package encoding

import "encoding/binary"

// AppendTimes appends int64 milliseconds: a timeline, or the start timestamps of a column.
// They may be in any order, though regular and nearly regular ones are what it is good at:
// the whole of a regular timeline takes a few bytes. There may be at most MaxRows.
func AppendTimes(dst []byte, times []int64) []byte {
	checkRows(len(times))
	dst = binary.AppendUvarint(dst, uint64(len(times)))
	if len(times) == 0 {
		return dst
	}
	sc := getScratch()
	dst = appendInts(dst, times, sc)
	putScratch(sc)
	return dst
}

// DecodeTimes appends to dst what AppendTimes wrote, and returns the rest of src.
func DecodeTimes(dst []int64, src []byte) (times []int64, rest []byte, err error) {
	n, src, err := readRows(src, "times")
	if err != nil {
		return dst, nil, err
	}
	sc := getScratch()
	times, rest, err = decodeInts(dst, src, n, &sc.reader)
	putScratch(sc)
	return times, rest, err
}
