package wal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// SyncPolicy says when what was written is made to survive a power loss. Every policy
// survives the death of the process.
type SyncPolicy int

// The policies.
const (
	// SyncInterval syncs every Options.SyncInterval: the default.
	SyncInterval SyncPolicy = iota
	// SyncAlways syncs before Commit returns; the batches of a group commit share the sync.
	SyncAlways
	// SyncNever leaves it to the operating system.
	SyncNever
)

// Options of a Writer. The zero value is good.
type Options struct {
	// SegmentBytes is the size at which a new segment begins; 0 is 128 MiB. A segment is
	// longer by up to one group commit.
	SegmentBytes int64
	// Sync is the policy.
	Sync SyncPolicy
	// SyncInterval is how often SyncInterval syncs; 0 is one second.
	SyncInterval time.Duration
	// Uncompressed leaves out the compression of records that get a quarter smaller by it.
	Uncompressed bool
	// ReservedBytes is how much has to be free on the disk for something to be written, at
	// most a twentieth of the disk; 0 reserves nothing. Checkpoints are written without.
	ReservedBytes int64
	// Origin is written into each segment.
	Origin Origin
	// Logger is told what no caller is told: failed syncs in the background. nil is silent.
	Logger *slog.Logger
	// Metrics counts; nil does not.
	Metrics *Metrics
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentLen
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.SegmentBytes < segmentHeader {
		errs = append(errs, fmt.Errorf("segment size of %d bytes is too small", o.SegmentBytes))
	}
	if o.Sync < SyncInterval || o.Sync > SyncNever {
		errs = append(errs, fmt.Errorf("unknown sync policy %d", o.Sync))
	}
	if o.ReservedBytes < 0 {
		errs = append(errs, fmt.Errorf("reserved space of %d bytes is negative", o.ReservedBytes))
	}
	if o.SyncInterval < 0 {
		errs = append(errs, fmt.Errorf("sync interval %s is negative", o.SyncInterval))
	}
	return errors.Join(errs...)
}

// Writer appends to a log. Its methods may be called from any number of goroutines.
//
// Lock order: pin, then syncing, then mu.
type Writer struct {
	fs   vfs.FS
	dir  string
	kind byte
	opts Options

	first uint64 // The number of the segment that open made.

	// pin is held for reading by every batch from Begin to its end, and for writing by
	// rotation: so a batch knows the segment that it goes to while it is being encoded.
	pin sync.RWMutex

	// current is replaced under pin and syncing, both.
	current atomic.Pointer[segment]
	// broken is set when the end of the current segment is not known to be good: nothing
	// more is written to it.
	broken atomic.Bool
	// doubtful is set when a sync in the background failed: the segment can be written, but a
	// new one had better begin.
	doubtful atomic.Bool
	// dirty says that something was written since the last sync.
	dirty atomic.Bool

	// syncing keeps the current file open while the background syncs it.
	syncing sync.Mutex

	mu struct {
		sync.Mutex
		closed  bool
		leading bool     // A leader is at work.
		queue   []*Batch // Batches that wait for the next group commit.
		spare   []*Batch // Memory for the queue while a leader has its own; empty.
	}

	joined []byte // The leader's: several batches in one piece.
	space  diskSpace

	// finishErr is what went wrong when segments were finished; under syncing.
	finishErr error

	stop context.CancelFunc
	done sync.WaitGroup // The background sync; Add only in open.
}

// Open begins a new segment after those that are in dir, making dir if it is missing, and
// returns a Writer to it. Segments written before are not touched, so that they may be read
// at the same time: give Writer.First to ReaderOptions.Before. If the disk is full, the segment
// is created by the first Commit that finds room.
func Open(fsys vfs.FS, dir string, opts Options) (*Writer, error) {
	l, err := list(fsys, dir)
	if err != nil {
		return nil, err
	}
	return open(fsys, dir, kindLog, l.nextSegment(), opts)
}

func open(fsys vfs.FS, dir string, kind byte, number uint64, opts Options) (*Writer, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	if err := vfs.MkdirAllSync(fsys, dir); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	w := &Writer{fs: fsys, dir: dir, kind: kind, opts: opts, first: number}
	w.space = diskSpace{fs: fsys, dir: dir, reserved: opts.ReservedBytes, logger: opts.Logger, metrics: opts.Metrics}
	if size, err := fsys.DiskSize(dir); err == nil {
		w.space.reserved = min(w.space.reserved, size/20)
	}
	seg := w.newSegment(number)
	if err := w.create(seg); err != nil && (kind != kindLog || !IsDiskFull(w.space.note(err))) {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	w.current.Store(seg)
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	if kind == kindLog && opts.Sync == SyncInterval {
		w.done.Go(func() { w.syncLoop(ctx) })
	}
	return w, nil
}

// newSegment returns a segment without a file.
func (w *Writer) newSegment(number uint64) *segment {
	seg := &segment{number: number}
	seg.size.Store(segmentHeader)
	seg.rotateAt.Store(w.opts.SegmentBytes)
	return seg
}

// create makes the file of a segment.
func (w *Writer) create(seg *segment) (err error) {
	seg.file, err = createSegment(w.fs, w.dir, w.kind, seg.number, w.opts.Origin, w.opts.Sync != SyncNever)
	if err == nil {
		w.opts.Metrics.segmentCurrent.Set(float64(seg.number))
	}
	return err
}

// First is the number of the first segment of this Writer; those below it were there before.
func (w *Writer) First() uint64 { return w.first }

// Segment is the number of the segment that is being written.
func (w *Writer) Segment() uint64 { return w.current.Load().number }

// Begin starts a batch. It pins the current segment, so the batch must soon be ended with
// Commit or Discard; until then no new segment can begin.
func (w *Writer) Begin() *Batch {
	w.pin.RLock()
	b := batches.Get().(*Batch)
	b.w, b.segment = w, w.current.Load().number
	return b
}

// commit writes a batch, together with those that other goroutines commit meanwhile. The
// first to come leads: it writes for all that wait, and hands over to the first of those
// that came in the meantime.
func (w *Writer) commit(b *Batch) error {
	w.mu.Lock()
	if w.mu.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.mu.queue = append(w.mu.queue, b)
	if w.mu.leading {
		w.mu.Unlock()
		if lead := <-b.signal; !lead {
			return b.err
		}
		w.mu.Lock()
	}
	w.mu.leading = true
	group := w.mu.queue
	w.mu.queue, w.mu.spare = w.mu.spare, nil
	w.mu.Unlock()

	err := w.space.note(w.write(group))

	for _, other := range group {
		if other != b {
			other.err = err
			other.signal <- false
		}
	}
	clear(group) // Batches are not kept by it.
	w.mu.Lock()
	w.mu.spare = group[:0]
	var next *Batch
	if len(w.mu.queue) > 0 {
		next = w.mu.queue[0] // It takes itself with the queue.
	} else {
		w.mu.leading = false
	}
	w.mu.Unlock()
	if next != nil {
		next.signal <- true
	}
	return err
}

// write writes a group of batches with one call, and syncs if the policy wants it. After an
// error nothing of the group is in the log.
func (w *Writer) write(group []*Batch) error {
	seg := w.current.Load()
	if w.broken.Load() {
		return fmt.Errorf("log segment %s cannot be written since an earlier failure", seg.name())
	}
	if err := w.space.check(time.Now()); err != nil {
		w.opts.Metrics.writesFailed.Inc()
		return fmt.Errorf("write log: %w", err)
	}
	if seg.file == nil {
		if err := w.create(seg); err != nil {
			w.opts.Metrics.writesFailed.Inc()
			return fmt.Errorf("write log: %w", err)
		}
	}
	number := seg.records
	for _, b := range group {
		number = b.number(number)
	}
	if number > maxSegRecords {
		w.broken.Store(true) // So that a new one begins.
		return fmt.Errorf("log segment %s is full: %d records", seg.name(), seg.records)
	}
	data := group[0].buf
	if len(group) > 1 {
		w.joined = w.joined[:0]
		for _, b := range group {
			w.joined = append(w.joined, b.buf...)
		}
		data = w.joined
	}
	if _, err := seg.file.Write(data); err != nil {
		w.opts.Metrics.writesFailed.Inc()
		return w.cut(seg, fmt.Errorf("write log: %w", err))
	}
	w.dirty.Store(true)
	if w.opts.Sync == SyncAlways && w.kind == kindLog {
		if err := w.syncFile(seg); err != nil {
			// The kernel may have dropped the pages: nothing that follows in this file can be
			// trusted to become durable.
			w.broken.Store(true)
			return w.cut(seg, fmt.Errorf("sync log: %w", err))
		}
	}
	for _, b := range group {
		b.written(seg)
	}
	seg.size.Add(int64(len(data)))
	seg.records = number
	w.opts.Metrics.records.Add(float64(number - group[0].firstNumber))
	w.opts.Metrics.bytes.Add(float64(len(data)))
	return nil
}

// cut takes back what a failed write may have left behind, so that later records do not lie
// behind a torn one. If that fails, too, the segment gets no more records.
func (w *Writer) cut(seg *segment, err error) error {
	if terr := seg.file.Truncate(seg.size.Load()); terr != nil {
		w.broken.Store(true)
		return errors.Join(err, fmt.Errorf("cut log: %w", terr))
	}
	return err
}

func (w *Writer) syncFile(seg *segment) error {
	start := time.Now()
	err := seg.file.Sync()
	w.opts.Metrics.fsync.Observe(time.Since(start).Seconds())
	return err
}

// rotateIfDue begins a new segment if the current one is long enough or broken. The caller
// holds no pin. A failure is logged and tried again later: the old segment serves on.
func (w *Writer) rotateIfDue() {
	seg := w.current.Load()
	if seg.size.Load() < seg.rotateAt.Load() && !w.broken.Load() && !w.doubtful.Load() {
		return
	}
	w.pin.Lock()
	defer w.pin.Unlock()
	if w.current.Load() != seg || w.isClosed() {
		return
	}
	if _, err := w.rotatePinned(); err != nil {
		seg.rotateAt.Store(seg.size.Load() + w.opts.SegmentBytes/8)
		w.doubtful.Store(false) // Until the next sync fails.
		w.opts.Logger.Error("log segment could not be replaced", "segment", seg.number, "err", err)
	}
}

// Rotate begins a new segment and returns its number: every batch that was committed before
// lies in a segment below it. It waits for the batches that were begun.
func (w *Writer) Rotate() (number uint64, err error) {
	w.pin.Lock()
	defer w.pin.Unlock()
	if w.isClosed() {
		return 0, ErrClosed
	}
	return w.rotatePinned()
}

// rotatePinned replaces the current segment. The caller holds pin for writing.
func (w *Writer) rotatePinned() (number uint64, err error) {
	old := w.current.Load()
	seg := w.newSegment(old.number + 1)
	if err := w.create(seg); err != nil {
		return 0, err
	}
	w.syncing.Lock()
	defer w.syncing.Unlock()
	w.finish(old)
	w.current.Store(seg)
	w.broken.Store(false)
	w.doubtful.Store(false)
	return seg.number, nil
}

// finish syncs and closes a segment. Its records have been acknowledged, so a failure is
// only logged: they are lost if the power is lost now. The caller holds syncing.
func (w *Writer) finish(seg *segment) {
	if seg.file == nil {
		return
	}
	var err error
	if w.opts.Sync != SyncNever && w.dirty.Swap(false) {
		err = w.syncFile(seg)
	}
	if err = errors.Join(err, seg.file.Close()); err != nil {
		w.opts.Logger.Error("log segment could not be closed", "segment", seg.number, "err", err)
		w.finishErr = errors.Join(w.finishErr, fmt.Errorf("close segment %d: %w", seg.number, err))
	}
}

func (w *Writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.closed
}

// Sync makes everything that was committed before durable, whatever the policy.
func (w *Writer) Sync() error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if w.isClosed() {
		return ErrClosed
	}
	seg := w.current.Load()
	if !w.dirty.Swap(false) {
		return nil
	}
	if err := w.syncFile(seg); err != nil {
		// It is tried again when the segment is finished. But the kernel may have dropped the
		// pages, and then say that there is nothing to sync: so that is to be soon.
		w.dirty.Store(true)
		w.doubtful.Store(true)
		return fmt.Errorf("sync log: %w", err)
	}
	return nil
}

func (w *Writer) syncLoop(ctx context.Context) {
	ticker := time.NewTicker(w.opts.SyncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.Sync(); err != nil {
			w.opts.Logger.Error("log could not be synced", "err", err)
			w.rotateIfDue()
		}
	}
}

// Truncate removes the segments below number; the current one stays in any case. Segments
// that a Reader has open may be removed on systems that allow it.
func (w *Writer) Truncate(number uint64) error {
	w.opts.Metrics.truncations.Inc()
	err := removeSegments(w.fs, w.dir, min(number, w.Segment()))
	if err != nil {
		w.opts.Metrics.truncationsFailed.Inc()
		return fmt.Errorf("truncate log: %w", err)
	}
	return nil
}

func removeSegments(fsys vfs.FS, dir string, below uint64) error {
	l, err := list(fsys, dir)
	if err != nil {
		return err
	}
	// Oldest first, so that what is left has no hole if this ends early.
	for _, n := range l.segments {
		if n >= below {
			break
		}
		if err := fsys.Remove(filepath.Join(dir, segmentName(n))); err != nil {
			return err
		}
	}
	return fsys.SyncDir(dir)
}

// Size is the number of bytes that the log takes on disk, checkpoint included.
func (w *Writer) Size() (int64, error) { return dirSize(w.fs, w.dir) }

// Sizes are the bytes of the newest checkpoint, and of the segments, which have what came
// after it.
func (w *Writer) Sizes() (checkpoint, segments int64, err error) {
	l, err := list(w.fs, w.dir)
	if err != nil {
		return 0, 0, err
	}
	for _, n := range l.segments {
		info, err := w.fs.Stat(filepath.Join(w.dir, segmentName(n)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // It may be removed meanwhile.
			return 0, 0, fmt.Errorf("size of log: %w", err)
		}
		segments += info.Size
	}
	if cp, ok := l.latestCheckpoint(); ok {
		if checkpoint, err = dirSize(w.fs, filepath.Join(w.dir, checkpointName(cp))); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return checkpoint, segments, err
}

func dirSize(fsys vfs.FS, dir string) (int64, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("size of log: %w", err)
	}
	total := int64(0)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name)
		if e.IsDir {
			n, err := dirSize(fsys, name)
			if err != nil {
				return 0, err
			}
			total += n
			continue
		}
		info, err := fsys.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Removed meanwhile.
		}
		if err != nil {
			return 0, fmt.Errorf("size of log: %w", err)
		}
		total += info.Size
	}
	return total, nil
}

// Close waits for the batches that were begun, syncs and closes the log. Batches begun later
// fail with ErrClosed. Closing twice is harmless.
func (w *Writer) Close() error {
	// Before pin is taken: the background takes it, too, when a sync failed.
	w.stop()
	w.done.Wait()
	w.pin.Lock()
	defer w.pin.Unlock()
	w.mu.Lock()
	closed := w.mu.closed
	w.mu.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	w.syncing.Lock()
	defer w.syncing.Unlock()
	w.finish(w.current.Load())
	return w.finishErr
}
