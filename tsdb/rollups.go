package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/compact"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
	"github.com/gnomonhq/gnomon/tsdb/rollup"
	"github.com/gnomonhq/gnomon/tsdb/scan"
)

// rollupDelay is the age of samples beyond the out-of-order window at which they
// are rolled up by default, so that what is late is there.
const rollupDelay = time.Hour

// minRollupResolution is the finest resolution of rollups.
const minRollupResolution = time.Minute

// Rollup is a resolution of rollups: what became of a series' samples in each
// stretch of time of that length.
type Rollup struct {
	// Resolution is a multiple of a minute, and of each finer resolution.
	Resolution time.Duration
	// After is the age that samples have at least when they are rolled up; 0 is an
	// hour more than the out-of-order window.
	After time.Duration
	// Retention is how long the rollups are kept; 0 is for ever.
	Retention time.Duration
}

// validateRollups also refuses a retention of samples that deletes them before a
// whole rollup can be made of them.
func validateRollups(list []Rollup, samples time.Duration) error {
	var errs []error
	for i, r := range list {
		if r.Resolution < minRollupResolution || r.Resolution%minRollupResolution != 0 {
			errs = append(errs, fmt.Errorf("rollup resolution %v is not a multiple of %v", r.Resolution, minRollupResolution))
			continue
		}
		for _, o := range list[:i] {
			if coarse, fine := max(r.Resolution, o.Resolution), min(r.Resolution, o.Resolution); fine < minRollupResolution || coarse == fine || coarse%fine != 0 {
				errs = append(errs, fmt.Errorf("rollup resolution %v is not a multiple of %v, or the same", coarse, fine))
			}
		}
		if r.After < 0 || r.Retention < 0 {
			errs = append(errs, fmt.Errorf("rollup resolution %v: an age of %v or a retention of %v is negative", r.Resolution, r.After, r.Retention))
		}
		span := time.Duration(rollup.SpanOf(r.Resolution.Milliseconds())) * time.Millisecond
		if kept, least := sourceRetention(r, list, samples), 2*span+r.After; kept > 0 && kept < least {
			errs = append(errs, fmt.Errorf("rollup resolution %v: what it is made of is kept for %v, which has to be %v at least", r.Resolution, kept, least))
		}
	}
	return errors.Join(errs...)
}

// sourceRetention returns how long what a rollup can be made of is kept, not
// positive if for ever.
func sourceRetention(r Rollup, list []Rollup, samples time.Duration) time.Duration {
	kept := samples
	for _, o := range list {
		if o.Resolution < r.Resolution && kept > 0 {
			if kept = max(kept, o.Retention); o.Retention == 0 {
				return 0
			}
		}
	}
	return kept
}

// blockList is the blocks there are, with what is known of the rollups among
// them. It is immutable.
type blockList struct {
	// samples ascend in time, rollups too.
	samples, rollups []*block.Reader
	// survey refers to rollups by their index.
	survey *rollup.State
}

func newBlockList(all []*block.Reader) *blockList {
	l := &blockList{}
	for _, r := range sortedReaders(all) {
		if r.Meta().ResolutionMillis == 0 {
			l.samples = append(l.samples, r)
		} else {
			l.rollups = append(l.rollups, r)
		}
	}
	if len(l.rollups) > 0 {
		l.survey = rollup.Survey(infos(l.samples), infos(l.rollups))
	}
	return l
}

// all returns all blocks, in memory of the caller's.
func (l *blockList) all() []*block.Reader { return slices.Concat(l.samples, l.rollups) }

func infos(list []*block.Reader) []rollup.Info {
	out := make([]rollup.Info, len(list))
	for i, r := range list {
		m := r.Meta()
		out[i] = rollup.InfoOf(&m, r.Tombstones())
	}
	return out
}

// HasRollups reports whether rollups would answer some of the windows.
func (db *DB) HasRollups(w storage.Windows) bool {
	return db.blocks.list.Load().survey.Plan(w, db.head.MinTime()) != nil
}

// SamplesGone returns the time up to which there are rollups of samples that are
// gone.
func (db *DB) SamplesGone() int64 { return db.blocks.list.Load().survey.Gone() }

// RollupBytes returns the size of all rollups.
func (db *DB) RollupBytes() int64 {
	var n int64
	for _, r := range db.blocks.list.Load().rollups {
		n += r.Size()
	}
	return n
}

// holdRollups holds the rollups that windows in a time range may need.
func (q *querier) holdRollups(l *blockList, mint, maxt int64) {
	if len(l.rollups) == 0 {
		return
	}
	q.survey, q.rollups = l.survey, make([]scan.Block, len(l.rollups))
	for i, r := range l.rollups {
		// The edges of a window may move by a bucket.
		m := r.Meta()
		if m.MaxTime+m.ResolutionMillis > mint && m.MinTime-m.ResolutionMillis <= maxt && r.Acquire() {
			q.rollups[i] = scan.Block{Reader: r, Tombstones: r.Tombstones(), Number: 1}
		}
	}
}

// SelectRollups returns what rollups, and samples where they do not reach, tell
// of windows.
func (q *querier) SelectRollups(ctx context.Context, w storage.Windows, ms ...*labels.Matcher) storage.RollupSet {
	plan := q.survey.Plan(w, q.recent)
	if plan == nil || slices.ContainsFunc(plan.Segments, func(s rollup.Segment) bool { return s.Resolution != 0 && q.rollups[s.Block].Reader == nil }) {
		return nil
	}
	set := &rollupSet{}
	set.Set = rollup.Select(ctx, plan, rollup.Places{
		Rollups: q.rollups,
		Samples: func(mint, maxt int64) compact.Source {
			part := q.Select(ctx, &storage.SelectHints{Mint: mint, Maxt: maxt, Sorted: true}, ms...)
			set.samples = append(set.samples, part)
			return compact.SetSource(part)
		},
	}, ms...)
	return set
}

// rollupSet has the warnings of the samples that it reads.
type rollupSet struct {
	*rollup.Set
	samples []storage.SeriesSet
}

// Warnings returns those of all samples.
func (s *rollupSet) Warnings() annotations.Annotations {
	var all annotations.Annotations
	for _, set := range s.samples {
		all.Merge(set.Warnings())
	}
	return all
}

// rollUpAll makes rollups until none is due. One that meets a damaged block is
// not tried again before the database is opened anew. The caller holds working.
func (db *DB) rollUpAll(ctx context.Context) error {
	var errs []error
	for ctx.Err() == nil {
		made, err := db.rollUpNext(ctx)
		if err != nil {
			db.metrics.rollupsFailed.Inc()
			errs = append(errs, err)
		}
		if !made && !isDamage(err) {
			break
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// rollUpNext makes the rollup that is due next, if any.
func (db *DB) rollUpNext(ctx context.Context) (made bool, err error) {
	settings := db.rollupSettings()
	if len(settings) == 0 {
		return false, nil
	}
	newest, _ := db.newestTime()
	// Whatever is deleted from here on is deleted from the rollup, too.
	db.blocks.beginWriting()
	l := db.blocks.list.Load()
	m := maker{db: db, list: l, raw: infos(l.samples), rollups: infos(l.rollups)}
	job := rollup.Due(m.raw, m.rollups, settings, newest, db.head.MinTime()-1, db.unrollable)
	if job == nil {
		db.blocks.abandon()
		return false, nil
	}
	if err := m.make(ctx, job); err != nil {
		if isDamage(err) {
			db.unrollable = append(db.unrollable, *job)
		}
		return false, fmt.Errorf("roll up %d to %d by %d ms: %w", job.Lo, job.Hi, job.Resolution, err)
	}
	db.metrics.rollups.Inc()
	return true, nil
}

func isDamage(err error) bool {
	return errors.Is(err, block.ErrCorrupt) || errors.Is(err, encoding.ErrCorrupt)
}

func (db *DB) rollupSettings() []rollup.Setting {
	r := db.reloadable.Load()
	var out []rollup.Setting
	for _, x := range r.Rollups {
		after := x.After
		if after == 0 {
			after = r.OutOfOrderWindow + rollupDelay
		}
		out = append(out, rollup.Setting{Resolution: x.Resolution.Milliseconds(), After: after.Milliseconds(), Keep: x.Retention.Milliseconds()})
	}
	return out
}

// maker makes rollups of the blocks of a list. Who has it holds working, so that
// they stay.
type maker struct {
	db           *DB
	list         *blockList
	raw, rollups []rollup.Info
}

// make makes a rollup and puts it into the place of those that it replaces. It
// ends what beginWriting began.
func (m *maker) make(ctx context.Context, job *rollup.Job) error {
	start := time.Now()
	for _, r := range m.list.all() {
		if !r.Acquire() {
			m.db.blocks.abandon()
			return block.ErrClosed
		}
		defer r.Release()
	}
	places := rollup.Places{
		Rollups: make([]scan.Block, len(m.list.rollups)),
		Samples: func(mint, maxt int64) compact.Source { return blocksSource(m.list.samples, mint, maxt) },
	}
	var old []*block.Reader
	for i, r := range m.list.rollups {
		places.Rollups[i] = scan.Block{Reader: r, Tombstones: r.Tombstones(), Number: 1}
		if slices.Contains(job.Replaces, r.Meta().ULID) {
			old = append(old, r)
		}
	}
	meta, err := rollup.Write(ctx, m.db.target(m.db.dir), job, m.raw, m.rollups, places)
	if err != nil {
		m.db.blocks.abandon()
		return err
	}
	if err := m.db.blocks.publish(ctx, []ulid.ULID{meta.ULID}, old, noTime); err != nil {
		return err
	}
	m.db.opts.Logger.Info("rollup was made", "block", meta.ULID, "resolution", time.Duration(job.Resolution)*time.Millisecond,
		"mint", meta.MinTime, "maxt", meta.MaxTime, "series", meta.Stats.NumSeries, "buckets", meta.Stats.NumSamples, "took", time.Since(start))
	return nil
}

// blocksSource is the samples of blocks with mint <= t <= maxt. Blocks that were
// made later win where two have a sample at the same time.
func blocksSource(list []*block.Reader, mint, maxt int64) compact.Source {
	var sources []compact.Source
	ordered := slices.SortedFunc(slices.Values(list), func(a, b *block.Reader) int { return b.Meta().ULID.Compare(a.Meta().ULID) })
	for i, r := range ordered {
		if m := r.Meta(); m.MinTime <= maxt && m.MaxTime > mint {
			sources = append(sources, compact.BlockSource(r, uint32(i+1), mint, maxt))
		}
	}
	return compact.Union(sources...)
}

// rollupsOver returns the rollups that are older than the retention of their
// resolution.
func (db *DB) rollupsOver(newest int64) []*block.Reader {
	var old []*block.Reader
	for _, s := range db.rollupSettings() {
		for _, r := range db.blocks.list.Load().rollups {
			if m := r.Meta(); m.ResolutionMillis == s.Resolution && s.Keep > 0 && newest > math.MinInt64+s.Keep && m.MaxTime <= newest-s.Keep {
				old = append(old, r)
			}
		}
	}
	return old
}
