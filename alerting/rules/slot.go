package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// slotOffset returns where in an interval the evaluations of a group lie. It is
// a hash of the group's identity, the same one as upstream's, so that the load
// of groups is spread and a group keeps its phase on every server.
func slotOffset(file, name string, interval time.Duration) time.Duration {
	h := labels.New(
		labels.Label{Name: "name", Value: name},
		labels.Label{Name: "file", Value: file},
	).Hash()
	return time.Duration(h % uint64(interval))
}

// slotBefore returns the last slot that is not after t. Slots lie offset after
// the multiples of interval since the Unix epoch.
func slotBefore(t time.Time, interval, offset time.Duration) time.Time {
	n := t.UnixNano() - int64(offset)
	return time.Unix(0, n-n%int64(interval)+int64(offset)).UTC()
}

// nextSlot returns the slot to evaluate at now, given the one evaluated last,
// and how many slots between the two were missed. Called early, by less than
// an interval, it returns the slot that is about to come.
func nextSlot(last, now time.Time, interval time.Duration) (slot time.Time, missed int) {
	passed := now.Sub(last)
	switch {
	case passed >= interval:
		n := passed / interval
		return last.Add(n * interval), int(n - 1)
	case passed >= 0:
		return last.Add(interval), 0
	default:
		// The clock was set back. Slots follow it: queries in the future would
		// find nothing and resolve every alert.
		back := (-passed + interval - 1) / interval
		return last.Add(-back * interval), 0
	}
}
