package scrape

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Record is the outcome of one scrape.
type Record struct {
	// Start is the timestamp of the samples.
	Start time.Time
	// Duration is how long it took to fetch and parse the body. Of all but the
	// last scrape it is kept in microseconds.
	Duration time.Duration
	// Bytes is the size of the body after decompression: 0 if there was none, -1
	// if body_size_limit cut it short.
	Bytes int
	// Scraped is the number of samples in the body, Samples that of those which
	// relabelling left, Added that of the series that are new. Of a body that was
	// refused the first two are what was read before the fault.
	Scraped, Samples, Added int
	// Class says what kind of failure Err is, NoFailure if there was none.
	Class FailureClass
	// Err is why the scrape failed, nil if it did not. Of scrapes before the last
	// one the text is cut to 256 bytes, and only the last eight different ones of
	// a target are kept: of an older one the class is left.
	Err error
}

// keptRecords is the number of scrapes that a target remembers.
const keptRecords = 60

// Bounds of the texts of failures that a history keeps.
const (
	keptTexts    = 8
	maxKeptBytes = 256
)

// history has the last scrapes of a target. Hundreds of thousands of targets
// have one, so it is packed: 32 bytes a scrape, 2 KiB at most, and as much again
// for a target that fails in many ways. It belongs to the loop, and goes
// along when the target of the loop is replaced. The methods can be called from
// any number of goroutines.
type history struct {
	mu      sync.Mutex
	scrapes int
	last    Record
	// ring has the n-th scrape at n%keptRecords. It grows as scrapes come.
	ring  []packedRecord
	texts []string // of failures, those used last at the end
	// numbers are those of the texts: a packed record refers to its text by a
	// number, so that it is not taken for a later text in the same place.
	numbers    []uint16
	lastNumber uint16
}

// packedRecord is a Record without its text. Numbers that do not fit are the
// largest that do.
type packedRecord struct {
	start                   int64 // milliseconds since the epoch
	duration                uint32
	bytes                   int32
	scraped, samples, added uint32
	text                    uint16 // 0 if there is none
	class                   FailureClass
}

// add records a scrape.
func (h *history) add(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = r
	p := packedRecord{
		start: r.Start.UnixMilli(), duration: saturate(r.Duration.Microseconds()), bytes: int32(min(r.Bytes, math.MaxInt32)),
		scraped: saturate(int64(r.Scraped)), samples: saturate(int64(r.Samples)), added: saturate(int64(r.Added)),
		class: r.Class,
	}
	if r.Err != nil {
		p.text = h.keepText(r.Err.Error())
	}
	if len(h.ring) < keptRecords {
		if len(h.ring) == cap(h.ring) {
			h.ring = slices.Grow(h.ring, min(max(2, len(h.ring)), keptRecords-len(h.ring)))
		}
		h.ring = append(h.ring, p)
	} else {
		h.ring[h.scrapes%keptRecords] = p
	}
	h.scrapes++
}

func saturate(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

// keepText returns the number of a text, which takes the place of the one that
// was not used for the longest time.
func (h *history) keepText(text string) uint16 {
	text = cutText(text, maxKeptBytes)
	if i := slices.Index(h.texts, text); i >= 0 {
		number := h.numbers[i]
		h.texts = append(slices.Delete(h.texts, i, i+1), text)
		h.numbers = append(slices.Delete(h.numbers, i, i+1), number)
		return number
	}
	if len(h.texts) == keptTexts {
		h.texts, h.numbers = slices.Delete(h.texts, 0, 1), slices.Delete(h.numbers, 0, 1)
	}
	// The error may refer to far more than it says.
	h.texts = append(h.texts, strings.Clone(text))
	// A number comes again after 65,535 others: no record is that old.
	if h.lastNumber++; h.lastNumber == 0 {
		h.lastNumber = 1
	}
	h.numbers = append(h.numbers, h.lastNumber)
	return h.lastNumber
}

// cutText returns a text of at most so many bytes.
func cutText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// latest returns the last scrape. ok is false if there was none.
func (h *history) latest() (r Record, ok bool) {
	if h == nil {
		return Record{}, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, h.scrapes > 0
}

// list returns the scrapes that are kept, the oldest one first.
func (h *history) list() []Record {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.scrapes == 0 {
		return nil
	}
	records := make([]Record, 0, len(h.ring))
	for i := h.scrapes - len(h.ring); i < h.scrapes-1; i++ {
		records = append(records, h.unpack(h.ring[i%keptRecords]))
	}
	return append(records, h.last)
}

func (h *history) unpack(p packedRecord) Record {
	r := Record{
		Start: time.UnixMilli(p.start), Duration: time.Duration(p.duration) * time.Microsecond, Bytes: int(p.bytes),
		Scraped: int(p.scraped), Samples: int(p.samples), Added: int(p.added), Class: p.class,
	}
	switch i := slices.Index(h.numbers, p.text); {
	case i >= 0:
		r.Err = keptError(h.texts[i])
	case p.text != 0:
		r.Err = keptError("the text is not kept any more; the failure was of class " + p.class.String())
	}
	return r
}

// keptError is what is kept of the error of an older scrape.
type keptError string

func (e keptError) Error() string { return string(e) }
