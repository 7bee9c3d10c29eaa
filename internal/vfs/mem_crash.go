package vfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashClone returns the file system that a machine would find after losing power now: only
// synced names and, of each file, only synced content. The receiver is not changed and goes
// on independently.
func (m *Mem) CrashClone() *Mem { return m.crashClone(nil) }

// CrashCloneSeed is CrashClone for a disk that had begun to write what was not synced: by the
// seed, each directory shows either its durable or its current entries, and each file keeps a
// random part of its unsynced tail, of which the last bytes may be zeroes (a length that
// reached the disk before its data).
func (m *Mem) CrashCloneSeed(seed uint64) *Mem {
	return m.crashClone(rand.New(rand.NewPCG(seed, 0x67_6e_6f_6d_6f_6e)))
}

func (m *Mem) crashClone(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMem()
	out.mu.root = cloneCrashed(m.mu.root, rng, map[*memNode]*memNode{})
	return out
}

// cloneCrashed copies a node; seen keeps hard links one file.
func cloneCrashed(n *memNode, rng *rand.Rand, seen map[*memNode]*memNode) *memNode {
	if c := seen[n]; c != nil {
		return c
	}
	c := &memNode{dir: n.dir, modified: n.modified}
	seen[n] = c
	if !n.dir {
		c.data = slices.Clone(survivingData(n, rng))
		c.syncedData = c.data
		return c
	}
	entries := n.syncedEntries
	if rng != nil && rng.IntN(2) == 0 {
		entries = n.entries
	}
	c.entries = map[string]*memNode{}
	// In sorted order, so that a seed always means the same crash.
	for _, base := range slices.Sorted(maps.Keys(entries)) {
		c.entries[base] = cloneCrashed(entries[base], rng, seen)
	}
	c.syncedEntries = maps.Clone(c.entries)
	return c
}

func survivingData(n *memNode, rng *rand.Rand) []byte {
	unsynced := len(n.data) - len(n.syncedData)
	if rng == nil || unsynced <= 0 || !bytes.HasPrefix(n.data, n.syncedData) {
		return n.syncedData
	}
	kept := slices.Clone(n.data[:len(n.syncedData)+rng.IntN(unsynced+1)])
	if rng.IntN(4) == 0 {
		clear(kept[len(n.syncedData)+rng.IntN(len(kept)-len(n.syncedData)+1):])
	}
	return kept
}
