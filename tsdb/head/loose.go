package head

import (
	"cmp"
	"math"
	"slices"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// looseRows is how many samples of a series that do not fit into its run wait before
// they are sealed into chunks.
const looseRows = 16

// loose is the samples of a series that came one by one: a group of one, with a
// timeline of its own. A float that is newer than the run goes there, anything else
// to the tail. It is guarded by series.mu. A nil loose has no samples.
type loose struct {
	// chunks is sealed samples, which all readers see. The slice is replaced when
	// entries other than new ones at the end change, since readers keep it.
	chunks []looseChunk
	run    looseRun
	// tail is samples in the order of arrival. It is appended to or replaced,
	// never changed in place, since readers keep it.
	tail []looseSample
	// last is the sample that was added last, if it is a histogram.
	last *batch.Sample
}

// looseSample is a sample of the tail with its transaction.
type looseSample struct {
	batch.Sample
	txn uint64
}

func (l *loose) empty() bool { return l == nil || len(l.chunks)+int(l.run.rows)+len(l.tail) == 0 }

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

// add appends a sample of a transaction. All readers see the transactions up to
// settled.
func (l *loose) add(s *batch.Sample, txn, settled uint64) {
	if s.ST == 0 && s.Kind() == storage.KindFloat {
		if l.last = nil; l.addFloat(s.T, s.V, txn, settled) {
			return
		}
	} else if l.last = nil; s.Kind() != storage.KindFloat {
		last := *s
		l.last = &last
	}
	// Those before it came earlier, nearly always: they are settled, too.
	if n := len(l.tail); n >= looseRows && l.tail[looseRows-1].txn <= settled {
		l.seal(settled)
	}
	l.tail = append(l.tail, looseSample{*s, txn})
}

// addNewest is add for a float without a start timestamp that is newer than all of
// the series.
func (l *loose) addNewest(t int64, v float64, txn, settled uint64) {
	if l.last = nil; !l.addFloat(t, v, txn, settled) {
		l.add(&batch.Sample{T: t, V: v}, txn, settled)
	}
}

// addFloat appends a float without a start timestamp to the run. It fails if the run
// cannot have it: such a sample goes to the tail.
func (l *loose) addFloat(t int64, v float64, txn, settled uint64) bool {
	r := &l.run
	if r.rows >= chunkRows && r.txn <= settled {
		l.encodeRun()
	}
	if r.rows == 0 {
		if newest, ok := l.newest(); ok && t <= newest {
			return false
		}
	} else if t <= r.maxt || txn < r.txn || r.rows == math.MaxUint16 {
		return false
	}
	r.add(t, v, txn, settled)
	return true
}

// encodeRun makes chunks of the run, whose samples all readers see.
func (l *loose) encodeRun() {
	room := chunkRooms.Get().(*chunkRoom)
	defer chunkRooms.Put(room)
	var err error
	room.times, room.values, err = unpack(room.times[:0], room.values[:0], &l.run.looseChunk)
	if err != nil {
		l.closeRun() // whoever reads it is told
		return
	}
	txn := l.run.txn
	l.run = looseRun{marks: l.run.marks[:0]}
	var made []looseChunk
	times, values := room.times, room.values
	for len(times) >= chunkRows {
		made = appendChunk(made, &storage.Batch{Times: times[:chunkRows], Values: values[:chunkRows]}, txn)
		times, values = times[chunkRows:], values[chunkRows:]
	}
	for i, t := range times {
		l.run.add(t, values[i], txn, txn)
	}
	// Short chunks stay at the end, where more join them.
	short := 0
	for short < len(l.chunks) && l.chunks[len(l.chunks)-1-short].rows < chunkRows {
		short++
	}
	if short > 0 {
		l.chunks = slices.Insert(slices.Clone(l.chunks), len(l.chunks)-short, made...)
	} else {
		l.chunks = append(l.chunks, made...)
	}
}

// closeRun makes the run a chunk of its own as it is.
func (l *loose) closeRun() {
	if l.run.rows > 0 {
		l.chunks = append(l.chunks, l.run.looseChunk)
		l.run = looseRun{}
	}
}

// takeBack removes the samples of a transaction that is not published: there are none
// in chunks.
func (l *loose) takeBack(txn uint64) error {
	keep := func(_ int64, with uint64) bool { return with != txn }
	run, err := l.run.filter(minTime, maxTime, keep)
	if err == nil {
		l.run = run
	}
	l.tail, l.last = l.filterTail(minTime, maxTime, keep), nil
	return err
}

// newest returns the time of the newest sample, published or not.
func (l *loose) newest() (t int64, ok bool) {
	if l.empty() {
		return 0, false
	}
	t = math.MinInt64
	for i := range l.tail {
		t = max(t, l.tail[i].T)
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
	for i := range l.tail {
		if l.tail[i].T == t {
			return l.tail[i].Sample, true, nil
		}
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

func byTime(a, b batch.Sample) int { return cmp.Compare(a.T, b.T) }

// sortLate sorts samples that did not come in order. Which of them had their
// counter reset hints from the sample that is now before them is lost.
func sortLate(samples []batch.Sample) {
	slices.SortStableFunc(samples, byTime)
	for i := range samples {
		samples[i].ForgetReset()
	}
}

// seal encodes the samples of the tail that all readers see.
func (l *loose) seal(settled uint64) {
	var samples []batch.Sample
	var kept []looseSample
	txn := uint64(0)
	for i := range l.tail {
		if s := &l.tail[i]; s.txn <= settled {
			samples, txn = append(samples, s.Sample), max(txn, s.txn)
		} else {
			kept = append(kept, *s)
		}
	}
	if l.tail = kept; !slices.IsSortedFunc(samples, byTime) {
		sortLate(samples)
	}
	l.chunks = mergeChunks(appendChunks(l.chunks, samples, txn))
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
	if tail := l.filterTail(mint, maxt, keep); len(tail) < len(l.tail) {
		changed, l.tail = true, tail
	}
	if changed {
		l.last = nil
	}
	return changed, nil
}

// filterTail returns the tail with the samples that keep says, as new memory.
func (l *loose) filterTail(mint, maxt int64, keep func(t int64, txn uint64) bool) []looseSample {
	return slices.DeleteFunc(slices.Clone(l.tail), func(s looseSample) bool {
		return s.T >= mint && s.T <= maxt && !keep(s.T, s.txn)
	})
}

// after returns the samples of l after those of older, which all readers may see. It
// takes both.
func (l *loose) after(older *loose) *loose {
	if l.empty() {
		return older
	}
	if len(older.tail) > 0 {
		older.seal(allVisible)
	}
	older.closeRun()
	l.chunks = slices.Concat(older.chunks, l.chunks)
	return l
}

// oldest returns the time of the oldest sample.
func (l *loose) oldest() int64 {
	t := int64(math.MaxInt64)
	for i := range l.tail {
		t = min(t, l.tail[i].T)
	}
	for c := range l.sealed {
		t = min(t, c.mint)
	}
	return t
}
