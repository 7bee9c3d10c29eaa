package rollup

import (
	"slices"

	"github.com/oklog/ulid/v2"
)

// Setting is a resolution to be kept. All are milliseconds.
type Setting struct {
	Resolution int64
	// After is the age that samples have at least when they are rolled up.
	After int64
	// Keep is how long the rollups are kept; 0 is for ever.
	Keep int64
}

// Job is a rollup to be made, of the samples with Lo < t <= Hi.
type Job struct {
	Resolution int64
	Lo, Hi     int64
	// Replaces are the rollups that it takes the place of.
	Replaces []ulid.ULID
}

const day = 24 * 3600 * 1000

// SpanOf returns the length of the stretches of time, aligned to itself, that a
// rollup of a resolution is made of: a day, or as long as it takes for a chunk of
// 96 buckets.
func SpanOf(resolution int64) int64 { return ceil(max(day, 96*resolution), resolution) }

// Due returns the next rollup to make, nil if there is none. Finer resolutions
// come first, since coarser ones are made of them. A rollup is made anew if
// samples came in late or some were deleted. newest is the time of the newest
// sample; samples up to settled are in blocks. Jobs in failed are passed over.
func Due(raw, rollups []Info, settings []Setting, newest, settled int64, failed []Job) *Job {
	sorted := slices.Clone(settings)
	slices.SortFunc(sorted, func(a, b Setting) int { return int(a.Resolution - b.Resolution) })
	for _, s := range sorted {
		if job := s.due(raw, rollups, newest, settled, failed); job != nil {
			return job
		}
	}
	return nil
}

func (s *Setting) due(raw, rollups []Info, newest, settled int64, failed []Job) *Job {
	from, ok := s.begin(raw, rollups, noTime)
	if !ok {
		return nil
	}
	length := SpanOf(s.Resolution)
	lo := floor(from, length)
	if s.Keep > 0 {
		lo = max(lo, floor(newest-s.Keep, length))
	}
	for ok && lo+length <= min(newest-s.After, settled) {
		hopeless := slices.ContainsFunc(failed, func(j Job) bool { return j.Resolution == s.Resolution && j.Lo == lo })
		if job := s.spanDue(raw, rollups, lo, lo+length); job != nil && !hopeless {
			return job
		}
		from, ok = s.begin(raw, rollups, lo+length)
		lo = floor(max(from, lo+length), length)
	}
	return nil
}

// begin returns the oldest time after t that there is something to roll up of.
func (s *Setting) begin(raw, rollups []Info, t int64) (begin int64, ok bool) {
	for _, list := range [][]Info{raw, rollups} {
		for i := range list {
			if b := &list[i]; b.Resolution <= s.Resolution && b.Hi > t && (!ok || b.Lo < begin) {
				begin, ok = b.Lo, true
			}
		}
	}
	return begin, ok
}

func (s *Setting) spanDue(raw, rollups []Info, lo, hi int64) *Job {
	job := &Job{Resolution: s.Resolution, Lo: lo, Hi: hi}
	something := slices.ContainsFunc(raw, func(b Info) bool { return b.overlaps(lo, hi) })
	anew := false
	for i := range rollups {
		switch r := &rollups[i]; {
		case !r.overlaps(lo, hi) || r.Resolution > s.Resolution:
		case r.Resolution < s.Resolution:
			something = true
		default:
			job.Replaces = append(job.Replaces, r.ID)
			anew = anew || len(r.Deleted) > 0 || len(r.unknown(raw)) > 0
		}
	}
	if anew || something && len(job.Replaces) == 0 {
		return job
	}
	return nil
}
