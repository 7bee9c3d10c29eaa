package index

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
)

// Symbol stands for a label name or value in a Symbols table. 0 is none.
type Symbol uint32

// Pair is a label as symbols.
type Pair struct{ Name, Value Symbol }

const (
	symbolChunk = 1 << symbolShift
	symbolShift = 10
)

// Symbols holds label strings, each once, and counts how often each is used. The numbers of
// strings without a user are used again at once: LabelSets sees to it that nobody has them
// by then. It may be used from any number of goroutines; String takes no lock.
type Symbols struct {
	seed maphash.Seed
	// chunks grows at its end only. A slot is written before its number is given
	// out, and again only when nobody can hold the number.
	chunks atomic.Pointer[[]*[symbolChunk]string]

	mu struct {
		sync.RWMutex
		numbers Table
		refs    []uint32 // By number.
		free    []Symbol
		bytes   int64
	}
}

// NewSymbols returns an empty table.
func NewSymbols() *Symbols {
	s := &Symbols{seed: maphash.MakeSeed()}
	s.chunks.Store(&[]*[symbolChunk]string{})
	s.mu.refs = make([]uint32, 1)
	return s
}

func (s *Symbols) hash(str string) uint32 { return uint32(maphash.String(s.seed, str) >> 32) }

// findLocked returns the symbol of a string, 0 if there is none.
func (s *Symbols) findLocked(hash uint32, str string) Symbol {
	return Symbol(s.mu.numbers.Find(hash, func(n uint32) bool { return s.String(Symbol(n)) == str }))
}

// Intern appends the pairs of a label set to dst, in the order of the labels, and counts one
// more user of each of its symbols. The table keeps no part of ls.
func (s *Symbols) Intern(dst []Pair, ls labels.Labels) []Pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	ls.Range(func(l labels.Label) {
		dst = append(dst, Pair{s.internLocked(l.Name), s.internLocked(l.Value)})
	})
	return dst
}

func (s *Symbols) internLocked(str string) Symbol {
	hash := s.hash(str)
	if n := s.findLocked(hash, str); n != 0 {
		s.mu.refs[n]++
		return n
	}
	var n Symbol
	if last := len(s.mu.free) - 1; last >= 0 {
		n = s.mu.free[last]
		s.mu.free = s.mu.free[:last]
	} else {
		n = Symbol(len(s.mu.refs))
		s.mu.refs = append(s.mu.refs, 0)
		s.growLocked(n)
	}
	str = strings.Clone(str) // It may be part of a whole label set.
	(*s.chunks.Load())[n>>symbolShift][n%symbolChunk] = str
	s.mu.numbers.Insert(hash, uint32(n))
	s.mu.refs[n] = 1
	s.mu.bytes += int64(len(str))
	return n
}

func (s *Symbols) growLocked(n Symbol) {
	chunks := *s.chunks.Load()
	if int(n>>symbolShift) < len(chunks) {
		return
	}
	grown := append(chunks, new([symbolChunk]string)) // readers do not look behind the end they know
	s.chunks.Store(&grown)
}

// hold appends the symbols of strings, and counts one more user of each. The table keeps no part
// of the strings.
func (s *Symbols) hold(dst []Symbol, strings []string) []Symbol {
	dst = slices.Grow(dst, len(strings))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, str := range strings {
		dst = append(dst, s.internLocked(str))
	}
	return dst
}

// drop takes back what hold counted.
func (s *Symbols) drop(held []Symbol) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range held {
		s.releaseLocked(n)
	}
}

// use counts one more user of the symbols of each pair, which have one already.
func (s *Symbols) use(pairs []Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pairs {
		s.mu.refs[p.Name]++
		s.mu.refs[p.Value]++
	}
}

// Release takes back one use of the symbols of each pair.
func (s *Symbols) Release(pairs []Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pairs {
		s.releaseLocked(p.Name)
		s.releaseLocked(p.Value)
	}
}

func (s *Symbols) releaseLocked(n Symbol) {
	if s.mu.refs[n] == 0 {
		panic("index: symbol was released more often than interned")
	}
	if s.mu.refs[n]--; s.mu.refs[n] > 0 {
		return
	}
	slot := &(*s.chunks.Load())[n>>symbolShift][n%symbolChunk]
	s.mu.numbers.Remove(s.hash(*slot), uint32(n))
	s.mu.bytes -= int64(len(*slot))
	*slot = ""
	s.mu.free = append(s.mu.free, n)
}

// find appends the pairs of a label set to dst, in the order of the labels, without counting a use, and reports whether
// all of its strings are there.
func (s *Symbols) find(dst []Pair, ls labels.Labels) ([]Pair, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := true
	ls.Range(func(l labels.Label) {
		if !all {
			return
		}
		p := Pair{s.findLocked(s.hash(l.Name), l.Name), s.findLocked(s.hash(l.Value), l.Value)}
		all = p.Name != 0 && p.Value != 0
		dst = append(dst, p)
	})
	return dst, all
}

// String returns the string of a symbol.
func (s *Symbols) String(n Symbol) string {
	return (*s.chunks.Load())[n>>symbolShift][n%symbolChunk]
}

// Lookup returns the symbol of a string, without counting a use.
func (s *Symbols) Lookup(str string) (Symbol, bool) {
	hash := s.hash(str)
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.findLocked(hash, str)
	return n, n != 0
}

// Len returns the number of strings and the sum of their lengths.
func (s *Symbols) Len() (strings int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.numbers.Len(), s.mu.bytes
}
