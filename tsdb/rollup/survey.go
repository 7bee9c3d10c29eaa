package rollup

import (
	"iter"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/tsdb/block"
)

// Info is what deciding needs to know of a block.
type Info struct {
	ID ulid.ULID
	// Resolution is 0 for a block of samples.
	Resolution int64
	// The block has the samples with Lo < t <= Hi.
	Lo, Hi int64
	// Sources are the blocks, as they were first cut, whose samples are in it.
	// The ranges of a rollup's are its own.
	Sources []Source
	// Deleted are the ranges of a rollup in which samples of some series were
	// deleted after it was made.
	Deleted []block.Interval
}

// Source is a block as it was first cut, with the range of its samples.
type Source struct {
	ID     ulid.ULID
	Lo, Hi int64
}

// InfoOf returns what is to be known of a block.
func InfoOf(m *block.Meta, deleted *block.Tombstones) Info {
	i := Info{ID: m.ULID, Resolution: m.ResolutionMillis, Lo: m.MinTime - 1, Hi: m.MaxTime - 1}
	for _, p := range m.Origin() {
		i.Sources = append(i.Sources, Source{p.ULID, p.MinTime - 1, p.MaxTime - 1})
	}
	if i.Resolution != 0 {
		i.Deleted = deleted.Ranges()
	}
	return i
}

func (i *Info) overlaps(lo, hi int64) bool { return i.Lo < hi && i.Hi > lo }

// Span is a stretch of time, (Lo, Hi], on the grid of the resolution, of which a
// rollup knows everything.
type Span struct {
	Resolution int64
	Lo, Hi     int64
	// Block is the rollup's index among those that were surveyed.
	Block int
}

// State says of which times rollups know everything. It is immutable.
type State struct {
	spans []Span
	// last are spans of which the samples are gone. gone is the end of the last
	// one; noTime if there is none.
	last []Span
	gone int64
}

// noTime is before all times.
const noTime = -1 << 63

// Survey holds rollups against the blocks of samples there are. A rollup knows
// the blocks that it was made of:
//
//   - where all of them are there, it counts but for the ranges of sources that it
//     does not know (late samples), and for buckets of which a part was deleted;
//   - where some are gone by retention, it is all there is, and counts.
func Survey(raw, rollups []Info) *State {
	s := &State{gone: noTime}
	have := map[ulid.ULID]struct{}{}
	for i := range raw {
		for _, src := range raw[i].Sources {
			have[src.ID] = struct{}{}
		}
	}
	for n := range rollups {
		r := &rollups[n]
		gone := r.goneUntil(raw, have)
		if gone > r.Lo {
			s.last = append(s.last, Span{r.Resolution, r.Lo, gone, n})
			s.gone = max(s.gone, gone)
		}
		good := []interval{{gone, r.Hi}}
		for _, bad := range r.doubtful(raw) {
			good = without(good, bad)
		}
		for _, g := range good {
			s.spans = append(s.spans, Span{r.Resolution, g.lo, g.hi, n})
		}
	}
	return s
}

// Gone returns the time up to which, inclusive, there are rollups of samples that
// are gone; math.MinInt64 if there are none.
func (s *State) Gone() int64 {
	if s == nil {
		return noTime
	}
	return s.gone
}

// goneUntil returns the time until which samples that the rollup was made of are
// missing; its begin if none is. Retention takes the oldest first.
func (i *Info) goneUntil(raw []Info, have map[ulid.ULID]struct{}) int64 {
	missing := func(s Source) bool { _, ok := have[s.ID]; return !ok }
	if !slices.ContainsFunc(i.Sources, missing) {
		return i.Lo
	}
	until := i.Hi
	for s := range i.overlapping(raw) {
		if i.knows(s.ID) {
			until = min(until, s.Lo)
		}
	}
	return min(i.Hi, ceil(max(until, i.Lo), i.Resolution))
}

func (i *Info) knows(id ulid.ULID) bool {
	return slices.ContainsFunc(i.Sources, func(s Source) bool { return s.ID == id })
}

// overlapping yields the sources in blocks of samples that overlap the block.
func (i *Info) overlapping(raw []Info) iter.Seq[Source] {
	return func(yield func(Source) bool) {
		for k := range raw {
			if !raw[k].overlaps(i.Lo, i.Hi) {
				continue
			}
			for _, s := range raw[k].Sources {
				if s.Lo < i.Hi && s.Hi > i.Lo && !yield(s) {
					return
				}
			}
		}
	}
}

// unknown returns the sources that the rollup ought to know and does not.
func (i *Info) unknown(raw []Info) []Source {
	var out []Source
	for s := range i.overlapping(raw) {
		if !i.knows(s.ID) {
			out = append(out, s)
		}
	}
	return out
}

// doubtful returns the stretches in which samples decide, not the rollup.
func (i *Info) doubtful(raw []Info) []interval {
	var out []interval
	for _, s := range i.unknown(raw) {
		out = append(out, interval{floor(s.Lo, i.Resolution), ceil(s.Hi, i.Resolution)})
	}
	for _, d := range i.Deleted {
		for _, t := range []int64{d.MinT, d.MaxT} {
			end := ceil(t, i.Resolution)
			if d.MinT > end-i.Resolution+1 || d.MaxT < end {
				out = append(out, interval{end - i.Resolution, end})
			}
		}
	}
	return out
}

// interval is the times lo < t <= hi.
type interval struct{ lo, hi int64 }

// without takes one interval out of others.
func without(list []interval, x interval) []interval {
	out := make([]interval, 0, len(list)+1)
	for _, i := range list {
		if x.hi <= i.lo || x.lo >= i.hi {
			out = append(out, i)
			continue
		}
		if i.lo < x.lo {
			out = append(out, interval{i.lo, x.lo})
		}
		if x.hi < i.hi {
			out = append(out, interval{x.hi, i.hi})
		}
	}
	return slices.DeleteFunc(out, func(i interval) bool { return i.lo >= i.hi })
}

// floor returns the greatest multiple of step that is not above t.
func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	if t < noTime+r {
		return t // as early as can be told
	}
	return t - r
}

// ceil returns the least multiple of step that is not below t.
func ceil(t, step int64) int64 {
	f := floor(t, step)
	if f == t || f > f+step {
		return t
	}
	return f + step
}
