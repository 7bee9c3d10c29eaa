package index

// Table finds things that have a number above 0 by a hash of what they are: what a
// number stands for is known outside, so an entry takes eight bytes. It is an open
// hash table, four fifths full at most. The zero value is empty. It is not safe for
// use by several goroutines that change it.
type Table struct {
	entries []uint64 // Hash and number; 0 is free.
	count   int
}

const minTable = 8

// Len returns the number of entries.
func (t *Table) Len() int { return t.count }

// home is where an entry with the hash would like to be.
func (t *Table) home(hash uint32) int {
	return int(uint64(hash) * uint64(len(t.entries)) >> 32)
}

func (t *Table) next(i int) int {
	if i++; i < len(t.entries) {
		return i
	}
	return 0
}

// Find returns the first number with the hash for which is returns true, 0 if there is none.
func (t *Table) Find(hash uint32, is func(number uint32) bool) uint32 {
	if t.count == 0 {
		return 0
	}
	for i := t.home(hash); t.entries[i] != 0; i = t.next(i) {
		if e := t.entries[i]; uint32(e>>32) == hash && is(uint32(e)) {
			return uint32(e)
		}
	}
	return 0
}

// Insert adds an entry, whether there is one like it or not.
func (t *Table) Insert(hash, number uint32) {
	if (t.count+1)*5 > len(t.entries)*4 {
		t.resize(max(len(t.entries)*3/2, minTable))
	}
	t.count++
	t.place(uint64(hash)<<32 | uint64(number))
}

func (t *Table) place(entry uint64) {
	i := t.home(uint32(entry >> 32))
	for t.entries[i] != 0 {
		i = t.next(i)
	}
	t.entries[i] = entry
}

func (t *Table) resize(n int) {
	old := t.entries
	t.entries = make([]uint64, n)
	for _, e := range old {
		if e != 0 {
			t.place(e)
		}
	}
}

// Remove takes an entry out, and reports whether it was there.
func (t *Table) Remove(hash, number uint32) bool {
	if t.count == 0 {
		return false
	}
	entry := uint64(hash)<<32 | uint64(number)
	i := t.home(hash)
	for t.entries[i] != entry {
		if t.entries[i] == 0 {
			return false
		}
		i = t.next(i)
	}
	// What follows moves up, unless it would come to lie before its home.
	for j := t.next(i); t.entries[j] != 0; j = t.next(j) {
		home := t.home(uint32(t.entries[j] >> 32))
		if i <= j && i < home && home <= j || i > j && (i < home || home <= j) {
			continue
		}
		t.entries[i] = t.entries[j]
		i = j
	}
	t.entries[i] = 0
	t.count--
	if t.count*4 < len(t.entries) && len(t.entries) > minTable {
		t.resize(max(t.count*2, minTable))
	}
	return true
}
