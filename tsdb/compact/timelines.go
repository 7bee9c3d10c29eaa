package compact

import (
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/gnomonhq/gnomon/tsdb/block"
)

// Timelines are the timelines of a block that is being written, each stored
// once. They belong to the goroutine of the writer.
type Timelines struct {
	w       *block.Writer
	numbers map[timelineKey]uint32
}

// timelineKey tells timelines apart: by their ends, their length and a hash.
type timelineKey struct {
	first, last int64
	rows        int
	hash        uint64
}

// NewTimelines returns the timelines of what w writes.
func NewTimelines(w *block.Writer) *Timelines {
	return &Timelines{w: w, numbers: map[timelineKey]uint32{}}
}

// Add returns the number of a timeline, which is written if it is new.
func (l *Timelines) Add(times []int64) (uint32, error) {
	if len(times) == 0 {
		return l.w.AddTimeline(times) // It refuses them.
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&times[0])), 8*len(times))
	key := timelineKey{times[0], times[len(times)-1], len(times), xxhash.Sum64(bytes)}
	if n, ok := l.numbers[key]; ok {
		return n, nil
	}
	n, err := l.w.AddTimeline(times)
	if err == nil {
		l.numbers[key] = n
	}
	return n, err
}
