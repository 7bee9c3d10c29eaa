package head

import (
	"cmp"
	"math"
	"slices"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// looseRows is how many samples of a series stay as they came; more are sealed, into
// the run or a chunk.
const looseRows = 16

// loose is the samples of a series that came one by one: a group of one, with a
// timeline of its own. Samples are kept in the order of arrival; reading sorts
// what came late. It is guarded by series.mu. A nil loose has no samples.
type loose struct {
	// chunks is sealed samples. The slice is replaced when entries other than
	// new ones at the end change, since readers keep it.
	chunks []looseChunk
	// run is the floats sealed last.
	run looseRun
	// times and values are the samples that are not sealed. They are appended
	// to or replaced, never changed in place before the last published sample.
	times  []int64
	values []float64
	// more is there if a sample has a histogram or start timestamp.
	more *looseMore
	// settled samples from the front are visible to all readers, those up to
	// marks[i].end to readers of transaction marks[i].txn and later ones.
	settled int
	marks   []mark
	// settledTxn is the last transaction of the settled samples, or a later one
	// that all readers see.
	settledTxn uint64
	// last is the sample that was added last, if it is a histogram.
	last *batch.Sample
	// late says that times is not ascending.
	late bool
}

// looseMore has what few samples have; both slices are as long as
// loose.times.
type looseMore struct {
	cells  []histogramCell // with neither histogram for a float
	starts []int64
}

// mark says that the samples up to end came with transaction txn or earlier.
type mark struct {
	txn uint64
	end int
}

func (l *loose) empty() bool { return l == nil || len(l.chunks)+int(l.run.rows)+len(l.times) == 0 }

// sealed yields the chunks, and the run as one.
func (l *loose) sealed(yield func(*looseChunk) bool) {
	for i := range l.chunks {
		if !yield(&l.chunks[i]) {
			return
		}
	}
	if l.run.rows > 0 {
		yield(&l.run.looseChunk)
	}
}

// add appends a sample of a transaction.
func (l *loose) add(s *batch.Sample, txn uint64) {
	n := len(l.times)
	if n > 0 && s.T < l.times[n-1] {
		l.late = true
	}
	if l.last = nil; s.Kind() != storage.KindFloat {
		last := *s
		l.last = &last
	}
	l.times, l.values = append(l.times, s.T), append(l.values, s.V)
	if l.more == nil && (s.ST != 0 || s.Kind() != storage.KindFloat) {
		l.more = &looseMore{cells: make([]histogramCell, n, n+1), starts: make([]int64, n, n+1)}
	}
	if l.more != nil {
		l.more.cells = append(l.more.cells, histogramCell{h: s.H, fh: s.FH})
		l.more.starts = append(l.more.starts, s.ST)
	}
	if m := len(l.marks); m > 0 && l.marks[m-1].txn == txn {
		l.marks[m-1].end = n + 1
		return
	}
	l.marks = append(l.marks, mark{txn, n + 1})
}

// takeBack removes the samples of the last transaction, which is not published.
func (l *loose) takeBack(txn uint64) {
	n := len(l.marks)
	if n == 0 || l.marks[n-1].txn != txn {
		return
	}
	l.marks = l.marks[:n-1]
	end := l.visible(allVisible - 1)
	l.times, l.values = l.times[:end], l.values[:end]
	if l.more != nil {
		l.more = &looseMore{cells: l.more.cells[:end], starts: l.more.starts[:end]}
	}
	l.late, l.last = !slices.IsSorted(l.times), nil
}

// visible returns how many of the samples that are not sealed a reader of
// transaction txn sees.
func (l *loose) visible(txn uint64) int {
	if txn == allVisible {
		return len(l.times)
	}
	for i := len(l.marks) - 1; i >= 0; i-- {
		if l.marks[i].txn <= txn {
			return l.marks[i].end
		}
	}
	return l.settled
}

// sample returns sample i of those that are not sealed.
func (l *loose) sample(i int) batch.Sample {
	s := batch.Sample{T: l.times[i], V: l.values[i]}
	if l.more != nil {
		s.ST, s.H, s.FH = l.more.starts[i], l.more.cells[i].h, l.more.cells[i].fh
	}
	return s
}

// newest returns the time of the newest sample, published or not.
func (l *loose) newest() (t int64, ok bool) {
	if l.empty() {
		return 0, false
	}
	t = math.MinInt64
	for _, ts := range l.times {
		t = max(t, ts)
	}
	for c := range l.sealed {
		t = max(t, c.maxt)
	}
	return t, true
}

// find returns the sample at t, published or not.
func (l *loose) find(t int64) (s batch.Sample, ok bool, err error) {
	if l == nil {
		return s, false, nil
	}
	if i := slices.Index(l.times, t); i >= 0 {
		return l.sample(i), true, nil
	}
	for c := range l.sealed {
		if t < c.mint || t > c.maxt {
			continue
		}
		var b storage.Batch
		if err := c.decode(&b); err != nil {
			return s, false, err
		}
		if at, found := slices.BinarySearch(b.Times, t); found {
			return batch.At(&b, at), true, nil
		}
	}
	return s, false, nil
}

// settle takes note that all readers see the transactions up to txn, and seals
// what can be sealed if there is enough of it.
func (l *loose) settle(txn uint64) {
	n := 0
	for n < len(l.marks) && l.marks[n].txn <= txn {
		l.settled, l.settledTxn = l.marks[n].end, l.marks[n].txn
		n++
	}
	l.marks = slices.Delete(l.marks, 0, n)
	if l.settled >= looseRows {
		l.seal(txn)
	}
}

// sortLate sorts samples that did not come in order. Which of them had their
// counter reset hints from the sample that is now before them is lost.
func sortLate(samples []batch.Sample) {
	slices.SortStableFunc(samples, func(a, b batch.Sample) int { return cmp.Compare(a.T, b.T) })
	for i := range samples {
		samples[i].ForgetReset()
	}
}

// seal encodes the settled samples. What stays moves to new memory, since
// readers have the old one.
func (l *loose) seal(txn uint64) {
	n := l.settled
	if l.more == nil && !l.late && (l.run.rows == 0 || l.times[0] > l.run.maxt) {
		l.sealFloats(l.times[:n], l.values[:n], txn)
	} else {
		samples := make([]batch.Sample, n)
		for i := range samples {
			samples[i] = l.sample(i)
		}
		if l.late {
			sortLate(samples)
		}
		l.closeRun()
		l.chunks = mergeChunks(appendChunks(l.chunks, samples, txn))
	}
	l.times, l.values = tail(l.times, n), tail(l.values, n)
	if l.more != nil {
		l.more = &looseMore{cells: slices.Clone(l.more.cells[n:]), starts: slices.Clone(l.more.starts[n:])}
		if len(l.times) == 0 {
			l.more = nil
		}
	}
	for i := range l.marks {
		l.marks[i].end -= n
	}
	l.settled, l.late = 0, !slices.IsSorted(l.times)
}

// sealFloats adds floats without start timestamps, ascending in time and newer than
// the run, to the run, and encodes it whenever it has enough for a chunk.
func (l *loose) sealFloats(times []int64, values []float64, txn uint64) {
	for len(times) > 0 {
		n := min(len(times), chunkRows-int(l.run.rows))
		l.run.add(times[:n], values[:n], txn)
		times, values = times[n:], values[n:]
		if l.run.rows == chunkRows {
			l.chunks = l.run.encode(l.chunks)
		}
	}
}

// closeRun makes the run a chunk of its own, since something else follows.
func (l *loose) closeRun() {
	if l.run.rows > 0 {
		l.chunks = append(l.chunks, l.run.looseChunk)
		l.run = looseRun{}
	}
}

// tail returns a copy of s without the first n elements, with room for as many as
// are sealed at once.
func tail[T any](s []T, n int) []T {
	return append(make([]T, 0, max(len(s)-n, looseRows)), s[n:]...)
}

// filter keeps the samples that keep says, and reports whether any went. The
// transaction that keep is told may be later than the sample's.
func (l *loose) filter(mint, maxt int64, keep func(t int64, txn uint64) bool) (bool, error) {
	if l.empty() {
		return false, nil
	}
	chunks, changed, err := filterChunks(l.chunks, mint, maxt, keep)
	if err != nil {
		return false, err
	}
	run, err := l.run.filter(mint, maxt, keep)
	if err != nil {
		return false, err
	}
	changed = changed || run.rows != l.run.rows
	l.chunks, l.run = chunks, run
	var kept []batch.Sample
	var txns []uint64
	txn, m := uint64(0), 0
	for i := range l.times {
		for i >= l.settled && m < len(l.marks) && i >= l.marks[m].end {
			m++
		}
		if txn = l.settledTxn; i >= l.settled && m < len(l.marks) {
			txn = l.marks[m].txn
		}
		if keep(l.times[i], txn) {
			kept, txns = append(kept, l.sample(i)), append(txns, txn)
		}
	}
	if len(kept) == len(l.times) {
		return changed, nil
	}
	*l = loose{chunks: l.chunks, run: l.run}
	for i := range kept {
		l.add(&kept[i], txns[i])
	}
	return true, nil
}

// after returns the samples of l after those of older, which all readers may see. It
// takes both.
func (l *loose) after(older *loose) *loose {
	if l.empty() {
		return older
	}
	if len(older.times) > 0 {
		older.settled = len(older.times)
		older.seal(0)
	}
	older.closeRun()
	l.chunks = slices.Concat(older.chunks, l.chunks)
	return l
}

// oldest returns the time of the oldest sample.
func (l *loose) oldest() int64 {
	t := int64(math.MaxInt64)
	for _, ts := range l.times {
		t = min(t, ts)
	}
	for c := range l.sealed {
		t = min(t, c.mint)
	}
	return t
}
