package exec

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// ErrOverBudget is a query that would need more memory than it may have. Compare
// with errors.Is.
var ErrOverBudget = errors.New("query needs too much memory")

// TotalMemory is what all queries together may hold. It is used by any number of
// goroutines; the zero value has no limit.
type TotalMemory struct {
	limit int64
	used  atomic.Int64
	// queries are those that hold memory.
	queries atomic.Int64
}

// NewTotalMemory returns a budget of limit bytes; 0 is none.
func NewTotalMemory(limit int64) *TotalMemory { return &TotalMemory{limit: limit} }

// Used returns the bytes that all queries hold.
func (t *TotalMemory) Used() int64 { return t.used.Load() }

// Memory counts what a query holds in memory, bytes: the samples of the series at
// hand, what operators collect, accumulators and the result. It counts what is
// large, by series and not by sample, and not the runtime's share. It is used by any
// number of goroutines.
type Memory struct {
	limit int64 // 0 is none
	total *TotalMemory

	// held is what operators hold, apart what outlives them.
	held, apart, peak atomic.Int64
	// mu is held while the query, or a goroutine of it, counts.
	mu sync.Mutex
	// reserved is what was taken from total, more than held.
	reserved int64
	series   atomic.Int64
	// selectors are those that series were read of.
	selectors []*selectorUse
}

// selectorUse is how much was read of a selector.
type selectorUse struct {
	node   *plan.Selector
	series int64
}

// NewMemory returns the budget of a query of limit bytes, 0 for none, out of total.
// Close gives all of it back.
func NewMemory(limit int64, total *TotalMemory) *Memory {
	total.queries.Add(1)
	return &Memory{limit: limit, total: total}
}

// Bytes returns what the query holds, Peak the most it held at once, and Series
// how many series it read.
func (m *Memory) Bytes() int64 { return m.held.Load() + m.apart.Load() }

// Peak returns the most bytes that the query held at once.
func (m *Memory) Peak() int64 { return m.peak.Load() }

// Series returns how many series the query has read.
func (m *Memory) Series() int64 { return m.series.Load() }

// Restart forgets what the query held, which was for nothing: it is evaluated again.
func (m *Memory) Restart() {
	m.held.Store(0)
	m.apart.Store(0)
	m.selectors = nil
}

// Close gives everything back to the total. The memory is not used afterwards.
func (m *Memory) Close() {
	m.total.used.Add(-m.reserved)
	m.total.queries.Add(-1)
	m.reserved = 0
	m.held.Store(0)
	m.apart.Store(0)
}

// reserveStep is how much is taken from the total at once, so that queries do not
// meet there for every series.
const reserveStep = 1 << 18

// OverBudgetError says what a query needed, and what for.
type OverBudgetError struct {
	// Needed and Limit are in bytes. Total says that the limit is that of all
	// queries, of which there are Queries; Needed is what all of them need then.
	Needed, Limit int64
	Total         bool
	Queries       int64
	// Selector is the one of which most series were read, at Position in the
	// query, and Series how many; it is empty if there is none.
	Selector string
	Position posrange.PositionRange
	Series   int64
}

// Error says what to do, too.
func (e *OverBudgetError) Error() string {
	what := fmt.Sprintf("%v: at least %s, and it may have %s (--query.max-memory)", ErrOverBudget, bytesText(e.Needed), bytesText(e.Limit))
	if e.Total {
		what = fmt.Sprintf("%v: the %d queries that run would have %s, and may have %s together (--query.max-memory-total)",
			ErrOverBudget, e.Queries, bytesText(e.Needed), bytesText(e.Limit))
	}
	if e.Selector != "" {
		what += fmt.Sprintf("; most of it is for %d series of %s at position %d: select fewer series, a shorter range or a longer step, or aggregate first", e.Series, e.Selector, e.Position.Start)
	}
	return what
}

// Is makes it an ErrOverBudget.
func (e *OverBudgetError) Is(target error) bool { return target == ErrOverBudget }

// bytesText writes a size for people.
func bytesText(n int64) string {
	const mib = 1 << 20
	if n < mib {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mib)
}

// take adds bytes to what the query holds. It fails if that is too much.
func (m *Memory) take(n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held.Add(int64(n))
	return m.checkLocked()
}

// takeApart is take for what outlives the operator that takes it.
func (m *Memory) takeApart(n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apart.Add(int64(n))
	return m.checkLocked()
}

// checkLocked fails if the query holds too much.
func (m *Memory) checkLocked() error {
	held := m.Bytes()
	if held > m.peak.Load() {
		m.peak.Store(held)
	}
	if m.limit > 0 && held > m.limit {
		return m.over(&OverBudgetError{Needed: held, Limit: m.limit})
	}
	if held <= m.reserved {
		return nil
	}
	more := (held - m.reserved + reserveStep - 1) / reserveStep * reserveStep
	used := m.total.used.Add(more)
	m.reserved += more
	if m.total.limit > 0 && used > m.total.limit {
		return m.over(&OverBudgetError{Needed: used, Limit: m.total.limit, Total: true, Queries: m.total.queries.Load()})
	}
	return nil
}

// fits fails if n bytes more are too much for the query by itself.
func (m *Memory) fits(n int64) error {
	if needed := m.Bytes() + n; m.limit > 0 && needed > m.limit {
		return m.over(&OverBudgetError{Needed: needed, Limit: m.limit})
	}
	return nil
}

// give takes bytes off what the query holds.
func (m *Memory) give(n int) { m.held.Add(-int64(n)) }

// giveApart takes bytes off what outlives operators.
func (m *Memory) giveApart(n int) { m.apart.Add(-int64(n)) }

// mark returns what operators hold, for returnTo.
func (m *Memory) mark() int64 { return m.held.Load() }

// returnTo says that what operators have taken since a mark is not used any more.
func (m *Memory) returnTo(mark int64) { m.held.Store(mark) }

// reads returns what counts the series of a selector.
func (m *Memory) reads(n *plan.Selector) *selectorUse {
	u := &selectorUse{node: n}
	m.selectors = append(m.selectors, u)
	return u
}

// over names the selector to blame.
func (m *Memory) over(e *OverBudgetError) error {
	for _, u := range m.selectors {
		if u.series > e.Series {
			e.Series, e.Selector, e.Position = u.series, u.node.String(), u.node.Pos
		}
	}
	return e
}

// seriesOverhead is what a series takes beside its values and labels.
const seriesOverhead = 160

// bytes is what a series takes in memory.
func (s *series) bytes() int {
	n := seriesOverhead + 8*(cap(s.Floats)+cap(s.Valid)+cap(s.Hists)) + int(s.metric.ByteSize())
	for _, h := range s.Hists {
		if h != nil {
			n += h.Size()
		}
	}
	return n
}

// keep counts a series that stays in memory until the operator that keeps it is
// done.
func (sc *scope) keep(s *series) error { return sc.memory.take(s.bytes()) }

// listOf is what an operator that collects series came to. What was kept since
// the operator began, when mark was held, is not used any more, but for the list.
func (sc *scope) listOf(mark int64, all []*series) (*list, error) {
	n := 0
	for _, s := range all {
		n += s.bytes()
	}
	sc.memory.returnTo(mark)
	return &list{series: all, memory: sc.memory}, sc.memory.take(n)
}
