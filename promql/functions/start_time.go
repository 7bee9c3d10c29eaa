package functions

import "github.com/prometheus/prometheus/util/annotations"

// sampleTime is the time of a sample and its start timestamp, 0 for none.
type sampleTime struct{ start, time int64 }

// resetBy reports whether the start timestamp of the next sample says that the
// counter was reset in between.
func (s sampleTime) resetBy(next sampleTime) bool {
	switch {
	case next.start == s.start || next.start == 0 || next.start >= next.time:
		// Unchanged, none, or nonsense; at the sample's own time it is unknown.
		return false
	case next.start != s.time:
		return next.start > s.time
	default:
		// It begins where the sample before ended: a delta, if the sample before
		// has a start timestamp that makes sense, else an unknown start.
		return s.start != 0 && s.start < s.time
	}
}

// overlaps reports whether the next sample covers a time that this one covers
// and does not start with it.
func (s sampleTime) overlaps(next sampleTime) bool {
	return next.start != 0 && next.start < s.time && next.start != s.start
}

// overlap adds the warning about it; it counts how often.
func (a *Args) overlap() {
	a.Annotations.Add(annotations.NewStartTimeOverlapWarning(a.Metric, a.Pos))
}
