package wal

import "math"

// findChanged sets the bits of the columns whose floats differ, to the bit, and clears those of
// the others. before is as long as values, and dst has a word for each 64 of them; further words
// are left as they are.
func findChanged(dst []uint64, before, values []float64) {
	before = before[:len(values)]
	whole := len(values) / 64
	dst = dst[:(len(values)+63)/64]
	if whole > 0 {
		findChangedBlocks(dst[:whole], before, values)
	}
	if from := whole * 64; from < len(values) {
		dst[whole] = changedWord(before[from:], values[from:])
	}
}

// changedWord compares up to 64 floats.
func changedWord(before, values []float64) uint64 {
	before = before[:len(values)]
	var word uint64
	for i, v := range values {
		// Without a branch: the top bit of x | -x is set unless x is 0.
		x := math.Float64bits(v) ^ math.Float64bits(before[i])
		word |= (x | -x) >> 63 << (i & 63)
	}
	return word
}

// changedBlocks is findChangedBlocks for any machine: it compares 64 floats for each word of dst.
func changedBlocks(dst []uint64, before, values []float64) {
	for w := range dst {
		dst[w] = changedWord(before[w*64:w*64+64], values[w*64:w*64+64])
	}
}
