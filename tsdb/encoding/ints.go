package encoding

import (
	"math/bits"
	"slices"
)

// Modes of the integer stream; they never change.
const (
	modeConstant = iota
	modeRamp
	modeFrame
	modeDelta
	modeDeltaMin
	modeDelta2
	modeGrid
)

// intShape is what one pass over the numbers finds out for the choice of a mode.
type intShape struct {
	min, minDelta     int64
	constant, regular bool
}

func shapeOf(values []int64) intShape {
	s := intShape{min: values[0], constant: true, regular: true}
	if len(values) == 1 {
		return s
	}
	step := values[1] - values[0]
	s.minDelta = step
	for i := 1; i < len(values); i++ {
		delta := values[i] - values[i-1]
		s.min = min(s.min, values[i])
		s.minDelta = min(s.minDelta, delta)
		s.constant = s.constant && delta == 0
		s.regular = s.regular && delta == step
	}
	return s
}

// gridStep is the average distance, the step of modeGrid.
func gridStep(values []int64) int64 {
	n := int64(len(values))
	return (values[n-1] - values[0]) / (n - 1)
}

// appendResiduals appends the residuals of a mode to dst.
func appendResiduals(dst []uint64, values []int64, mode int, s *intShape) []uint64 {
	first := values[0]
	switch mode {
	case modeFrame:
		for _, v := range values {
			dst = append(dst, uint64(v-s.min))
		}
	case modeDelta:
		prev := first
		for _, v := range values[1:] {
			dst = append(dst, zigzag(v-prev))
			prev = v
		}
	case modeDeltaMin:
		prev := first
		for _, v := range values[1:] {
			dst = append(dst, uint64(v-prev-s.minDelta))
			prev = v
		}
	case modeDelta2:
		prev, delta := values[1], values[1]-first
		for _, v := range values[2:] {
			d := v - prev
			dst = append(dst, zigzag(d-delta))
			prev, delta = v, d
		}
	case modeGrid:
		step := gridStep(values)
		expected := first
		for _, v := range values[1:] {
			expected += step
			dst = append(dst, zigzag(v-expected))
		}
	}
	return dst
}

// appendModeHeader appends a mode and its parameters.
func appendModeHeader(dst []byte, values []int64, mode int, s *intShape) []byte {
	dst = append(dst, byte(mode))
	if mode == modeFrame {
		return appendSvarint(dst, s.min)
	}
	dst = appendSvarint(dst, values[0])
	switch mode {
	case modeRamp, modeDelta2:
		dst = appendSvarint(dst, values[1]-values[0])
	case modeDeltaMin:
		dst = appendSvarint(dst, s.minDelta)
	case modeGrid:
		dst = appendSvarint(dst, gridStep(values))
	}
	return dst
}

// appendInts appends an integer stream of one number or more.
func appendInts(dst []byte, values []int64, sc *scratch) []byte {
	s := shapeOf(values)
	switch {
	case s.constant:
		return appendModeHeader(dst, values, modeConstant, &s)
	case s.regular:
		return appendModeHeader(dst, values, modeRamp, &s)
	}
	best, bestSize := 0, 0
	var header [24]byte
	for _, mode := range likelyModes(values, &s) {
		sc.residuals = appendResiduals(sc.residuals[:0], values, mode, &s)
		size := len(appendModeHeader(header[:0], values, mode, &s)) + packedSize(sc.residuals)
		if bestSize == 0 || size < bestSize {
			best, bestSize = mode, size
		}
	}
	dst = appendModeHeader(dst, values, best, &s)
	sc.residuals = appendResiduals(sc.residuals[:0], values, best, &s)
	return appendPacked(dst, sc.residuals)
}

// likelyModes picks the modes whose exact sizes are worth comparing: the three with the fewest
// significant bits in all residuals together. values has two numbers or more.
func likelyModes(values []int64, s *intShape) [3]int {
	var sums [modeGrid + 1]int
	step := gridStep(values)
	prev, delta, expected := values[0], values[1]-values[0], values[0]
	sums[modeFrame] = bits.Len64(uint64(prev - s.min))
	for _, v := range values[1:] {
		d := v - prev
		expected += step
		sums[modeFrame] += bits.Len64(uint64(v - s.min))
		sums[modeDelta] += bits.Len64(zigzag(d))
		sums[modeDeltaMin] += bits.Len64(uint64(d - s.minDelta))
		sums[modeDelta2] += bits.Len64(zigzag(d - delta))
		sums[modeGrid] += bits.Len64(zigzag(v - expected))
		prev, delta = v, d
	}
	order := [...]int{modeFrame, modeDelta, modeDeltaMin, modeDelta2, modeGrid}
	slices.SortStableFunc(order[:], func(a, b int) int { return sums[a] - sums[b] })
	return [3]int(order[:3])
}

// intReader decodes an integer stream, a block at a time, without allocating.
type intReader struct {
	src  []byte
	mode byte
	row  int // Rows given out.
	rows int

	value int64 // The last one given out; before the first: the first.
	step  int64 // Step, minimum or last delta, as the mode has it.

	residuals [blockRows]uint64
	have      int // Residuals decoded and not used: residuals[blockRows-have:] of a full block.
	used      int
	left      int // Residuals not decoded yet.
}

// reset begins a stream of n > 0 numbers.
func (r *intReader) reset(src []byte, n int) error {
	if len(src) == 0 {
		return corruptf("integer stream: no mode left")
	}
	r.mode, r.rows, r.row, r.step, r.have, r.used = src[0], n, 0, 0, 0, 0
	var err error
	if r.value, src, err = readSvarint(src[1:], "integer stream"); err != nil {
		return err
	}
	switch r.mode {
	case modeConstant:
		r.left = 0
	case modeRamp, modeDeltaMin, modeDelta2, modeGrid:
		if r.step, src, err = readSvarint(src, "integer stream step"); err != nil {
			return err
		}
		r.left = n - 1
		if r.mode == modeDelta2 {
			r.left = n - 2
		}
		if r.mode == modeRamp {
			r.left = 0
		}
	case modeFrame:
		r.left = n
	case modeDelta:
		r.left = n - 1
	default:
		return corruptf("integer stream: mode %d", r.mode)
	}
	if r.left < 0 {
		return corruptf("integer stream: mode %d of %d rows", r.mode, n)
	}
	r.src = src
	return nil
}

// take gives up to n residuals.
func (r *intReader) take(n int) ([]uint64, error) {
	if r.used == r.have {
		m := min(blockRows, r.left)
		rest, err := decodeBlock(r.residuals[:m], r.src)
		if err != nil {
			return nil, err
		}
		r.src, r.have, r.used, r.left = rest, m, 0, r.left-m
	}
	n = min(n, r.have-r.used)
	res := r.residuals[r.used : r.used+n]
	r.used += n
	return res, nil
}

// next fills dst with the next numbers; there must be as many left.
func (r *intReader) next(dst []int64) error {
	switch r.mode {
	case modeConstant:
		for i := range dst {
			dst[i] = r.value
		}
		r.row += len(dst)
		return nil
	case modeRamp:
		v := r.value
		for i := range dst {
			dst[i] = v
			v += r.step
		}
		r.value = v
		r.row += len(dst)
		return nil
	}
	for len(dst) > 0 {
		if lead := r.lead(dst); lead > 0 {
			dst = dst[lead:]
			continue
		}
		res, err := r.take(len(dst))
		if err != nil {
			return err
		}
		r.apply(dst, res)
		r.row += len(res)
		dst = dst[len(res):]
	}
	return nil
}

// lead gives out the numbers that stand in the header, and says how many it gave.
func (r *intReader) lead(dst []int64) int {
	switch {
	case r.mode == modeFrame:
		return 0
	case r.row == 0:
		dst[0] = r.value
	case r.row == 1 && r.mode == modeDelta2:
		r.value += r.step
		dst[0] = r.value
	default:
		return 0
	}
	r.row++
	return 1
}

// apply turns residuals into numbers.
func (r *intReader) apply(dst []int64, res []uint64) {
	dst = dst[:len(res)]
	v, step := r.value, r.step
	switch r.mode {
	case modeFrame:
		for i, u := range res {
			dst[i] = v + int64(u)
		}
		return
	case modeDelta:
		for i, u := range res {
			v += unzigzag(u)
			dst[i] = v
		}
	case modeDeltaMin:
		for i, u := range res {
			v += step + int64(u)
			dst[i] = v
		}
	case modeDelta2:
		for i, u := range res {
			step += unzigzag(u)
			v += step
			dst[i] = v
		}
		r.step = step
	case modeGrid:
		for i, u := range res {
			v += step
			dst[i] = v + unzigzag(u)
		}
	}
	r.value = v
}

// decodeInts appends an integer stream of n numbers to dst.
func decodeInts(dst []int64, src []byte, n int, r *intReader) ([]int64, []byte, error) {
	if n == 0 {
		return dst, src, nil
	}
	if err := r.reset(src, n); err != nil {
		return dst, nil, err
	}
	out := growSlice(dst, n)
	if err := r.next(out[len(dst):]); err != nil {
		return dst, nil, err
	}
	return out, r.src, nil
}
