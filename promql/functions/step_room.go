package functions

// stepRoom makes arrays with an element for each step. Those of several groups have
// their memory together, the more the more groups there are.
type stepRoom struct {
	floats       []float64
	bits         Bitmap
	madeF, madeB int
}

// maxTogether is how many arrays have their memory together at most, and
// elementsTogether how many elements.
const maxTogether, elementsTogether = 256, 1 << 14

// takeFloats returns zeros for n steps.
func (r *stepRoom) takeFloats(n int) []float64 {
	if len(r.floats) < n {
		r.floats = make([]float64, n*max(1, min(r.madeF, maxTogether, elementsTogether/max(n, 1))))
	}
	out := r.floats[:n:n]
	r.floats = r.floats[n:]
	r.madeF++
	return out
}

// takeBits returns clear bits for n steps.
func (r *stepRoom) takeBits(n int) Bitmap {
	words := (n + 63) / 64
	if len(r.bits) < words {
		r.bits = make(Bitmap, words*max(1, min(r.madeB, maxTogether, elementsTogether/max(words, 1))))
	}
	out := r.bits[:words:words]
	r.bits = r.bits[words:]
	r.madeB++
	return out
}
