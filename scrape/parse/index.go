package parse

// index finds the line of a hash. It is a table of line numbers with open
// addressing: the hashes themselves are in the lines, so that a slot costs four
// bytes.
type index struct {
	slots []uint32 // number of a line, 0 for an empty slot; a power of two long
	used  int
}

// find returns the line with the hash, 0 if there is none.
func (x *index) find(lines []line, hash uint64) uint32 {
	if len(x.slots) == 0 {
		return 0
	}
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		id := x.slots[i]
		if id == 0 || lines[id].hash == hash {
			return id
		}
	}
}

// insert adds the line id, whose hash is not in the index.
func (x *index) insert(lines []line, id uint32) {
	if (x.used+1)*4 > len(x.slots)*3 {
		x.grow(lines)
	}
	x.place(lines, id)
	x.used++
}

func (x *index) place(lines []line, id uint32) {
	mask := uint64(len(x.slots) - 1)
	i := lines[id].hash & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = id
}

func (x *index) grow(lines []line) {
	old := x.slots
	x.slots = make([]uint32, max(16, 2*len(old)))
	for _, id := range old {
		if id != 0 {
			x.place(lines, id)
		}
	}
}

// remove deletes the line id and closes the gap that it leaves, so that probing
// never meets a deleted slot.
func (x *index) remove(lines []line, id uint32) {
	if len(x.slots) == 0 {
		return
	}
	mask := uint64(len(x.slots) - 1)
	gap := lines[id].hash & mask
	for x.slots[gap] != id {
		if x.slots[gap] == 0 {
			return
		}
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.slots[i] != 0; i = (i + 1) & mask {
		home := lines[x.slots[i]].hash & mask
		// The line at i may move into the gap unless its home lies after it.
		if (i-home)&mask >= (i-gap)&mask {
			x.slots[gap] = x.slots[i]
			gap = i
		}
	}
	x.slots[gap] = 0
	x.used--
}
