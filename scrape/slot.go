package scrape

import (
	"hash/fnv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// schedule is when a target is scraped: at the slots, which are the instants
// that are offset away from a multiple of interval since the epoch. All times
// are nanoseconds since the epoch.
type schedule struct {
	interval, offset int64
}

// newSchedule returns the schedule of the target with the hash on a server with
// the seed.
func newSchedule(interval time.Duration, hash, seed uint64) schedule {
	return schedule{interval: int64(interval), offset: int64((hash ^ seed) % uint64(interval))}
}

// offsetSeed returns what makes the offsets of a server differ from those of
// another one that scrapes the same targets.
func offsetSeed(hostname string, external labels.Labels) uint64 {
	h := fnv.New64a()
	h.Write([]byte(hostname))
	h.Write([]byte(external.String()))
	return h.Sum64()
}

// at returns the last slot that is not after now.
func (s schedule) at(now int64) int64 {
	since := (now - s.offset) % s.interval
	if since < 0 {
		since += s.interval
	}
	return now - since
}

// lateShare is the share of the interval within which a slot that came while the
// scrape before was still running is made up for.
const lateShare = 10

// next returns when to scrape next. last is the slot of the last scrape, 0 if
// there was none. A slot that has just been missed is still scraped, because a
// scrape may take a whole interval; older ones are skipped.
func (s schedule) next(now, last int64) int64 {
	slot := s.at(now)
	switch {
	case last == 0:
		return slot + s.interval
	case slot > last && now-slot <= s.interval/lateShare:
		return slot
	case slot < last && last-slot <= s.interval:
		// The clock stepped back a little, or the timer was early.
		return s.at(last) + s.interval
	default:
		return slot + s.interval
	}
}

// skipped returns the number of slots between the last scrape and this one. The
// last one may have been a slot of another schedule.
func (s schedule) skipped(slot, last int64) int64 {
	if last == 0 {
		return 0
	}
	return max(0, (slot-last)/s.interval-1)
}

// timestamp returns the timestamp in milliseconds of a scrape for slot that
// begins at now.
func (s schedule) timestamp(slot, now int64, tolerance time.Duration) int64 {
	distance := max(now-slot, slot-now)
	if tolerance > 0 && distance <= min(int64(tolerance), s.interval/100) {
		now = slot
	}
	return now / int64(time.Millisecond)
}
