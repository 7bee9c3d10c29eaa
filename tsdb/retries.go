package tsdb

import (
	"context"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// Maintenance that failed is tried again after a minute, and after twice as long
// each time it fails again, up to the longest.
const (
	firstRetry   = time.Minute
	longestRetry = 15 * time.Minute
)

// retries says when what failed is tried again, by its name. Names that do not
// fail have no entry, so that there are no more than steps and blocks. It is
// guarded by DB.working.
type retries map[string]retry

type retry struct {
	failures int
	at       time.Time
}

// due reports whether something may be tried.
func (r retries) due(name string, now time.Time) bool { return !now.Before(r[name].at) }

// succeeded forgets what failed before.
func (r retries) succeeded(name string) { delete(r, name) }

// failed notes a failure, and returns after how long to try again.
func (r retries) failed(name string, now time.Time) (wait time.Duration, failures int) {
	failures = r[name].failures + 1
	wait = longestRetry
	if doubled := failures - 1; doubled < 10 {
		wait = min(firstRetry<<doubled, longestRetry)
	}
	r[name] = retry{failures, now.Add(wait)}
	return wait, failures
}

// keep forgets those that are not wanted any more.
func (r retries) keep(wanted func(name string) bool) {
	for name := range r {
		if !wanted(name) {
			delete(r, name)
		}
	}
}

// step is a part of the maintenance. It fails as a whole, and then does not keep
// the others from being done.
type step struct {
	name string
	run  func(context.Context) error
}

// The steps that are tried again after a while if they fail. What is done with
// single blocks is tried again by block instead: see compactAll and reclaim.
const (
	stepCut        = "cut"
	stepStale      = "stale series"
	stepCheckpoint = "checkpoint"
	stepRollups    = "rollups"
	stepExpire     = "retention rules"
	stepRetention  = "retention"
	stepJoin       = "join"
	stepReclaim    = "reclaim"
)

// job is what may fail and is tried again: a step, or what a step does with some
// blocks.
type job struct {
	step  string
	names []string // of the retries: that of the step, or those of the blocks
	run   func(context.Context) error
}

func stepJob(s step) job { return job{s.name, []string{s.name}, s.run} }

func blockJob(step string, ids []ulid.ULID, run func(context.Context) error) job {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	return job{step, names, run}
}

// postponed reports whether something failed and is not to be tried yet.
func (db *DB) postponed(name string) bool {
	return db.patient && !db.retries.due(name, db.opts.Now())
}

// try does a job unless it is postponed, and postpones it if it fails.
func (db *DB) try(ctx context.Context, j job) error {
	if slices.ContainsFunc(j.names, db.postponed) {
		return nil
	}
	err := j.run(ctx)
	if ctx.Err() != nil {
		return err
	}
	if err == nil {
		for _, name := range j.names {
			db.retries.succeeded(name)
		}
		return nil
	}
	db.metrics.maintenanceFailed.WithLabelValues(j.step).Inc()
	var wait time.Duration
	failures := 0
	for _, name := range j.names {
		w, n := db.retries.failed(name, db.opts.Now())
		wait, failures = max(wait, w), max(failures, n)
	}
	if db.patient {
		db.opts.Logger.Error("maintenance of the database failed and is tried again later", "step", j.step, "failures", failures, "in", wait, "err", err)
	}
	return err
}

// forgetRetries forgets blocks that are gone.
func (db *DB) forgetRetries() {
	blocks := map[string]bool{}
	for _, r := range db.blocks.readers() {
		blocks[r.Meta().ULID.String()] = true
	}
	db.retries.keep(func(name string) bool {
		_, err := ulid.ParseStrict(name)
		return err != nil || blocks[name]
	})
	db.postponedJobs.Store(int64(len(db.retries)))
}
