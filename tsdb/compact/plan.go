package compact

import (
	"cmp"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/tsdb/block"
)

// rangeStep is how many times as long each level's range is as the one below.
const rangeStep = 3

// PlanOptions say what ranges blocks have.
type PlanOptions struct {
	// MinRange is the range of a block that is cut from the head, milliseconds.
	MinRange int64
	// MaxRange bounds the range of a block that is made by joining others.
	MaxRange int64
}

// ranges returns the lengths of blocks, ascending.
func (o PlanOptions) ranges() []int64 {
	var out []int64
	for r := o.MinRange; r > 0 && r <= o.MaxRange; r *= rangeStep {
		out = append(out, r)
	}
	return out
}

// Plan returns the blocks to join next, at least two of them, or nil if there is
// nothing to do. Overlapping blocks come first, since queries have to merge
// them. Otherwise blocks that fill a range of a level, or are in one that is
// over, become one block; the newest block of all is left alone, so that what
// was just written is not written again at once. Blocks whose compaction failed
// are left alone.
func Plan(metas []block.Meta, opts PlanOptions) []ulid.ULID {
	sorted := slices.DeleteFunc(slices.Clone(metas), func(m block.Meta) bool { return m.Compaction.Failed || m.ResolutionMillis != 0 })
	slices.SortFunc(sorted, func(a, b block.Meta) int {
		return cmp.Or(cmp.Compare(a.MinTime, b.MinTime), cmp.Compare(a.MaxTime, b.MaxTime), a.ULID.Compare(b.ULID))
	})
	if part := overlapping(sorted); part != nil {
		return ids(part)
	}
	if len(sorted) < 3 {
		return nil
	}
	newest := sorted[len(sorted)-1]
	older := sorted[:len(sorted)-1]
	ranges := opts.ranges()
	for _, length := range ranges[min(1, len(ranges)):] {
		for _, part := range split(older, length) {
			first, last := part[0], part[len(part)-1]
			full := last.MaxTime-first.MinTime == length
			if len(part) > 1 && (full || last.MaxTime <= newest.MinTime && alignedEnd(first.MinTime, length) <= newest.MinTime) {
				return ids(part)
			}
		}
	}
	return nil
}

// overlapping returns the first blocks that overlap each other.
func overlapping(sorted []block.Meta) []block.Meta {
	for i := 0; i < len(sorted); {
		end, maxt := i+1, sorted[i].MaxTime
		for end < len(sorted) && sorted[end].MinTime < maxt {
			maxt = max(maxt, sorted[end].MaxTime)
			end++
		}
		if end-i > 1 {
			return sorted[i:end]
		}
		i = end
	}
	return nil
}

// split groups blocks by the aligned range of the length that they lie in.
// Blocks that do not fit into one are left out.
func split(sorted []block.Meta, length int64) [][]block.Meta {
	var out [][]block.Meta
	end := int64(0)
	for _, m := range sorted {
		e := alignedEnd(m.MinTime, length)
		if m.MaxTime > e {
			continue
		}
		if len(out) == 0 || e != end {
			out, end = append(out, nil), e
		}
		out[len(out)-1] = append(out[len(out)-1], m)
	}
	return out
}

// alignedEnd returns the end of the aligned range that t lies in.
func alignedEnd(t, length int64) int64 {
	start := t - t%length
	if t%length < 0 {
		start -= length
	}
	return start + length
}

func ids(list []block.Meta) []ulid.ULID {
	out := make([]ulid.ULID, len(list))
	for i := range list {
		out[i] = list[i].ULID
	}
	return out
}
