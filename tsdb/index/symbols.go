package index

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
)

// Symbol stands for a label name or value in a Symbols table.
type Symbol uint32

// Pair is a label as symbols.
type Pair struct{ Name, Value Symbol }

const (
	symbolChunk = 1 << symbolShift
	symbolShift = 12
)

// Symbols holds label strings, each once, and counts how often each is used. Numbers of
// strings that are not used any more are used again, but not soon: see Sweep. It may be used
// from any number of goroutines; String and Labels take no lock.
type Symbols struct {
	// chunks grows by copying the outer slice. A slot is written before its number is given
	// out, and again only when nobody can hold the number: see Sweep.
	chunks atomic.Pointer[[]*[symbolChunk]string]

	mu struct {
		sync.RWMutex
		numbers map[string]Symbol
		refs    []uint32 // By number.
		free    []Symbol
		// sweeps is the number of Sweeps; idle has, by number, what it was when the number
		// lost its last user.
		sweeps uint32
		idle   []uint32
		// Numbers that lost their last user since the last Sweep, and between that and the one
		// before it.
		young, old []Symbol
		bytes      int64
	}
}

// NewSymbols returns an empty table.
func NewSymbols() *Symbols {
	s := &Symbols{}
	s.mu.numbers = map[string]Symbol{}
	s.chunks.Store(&[]*[symbolChunk]string{})
	return s
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
	n, ok := s.mu.numbers[str]
	if ok {
		// It may lie in young or old with no user; Sweep sees that it has one again.
		s.mu.refs[n]++
		return n
	}
	if last := len(s.mu.free) - 1; last >= 0 {
		n = s.mu.free[last]
		s.mu.free = s.mu.free[:last]
	} else {
		n = Symbol(len(s.mu.refs))
		s.mu.refs = append(s.mu.refs, 0)
		s.mu.idle = append(s.mu.idle, 0)
		s.growLocked(n)
	}
	str = strings.Clone(str) // It may be part of a whole label set.
	(*s.chunks.Load())[n>>symbolShift][n%symbolChunk] = str
	s.mu.numbers[str] = n
	s.mu.refs[n] = 1
	s.mu.bytes += int64(len(str))
	return n
}

func (s *Symbols) growLocked(n Symbol) {
	chunks := *s.chunks.Load()
	if int(n>>symbolShift) < len(chunks) {
		return
	}
	grown := append(chunks[:len(chunks):len(chunks)], new([symbolChunk]string))
	s.chunks.Store(&grown)
}

// Release takes back one use of the symbols of each pair. The strings can be resolved until
// the second Sweep from now, so that a reader which found a series just before it was
// removed can still read its labels.
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
	if s.mu.refs[n]--; s.mu.refs[n] == 0 {
		s.mu.idle[n] = s.mu.sweeps
		s.mu.young = append(s.mu.young, n)
	}
}

// Sweep forgets the strings that have been without a user since before the Sweep before. The
// owner calls it now and then, at intervals longer than any reader holds on to the pairs of
// a series that was removed. It returns how many strings were forgotten.
func (s *Symbols) Sweep() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	chunks := *s.chunks.Load()
	forgotten := 0
	for _, n := range s.mu.old {
		// A number that was used and released again meanwhile is in the lists more than once.
		if s.mu.refs[n] > 0 || s.mu.idle[n] != s.mu.sweeps-1 {
			continue
		}
		s.mu.idle[n] = s.mu.sweeps // So that it is not forgotten twice.
		slot := &chunks[n>>symbolShift][n%symbolChunk]
		delete(s.mu.numbers, *slot)
		s.mu.bytes -= int64(len(*slot))
		*slot = ""
		s.mu.free = append(s.mu.free, n)
		forgotten++
	}
	s.mu.old, s.mu.young = s.mu.young, s.mu.old[:0]
	s.mu.sweeps++
	return forgotten
}

// String returns the string of a symbol that has a user, or has had one recently.
func (s *Symbols) String(n Symbol) string {
	return (*s.chunks.Load())[n>>symbolShift][n%symbolChunk]
}

// Lookup returns the symbol of a string, without counting a use.
func (s *Symbols) Lookup(str string) (Symbol, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.mu.numbers[str]
	return n, ok
}

// Labels returns the label set that pairs stand for. The builder is scratch memory. The
// pairs are in the order in which Intern gave them.
func (s *Symbols) Labels(pairs []Pair, b *labels.ScratchBuilder) labels.Labels {
	b.Reset()
	for _, p := range pairs {
		b.Add(s.String(p.Name), s.String(p.Value))
	}
	return b.Labels()
}

// Len returns the number of strings and the sum of their lengths.
func (s *Symbols) Len() (strings int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.mu.numbers), s.mu.bytes
}
