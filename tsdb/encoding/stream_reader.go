package encoding

// readStream reads the head of a stream of n > 0 integers, and finds the length of its
// payload, which a duplicate has none of.
func readStream(src []byte, n int) (s stream, rest []byte, payload int, err error) {
	if len(src) == 0 {
		return s, nil, 0, corruptf("integer stream: no predictor left")
	}
	s.predictor, s.flags = src[0]&predictorMask, src[0]&^predictorMask
	if s.predictor >= predictors || src[0]&0x80 != 0 || s.flags&(streamEmpty|streamDuplicate) == streamEmpty|streamDuplicate {
		return s, nil, 0, corruptf("integer stream: header %#x", src[0])
	}
	if s.first, src, err = readSvarint(src[1:], "integer stream"); err != nil {
		return s, nil, 0, err
	}
	s.divisor = 1
	if s.flags&streamDivided != 0 {
		var d uint64
		if d, src, err = readUvarint(src, "divisor"); err != nil {
			return s, nil, 0, err
		}
		s.divisor = int64(d)
	}
	switch s.predictor {
	case predictDelta:
	case predictNeighbour:
		if s.param, src, err = readDistance(src); err != nil {
			return s, nil, 0, err
		}
	default:
		if s.param, src, err = readSvarint(src, "integer stream parameter"); err != nil {
			return s, nil, 0, err
		}
	}
	switch {
	case s.flags&streamEmpty != 0:
		return s, src, 0, nil
	case s.flags&streamDuplicate != 0:
		d, src, err := readDistance(src)
		s.duplicate = int(d)
		return s, src, 0, err
	}
	rest, payload, err = skipBlocks(src, n-1)
	if err != nil {
		return s, nil, 0, err
	}
	s.blocks = src[:len(src)-len(rest)]
	return s, rest, payload, nil
}

// readDistance reads how many columns before this one another is.
func readDistance(src []byte) (int64, []byte, error) {
	d, src, err := readUvarint(src, "distance of a column")
	if err == nil && (d == 0 || d > MaxPageColumns) {
		err = corruptf("distance of a column %d", d)
	}
	return int64(d), src, err
}

// skipBlocks reads the headers of the blocks of n residuals, for the length of their payload.
func skipBlocks(src []byte, n int) (rest []byte, payload int, err error) {
	for n > 0 {
		m := min(blockRows, n)
		var b block
		if b, src, err = readBlockHead(src, m); err != nil {
			return nil, 0, err
		}
		payload += b.payload(m)
		n -= m
	}
	return src, payload, nil
}

// streamDecoder decodes a stream, a block at a time.
type streamDecoder struct {
	stream
	src       []byte // The payload left.
	row, rows int
	value     int64 // What the next residual is added to.
	step      int64 // Last delta, or what is added beside the residual.
	residuals [blockRows]uint64
}

// reset begins a stream of n > 0 integers, with the blocks and payload that it has.
func (d *streamDecoder) reset(s stream, payload []byte, n int) {
	d.stream, d.src, d.row, d.rows = s, payload, 0, n
	d.value, d.step = s.first, s.param*s.divisor
	if s.predictor == predictFrame {
		d.value += d.step
	}
}

// next fills dst with the next integers: the first alone, then those of a block. It returns
// their number. In dst there is room for blockRows.
func (d *streamDecoder) next(dst []int64) (int, error) {
	if d.row == 0 {
		dst[0] = d.first
		d.row = 1
		return 1, nil
	}
	n := min(blockRows, d.rows-d.row)
	if d.flags&streamEmpty != 0 {
		clear(d.residuals[:n])
	} else {
		b, rest, err := readBlockHead(d.blocks, n)
		if err != nil {
			return 0, err
		}
		d.blocks = rest
		if d.src, err = b.decode(&d.residuals, d.src, n); err != nil {
			return 0, err
		}
	}
	d.apply(dst[:n], d.residuals[:n])
	d.row += n
	return n, nil
}

// apply turns residuals into integers. dst has, for the predictor neighbour, the neighbour's
// integers less its first.
func (d *streamDecoder) apply(dst []int64, residuals []uint64) {
	dst = dst[:len(residuals)]
	v, step, divisor := d.value, d.step, d.divisor
	switch d.predictor {
	case predictFrame:
		for i, u := range residuals {
			dst[i] = v + int64(u)*divisor
		}
	case predictDelta:
		for i, u := range residuals {
			v += unzigzag(u) * divisor
			dst[i] = v
		}
	case predictDeltaMin:
		for i, u := range residuals {
			v += step + int64(u)*divisor
			dst[i] = v
		}
	case predictDelta2:
		for i, u := range residuals {
			step += unzigzag(u) * divisor
			v += step
			dst[i] = v
		}
		d.step = step
	case predictGrid:
		for i, u := range residuals {
			v += step
			dst[i] = v + unzigzag(u)*divisor
		}
	case predictNeighbour:
		for i, u := range residuals {
			v += unzigzag(u) * divisor
			dst[i] += v
		}
	}
	d.value = v
}

// integers decodes all of a stream. dst has its length; for the predictor neighbour it has
// the neighbour's integers.
func (d *streamDecoder) integers(dst []int64) error {
	if d.predictor == predictNeighbour {
		d.value = d.first - dst[0]
	}
	for len(dst) > 0 {
		n, err := d.next(dst)
		if err != nil {
			return err
		}
		dst = dst[n:]
	}
	return nil
}
