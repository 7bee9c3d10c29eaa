package wal

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

// findChangedBlocks compares 64 floats for each word of dst.
func findChangedBlocks(dst []uint64, before, values []float64) {
	if !hasAVX2 {
		changedBlocks(dst, before, values)
		return
	}
	_, _ = before[len(dst)*64-1], values[len(dst)*64-1]
	changedBlocksAVX2(&dst[0], &before[0], &values[0], len(dst))
}

// changedBlocksAVX2 writes blocks words, comparing 64 floats for each.
//
//go:noescape
func changedBlocksAVX2(dst *uint64, before, values *float64, blocks int)
