package encoding

// AppendTimes appends int64 milliseconds: a timeline, or the start timestamps of a column.
// They may be in any order, though regular and nearly regular ones are what it is good at:
// the whole of a regular timeline takes a few bytes. There may be at most MaxRows.
func AppendTimes(dst []byte, times []int64) []byte {
	w := aloneWriters.Get().(*PageWriter)
	w.Reset()
	w.appendIntegers(times, -1, true)
	dst = append(append(dst, w.page.heads...), w.payload...)
	w.release()
	return dst
}

// DecodeTimes appends to dst what AppendTimes wrote, and returns the rest of src.
func DecodeTimes(dst []int64, src []byte) (times []int64, rest []byte, err error) {
	d := aloneDecoders.Get().(*Decoder)
	defer d.release()
	c := &d.column
	payload, rest, err := c.readAlone(src)
	if err != nil {
		return dst, nil, err
	}
	if c.rows == 0 {
		return dst, rest, nil
	}
	if (c.kind != kindDecimal && c.kind != kindConstantDecimal) || c.exponent != 0 || c.count > 0 {
		return dst, nil, corruptf("times: column of kind %d", c.kind)
	}
	times = growSlice(dst, c.rows)
	if err := d.ints(times[len(dst):], c, payload); err != nil {
		return dst, nil, err
	}
	return times, rest, nil
}
