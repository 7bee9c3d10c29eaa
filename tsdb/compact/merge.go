package compact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/internal/yield"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// Target says where a block is to be written and what its meta.json says.
type Target struct {
	FS vfs.FS
	// Dir is the folder of the blocks.
	Dir string
	// Now is the time in the block's name.
	Now time.Time
	// Meta has the range and the compaction; the rest is filled in. A block cut
	// from the head is its own source.
	Meta block.Meta
	// AlignMillis is the length of the ranges at which timelines are divided.
	AlignMillis int64
	// Exemplars bounds those of the block.
	Exemplars Exemplars
}

// Write makes a block of the union of sources. Where two have a sample at the
// same time, the earlier source wins. Without any sample there is no block, and
// the meta's ULID is zero.
func Write(ctx context.Context, t Target, sources []Source) (block.Meta, error) {
	keeper := newKeeper(t.Exemplars)
	meta, err := t.Make(func(w *block.Writer) (bool, error) {
		sw := &seriesWriter{
			w: w, align: max(t.AlignMillis, 1), rows: effortAt(t.Meta.Compaction.Level).chunkRows,
			timelines: NewTimelines(w), exemplars: keeper,
		}
		all := &union{sources: sources, heads: make([]head, len(sources))}
		all.number(w.Dictionary())
		n, err := writeSeries(ctx, sw, all)
		return n > 0, err
	})
	if err == nil && keeper.dropped > 0 && t.Exemplars.Dropped != nil {
		t.Exemplars.Dropped(keeper.dropped)
	}
	return meta, err
}

// Make makes a block of what fill writes. If fill fails or does not want it
// there is no block, and the meta's ULID is zero.
func (t *Target) Make(fill func(w *block.Writer) (wanted bool, err error)) (block.Meta, error) {
	id, err := ulid.New(ulid.Timestamp(t.Now), rand.Reader)
	if err != nil {
		return block.Meta{}, fmt.Errorf("name block: %w", err)
	}
	w, err := block.NewWriter(t.FS, t.Dir, id, effortAt(t.Meta.Compaction.Level).options)
	if err != nil {
		return block.Meta{}, fmt.Errorf("write block %s: %w", id, err)
	}
	wanted, err := fill(w)
	if err == nil && !wanted {
		return block.Meta{}, w.Abort()
	}
	meta := t.Meta
	if err == nil {
		meta.ULID = id
		if meta.Compaction.Level <= 1 {
			meta.Compaction.Level, meta.Compaction.Sources = 1, []ulid.ULID{id}
		}
		meta, err = w.Finish(meta)
	}
	if err != nil {
		err = fmt.Errorf("write block %s: %w", id, err)
		if aerr := w.Abort(); aerr != nil {
			err = fmt.Errorf("%w; remove what was written: %w", err, aerr)
		}
		return block.Meta{}, err
	}
	return meta, nil
}

// yieldEvery is after how many series the writer lets others run: some ten microseconds each.
const yieldEvery = 8

// writeSeries writes the series of a source and returns how many there were.
func writeSeries(ctx context.Context, sw *seriesWriter, source Source) (n int, err error) {
	var offer yield.Offer
	seen := 0
	for source.Next() {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		series := source.Series()
		if seen++; seen%yieldEvery == 0 {
			offer.Make() // Whoever appends samples goes first.
		}
		wrote, err := sw.write(&series)
		if err != nil {
			return n, fmt.Errorf("series %s: %w", sw.w.Dictionary().Labels(series.Numbered), err)
		}
		if wrote {
			n++
		}
	}
	return n, errors.Join(source.Err(), ctx.Err())
}

// Merge joins blocks to one and returns its meta. The ULID is zero if nothing
// is left of them. The caller holds the readers. Blocks that were made later
// win where two have a sample at the same time.
func Merge(ctx context.Context, t Target, readers []*block.Reader) (block.Meta, error) {
	ordered := slices.Clone(readers)
	slices.SortFunc(ordered, func(a, b *block.Reader) int { return b.Meta().ULID.Compare(a.Meta().ULID) })
	t.Meta = joined(ordered)
	sources := make([]Source, len(ordered))
	t.Exemplars.Expected = 0
	for i, r := range ordered {
		t.Exemplars.Expected += int(r.Meta().Stats.NumExemplars)
		sources[i] = BlockSource(r, uint32(i+1), math.MinInt64, math.MaxInt64)
	}
	return Write(ctx, t, sources)
}

// joined is the meta of the union of blocks.
func joined(readers []*block.Reader) block.Meta {
	m := block.Meta{MinTime: math.MaxInt64, MaxTime: math.MinInt64, Origins: map[string]uint64{}}
	for _, r := range readers {
		part := r.Meta()
		m.MinTime, m.MaxTime = min(m.MinTime, part.MinTime), max(m.MaxTime, part.MaxTime)
		m.Compaction.Level = max(m.Compaction.Level, part.Compaction.Level+1)
		m.Compaction.Sources = append(m.Compaction.Sources, part.Compaction.Sources...)
		m.Compaction.SourceRanges = append(m.Compaction.SourceRanges, part.Origin()...)
		m.Compaction.Parents = append(m.Compaction.Parents, block.Parent{ULID: part.ULID, MinTime: part.MinTime, MaxTime: part.MaxTime})
		for origin, seq := range part.Origins {
			m.Origins[origin] = max(m.Origins[origin], seq)
		}
	}
	slices.SortFunc(m.Compaction.Sources, ulid.ULID.Compare)
	m.Compaction.Sources = slices.Compact(m.Compaction.Sources)
	byID := func(a, b block.Parent) int { return a.ULID.Compare(b.ULID) }
	slices.SortFunc(m.Compaction.SourceRanges, byID)
	m.Compaction.SourceRanges = slices.CompactFunc(m.Compaction.SourceRanges, func(a, b block.Parent) bool { return a.ULID == b.ULID })
	slices.SortFunc(m.Compaction.Parents, byID)
	return m
}
