package head

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// ReplayStatus is how far reading the log is.
type ReplayStatus struct {
	// Done and Total are bytes of the log.
	Done, Total int64
	// Segment is the segment being read, 0 for the checkpoint.
	Segment uint64
	Elapsed time.Duration
	// Open says that the head takes samples.
	Open bool
	// Ended says that nothing more is read.
	Ended bool
}

// replay reads the log at start, in two passes. The first one (see scan) reads what
// series and groups there are and how new the newest sample is. Then the head takes new
// samples, while the second one (see rows) reads the samples.
//
// New samples never meet old ones, because of three rules. A group of the log gets no
// new rows: its owner is gone. A sample that is newer than every sample of the log is
// newer than all of its series, whether those have been read or not; one that is not
// waits for the end of the replay. And what changes samples that are there (Delete,
// Truncate, Checkpoint) waits for it, too.
type replay struct {
	head  *Head
	start time.Time
	// workers is how many goroutines work beside the one that reads.
	workers int

	ctx    context.Context // ends when the head is closed
	cancel context.CancelFunc
	// ended is closed when the second pass has ended; aborted says that it did not
	// get to the end of the log.
	ended   chan struct{}
	aborted atomic.Bool
	// until is the time of the newest sample of the log, minTime after the replay:
	// samples that are not newer have to wait.
	until atomic.Int64

	// firstSegment is that of this run: those before it are read. lastGroup is the
	// last group that the log has.
	firstSegment, lastGroup uint64
	defs                    definitions
	// damages are the places that the first pass has reported.
	damages map[recordPlace]struct{}
	logged  atomic.Int32
	// done and total are the progress in bytes.
	done, total atomic.Int64
}

// recordPlace is where a record, or a damage, begins.
type recordPlace struct {
	file   string
	offset int64
}

// loggedDamages bounds the lines in the log about records that make no sense.
const loggedDamages = 20

// errUnknown says that a record refers to what the log has not defined, or
// whose definition was damaged.
var errUnknown = errors.New("record refers to something that is not defined")

// beginReplay reads what the log defines and opens it for writing. The caller
// calls run then.
func (h *Head) beginReplay(opts wal.Options) (*replay, error) {
	r := &replay{
		head: h, start: time.Now(), workers: max(1, runtime.GOMAXPROCS(0)),
		ended: make(chan struct{}), damages: map[recordPlace]struct{}{},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if err := r.scan(opts.Metrics); err != nil {
		r.cancel()
		return nil, fmt.Errorf("replay log: %w", err)
	}
	h.reg.beginRun()
	var err error
	if h.log, err = wal.Open(h.opts.FS, h.opts.Dir, opts); err != nil {
		r.cancel()
		return nil, err
	}
	r.firstSegment = h.log.First()
	h.metrics.replayOpenSeconds.Set(time.Since(r.start).Seconds())
	h.opts.Logger.Info("definitions of the log were read, new samples are taken",
		"series", h.reg.count.Load(), "took", time.Since(r.start), "log_bytes", r.total.Load())
	return r, nil
}

// run reads the samples and ends the replay.
func (r *replay) run() {
	defer r.cancel() // nothing waits for it any more
	if err := r.rows(); err != nil {
		r.head.opts.Logger.Error("reading the log ended early", "err", err)
	}
	h := r.head
	if r.aborted.Load() {
		h.opts.Logger.Info("replay of the log was broken off")
	} else {
		h.metrics.replaySeconds.Set(time.Since(r.start).Seconds())
		h.opts.Logger.Info("log was replayed", "series", h.reg.count.Load(), "took", time.Since(r.start), "log_bytes", r.total.Load())
	}
	if !r.aborted.Load() { // else nothing may be compared with what was read
		r.done.Store(r.total.Load())
		r.until.Store(minTime)
	}
	r.report(h.log.Segment(), true)
	close(r.ended)
}

// reader opens the log. Damages that were reported before are not reported again.
func (r *replay) reader(opts wal.ReaderOptions) (*wal.Reader, error) {
	opts.OnDamage = func(d wal.Damage) {
		at := recordPlace{d.File, d.Offset}
		if _, known := r.damages[at]; known {
			return
		}
		r.damages[at] = struct{}{}
		r.head.metrics.damagedRecords.Inc()
		r.head.opts.Logger.Warn("damaged part of the log was passed over", "err", d)
	}
	return wal.OpenReader(r.head.opts.FS, r.head.opts.Dir, opts)
}

// report tells the progress.
func (r *replay) report(segment uint64, ended bool) {
	if r.head.opts.OnReplay == nil {
		return
	}
	r.head.opts.OnReplay(ReplayStatus{
		Done: r.done.Load(), Total: r.total.Load(), Segment: segment, Elapsed: time.Since(r.start),
		Open: r.firstSegment > 0, Ended: ended,
	})
}

// unusable reports a record that makes no sense; it costs itself.
func (r *replay) unusable(file string, offset int64, typ wal.Type, err error) {
	r.head.metrics.damagedRecords.Inc()
	if r.logged.Add(1) <= loggedDamages {
		r.head.opts.Logger.Warn("log record cannot be used and was passed over", "file", file, "offset", offset, "type", typ.String(), "err", err)
	}
}

// StopReplay breaks off the reading of the log, if it is still going on: Close is to
// follow.
func (h *Head) StopReplay() {
	h.replay.cancel()
	<-h.replay.ended
}

// incomplete returns why the head must not be written anywhere: samples of the log are
// missing in it.
func (r *replay) incomplete() error {
	if r.aborted.Load() {
		return fmt.Errorf("log was not replayed to its end: %w", storage.ErrClosed)
	}
	return nil
}

// partial returns what a querier from mint on has to say if samples may be missing in
// it.
func (r *replay) partial(mint int64) error {
	until := r.until.Load()
	if mint > until || until == minTime {
		return nil
	}
	return fmt.Errorf("the write-ahead log is being replayed (%d of %d bytes): samples up to %s may be missing",
		r.done.Load(), r.total.Load(), time.UnixMilli(until).UTC().Format(time.RFC3339))
}

// await waits until a sample of time t can be judged: at once, unless it is not newer
// than the samples that are still being read. The caller holds no lock.
func (h *Head) await(ctx context.Context, t int64) error {
	if t > h.replay.until.Load() {
		return nil
	}
	return h.WaitReplayed(ctx)
}

// WaitReplayed waits until all of the log has been read. It fails if the reading was
// broken off by Close.
func (h *Head) WaitReplayed(ctx context.Context) error {
	select {
	case <-h.replay.ended:
		return h.replay.incomplete()
	default:
	}
	select {
	case <-h.replay.ended:
		return h.replay.incomplete()
	case <-ctx.Done():
		return ctx.Err()
	}
}
