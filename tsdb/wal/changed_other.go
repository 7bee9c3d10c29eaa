//go:build !amd64

package wal

// findChangedBlocks compares 64 floats for each word of dst.
func findChangedBlocks(dst []uint64, before, values []float64) { changedBlocks(dst, before, values) }
