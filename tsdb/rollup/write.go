package rollup

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/compact"
)

// Write makes the rollup of a job, in the target's folder, and returns its meta.
// It reads the blocks that were surveyed, one series at a time; state is their
// survey, and places.Samples gives series in the order of block.Compare. A rollup
// without series is made, too: it says that there is nothing.
func Write(ctx context.Context, t compact.Target, job *Job, raw, rollups []Info, places Places) (block.Meta, error) {
	plan := job.plan(raw, rollups)
	t.Meta.MinTime, t.Meta.MaxTime = job.Lo+1, job.Hi+1
	t.Meta.ResolutionMillis = job.Resolution
	t.Meta.Compaction = job.provenance(raw, rollups)
	return t.Make(func(w *block.Writer) (bool, error) {
		return true, writeSeries(ctx, w, all(plan, places), job.Resolution)
	})
}

func writeSeries(ctx context.Context, w *block.Writer, set *Set, resolution int64) error {
	timelines := compact.NewTimelines(w)
	var encoder Encoder
	var ends []int64
	var values []byte
	for set.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		ends = ends[:0]
		for i := range set.Buckets() {
			ends = append(ends, set.Buckets()[i].T)
		}
		line, err := timelines.Add(ends)
		if err != nil {
			return err
		}
		values = encoder.Append(values[:0], set.Buckets(), resolution)
		series := block.Series{Labels: set.Labels(), Metadata: set.metadata(), Chunks: []block.Chunk{{
			Kind: block.KindRollup, Timeline: line, Rows: uint32(len(ends)), Values: values,
		}}}
		if _, err := w.AddSeries(&series); err != nil {
			return err
		}
	}
	return set.Err()
}

// plan says where the buckets of a job come from: from finer rollups and, where
// they do not tell, from samples; where samples are gone, also from the rollup
// that is being replaced.
func (j *Job) plan(raw, rollups []Info) *Plan {
	state := Survey(raw, rollups)
	state.spans = slices.DeleteFunc(state.spans, func(s Span) bool { return s.Resolution >= j.Resolution })
	state.last = slices.DeleteFunc(state.last, func(s Span) bool { return s.Resolution > j.Resolution })
	w := storage.Windows{First: j.Lo + j.Resolution, Last: j.Hi, Step: j.Resolution, Range: j.Resolution}
	if p := state.Plan(w, 1<<63-1); p != nil {
		return p
	}
	p := &Plan{}
	p.snap(w)
	p.divide()
	p.addSamples([]interval{{j.Lo, j.Hi}})
	return p
}

// provenance says what the rollup knows.
func (j *Job) provenance(raw, rollups []Info) block.Compaction {
	c := block.Compaction{Level: 2}
	for _, list := range [][]Info{raw, rollups} {
		for i := range list {
			if list[i].Resolution > j.Resolution {
				continue
			}
			for _, s := range list[i].Sources {
				if s.Lo < j.Hi && s.Hi > j.Lo {
					c.Sources = append(c.Sources, s.ID)
				}
			}
		}
	}
	slices.SortFunc(c.Sources, ulid.ULID.Compare)
	c.Sources = slices.Compact(c.Sources)
	for i := range rollups {
		if r := &rollups[i]; slices.Contains(j.Replaces, r.ID) {
			c.Parents = append(c.Parents, block.Parent{ULID: r.ID, MinTime: r.Lo + 1, MaxTime: r.Hi + 1})
		}
	}
	return c
}
