package encoding

// read reads the head of a stream of n > 0 integers, and finds the length of its payload,
// which a duplicate has none of.
func (s *stream) read(src []byte, n int) (rest []byte, payload int, err error) {
	if len(src) == 0 {
		return nil, 0, corruptf("integer stream: no predictor left")
	}
	s.predictor, s.flags = src[0]&predictorMask, src[0]&^predictorMask
	s.divisor, s.param, s.blocks = 1, 0, nil
	if s.predictor >= predictors || src[0]&0x80 != 0 || s.flags&(streamEmpty|streamDuplicate) == streamEmpty|streamDuplicate {
		return nil, 0, corruptf("integer stream: header %#x", src[0])
	}
	if s.first, src, err = readSvarint(src[1:], "integer stream"); err != nil {
		return nil, 0, err
	}
	if s.flags&streamDivided != 0 {
		var d uint64
		if d, src, err = readUvarint(src, "divisor"); err != nil {
			return nil, 0, err
		}
		s.divisor = int64(d)
	}
	switch s.predictor {
	case predictDelta:
	case predictNeighbour:
		if s.param, src, err = readDistance(src); err != nil {
			return nil, 0, err
		}
	default:
		if s.param, src, err = readSvarint(src, "integer stream parameter"); err != nil {
			return nil, 0, err
		}
	}
	switch {
	case s.flags&streamEmpty != 0:
		return src, 0, nil
	case s.flags&streamDuplicate != 0:
		d, src, err := readDistance(src)
		s.duplicate = int(d)
		return src, 0, err
	}
	rest, payload, err = skipBlocks(src, n-1)
	if err != nil {
		return nil, 0, err
	}
	s.blocks = src[:len(src)-len(rest)]
	return rest, payload, nil
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
		n -= m
		// Most are plain.
		if len(src) > 0 && src[0] <= maxPackedWidth {
			payload += packedBytes(m, int(src[0]))
			src = src[1:]
			continue
		}
		var b block
		if b, src, err = readBlockHead(src, m); err != nil {
			return nil, 0, err
		}
		payload += b.payload(m)
	}
	return src, payload, nil
}

// streamDecoder decodes a stream, a block at a time.
type streamDecoder struct {
	stream
	packing
	src        []byte // The payload left.
	row, count int
	value      int64            // What the next residual is added to.
	step       int64            // Last delta, or what is added beside the residual.
	integers   [blockRows]int64 // A block of them, on its way to be floats.
}

// reset begins a stream of n > 0 integers, with the blocks and payload that it has.
func (d *streamDecoder) reset(s *stream, payload []byte, n int) {
	d.stream, d.src, d.row, d.count = *s, payload, 0, n
	d.value, d.step = s.first, s.param*s.divisor
	if s.predictor == predictFrame {
		d.value += d.step
	}
}

// begin reads the header of the next block, of n residuals, and finds its payload.
func (d *streamDecoder) begin(n int) (b block, payload []byte, err error) {
	if b, d.blocks, err = readBlockHead(d.blocks, n); err != nil {
		return b, nil, err
	}
	size := b.payload(n)
	if len(d.src) < size {
		return b, nil, corruptf("packed block: %d bytes left, want %d", len(d.src), size)
	}
	payload, d.src = d.src, d.src[size:]
	return b, payload, nil
}

// constant says that the stream is its first integer over and over, if residuals are 0.
func (d *streamDecoder) constant() bool {
	return d.predictor == predictDelta || (d.predictor == predictDeltaMin && d.step == 0)
}

// next fills dst with the next integers: the first alone, then those of a block. It returns
// their number. In dst there is room for blockRows.
func (d *streamDecoder) next(dst []int64) (int, error) {
	if d.row == 0 {
		dst[0] = d.first
		d.row = 1
		return 1, nil
	}
	n := min(blockRows, d.count-d.row)
	d.row += n
	if d.flags&streamEmpty != 0 {
		clear(d.numbers[:n])
	} else {
		b, payload, err := d.begin(n)
		if err != nil {
			return 0, err
		}
		if err := d.decodeBlock(b, payload, n); err != nil {
			return 0, err
		}
	}
	d.apply(dst[:n], d.numbers[:n])
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

// applyFloats is apply for the most frequent predictors, and integers that are the floats.
func (d *streamDecoder) applyFloats(dst []float64, residuals []uint64) {
	dst = dst[:len(residuals)]
	v, step, divisor := d.value, d.step, d.divisor
	switch d.predictor {
	case predictFrame:
		for i, u := range residuals {
			dst[i] = float64(v + int64(u)*divisor)
		}
	case predictDelta:
		for i, u := range residuals {
			v += unzigzag(u) * divisor
			dst[i] = float64(v)
		}
	case predictDeltaMin:
		for i, u := range residuals {
			v += step + int64(u)*divisor
			dst[i] = float64(v)
		}
	}
	d.value = v
}

// all decodes all integers of a stream. dst has its length; for the predictor neighbour it has
// the neighbour's integers.
func (d *streamDecoder) all(dst []int64) error {
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

// runs fills dst with the integers of a sparse block, turned into floats, of a stream that is
// constant but for those residuals.
func (d *streamDecoder) runs(dst []float64, c *column, b block, payload []byte) error {
	if err := d.decodeApart(b, payload, len(dst)); err != nil {
		return err
	}
	v, from := d.value, 0
	now := c.float(v)
	for i, row := range d.rows[:b.count] {
		fill(dst[from:row], now)
		from = int(row)
		if d.predictor == predictDelta {
			v += unzigzag(d.second[i]) * d.divisor
		} else {
			v += int64(d.second[i]) * d.divisor
		}
		now = c.float(v)
	}
	fill(dst[from:], now)
	d.value = v
	return nil
}

// floats decodes all of a stream into the floats that its integers tell. dst has its length.
func (d *streamDecoder) floats(dst []float64, c *column) error {
	dst[0] = c.float(d.first)
	for dst = dst[1:]; len(dst) > 0; {
		n := min(blockRows, len(dst))
		out := dst[:n]
		dst = dst[n:]
		if d.flags&streamEmpty != 0 {
			clear(d.numbers[:n])
		} else {
			b, payload, err := d.begin(n)
			if err != nil {
				return err
			}
			// Many short runs are slower than all rows one after the other.
			if b.sparse() && d.constant() && int(b.count) <= n/8 {
				if err := d.runs(out, c, b, payload); err != nil {
					return err
				}
				continue
			}
			if err := d.decodeBlock(b, payload, n); err != nil {
				return err
			}
		}
		if c.kind == kindDecimal && c.exponent == 0 && d.predictor <= predictDeltaMin {
			d.applyFloats(out, d.numbers[:n])
			continue
		}
		d.apply(d.integers[:n], d.numbers[:n])
		c.convert(out, d.integers[:n], 0)
	}
	return nil
}
