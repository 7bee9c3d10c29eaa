package head

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// minTime and maxTime stand for no sample at all.
const (
	minTime = math.MinInt64
	maxTime = math.MaxInt64
)

// Options configure a head.
type Options struct {
	// Logger gets what no caller is told; nil is none.
	Logger *slog.Logger
	// Registerer gets the metrics; nil is none.
	Registerer prometheus.Registerer
	// FS and Dir say where the log is. FS is required.
	FS  vfs.FS
	Dir string
	// WAL configures the log; its Logger and Metrics are filled in.
	WAL wal.Options
	// Older answers for samples in blocks; nil is none.
	Older Older
	// Changes is told of what is appended; nil is nobody.
	Changes *Changes
	// OnReplay is told of the progress of reading the log, by Open and by the
	// background; nil is not.
	OnReplay func(ReplayStatus)
	// Background has Open return as soon as samples can be taken: what the log
	// has appears in queries as it is read. See Head.WaitReplayed.
	Background bool
	// Settings are those that Apply can change.
	Settings Settings
}

// Settings can change while the head is open.
type Settings struct {
	// Window is how much older than the newest sample of the store a sample may
	// be, milliseconds; 0 admits none that is older than the newest one of its
	// series.
	Window int64
	// Retention refuses samples that are older than this, compared with the
	// newest sample of the store, milliseconds; 0 is no bound.
	Retention int64
	Limits
	// MaxExemplars is how many exemplars are kept.
	MaxExemplars int
}

// Head is what is not in a block yet. It implements storage.Writer; see the
// package comment. Its methods can be used by any number of goroutines.
//
// Lock order: life, maintenance, group.mu, transactions.commit, series.mu,
// group.rmu. Two groups are never locked at once, nor two series.
type Head struct {
	opts    Options
	log     *wal.Writer
	metrics *metrics
	reg     *registry
	txns    *transactions
	older   Older

	settings  atomic.Pointer[Settings]
	retention atomic.Int64
	exemplars *exemplarRing
	families  families
	refusals  refusals

	// minTime and maxTime bound the samples that the head has or had.
	minTime, maxTime atomic.Int64
	// boundary is where the head was cut: what is older goes the late way.
	boundary atomic.Int64
	// staleEnd is the time of the newest sample of the stale series that left.
	staleEnd atomic.Int64
	// deletions counts calls of Delete.
	deletions atomic.Uint64

	// open is set when Open is done with the log's definitions.
	open atomic.Bool
	// replay is how the log is, or was, read.
	replay *replay

	// life is held for reading by every call that writes.
	life   sync.RWMutex
	closed atomic.Bool // set under life

	// maintenance is held by Delete, Truncate and Checkpoint.
	maintenance sync.Mutex

	groups struct {
		sync.Mutex
		byID map[uint64]*group
		last uint64
	}
}

// noOlder is the Older of a head without blocks.
type noOlder struct{}

func (noOlder) Newest(labels.Labels) (int64, bool, error) { return 0, false, nil }

func (noOlder) At(labels.Labels, int64) (batch.Sample, bool, error) {
	return batch.Sample{}, false, nil
}

// Open reads the log and opens the head for writing. What the log had of open
// groups is closed: their owners are gone. See Options.Background.
func Open(opts Options) (*Head, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Changes == nil {
		opts.Changes = NewChanges()
	}
	h := &Head{opts: opts, reg: newRegistry(), txns: newTransactions(), older: opts.Older}
	if h.older == nil {
		h.older = noOlder{}
	}
	h.minTime.Store(maxTime)
	h.maxTime.Store(minTime)
	h.boundary.Store(minTime)
	h.staleEnd.Store(minTime)
	h.groups.byID = map[uint64]*group{}
	h.metrics = newMetrics(h, opts.Registerer)
	h.exemplars = newExemplarRing(opts.Settings.MaxExemplars)
	h.Apply(opts.Settings)
	walOpts := opts.WAL
	walOpts.Logger, walOpts.Metrics = opts.Logger, h.metrics.logMetrics()
	r, err := h.beginReplay(walOpts)
	if err != nil {
		h.metrics.unregister()
		return nil, err
	}
	h.replay = r
	h.open.Store(true)
	if opts.Background {
		go r.run() // Close waits for it
	} else {
		r.run()
	}
	return h, nil
}

// Apply changes the settings.
func (h *Head) Apply(s Settings) {
	h.settings.Store(&s)
	h.retention.Store(s.Retention)
	h.exemplars.resize(s.MaxExemplars)
}

func (h *Head) window() int64 { return h.settings.Load().Window }

// running keeps the head open until done. It fails when it is closed.
func (h *Head) running() error {
	h.life.RLock()
	if h.closed.Load() {
		h.life.RUnlock()
		return fmt.Errorf("head: %w", storage.ErrClosed)
	}
	return nil
}

func (h *Head) done() { h.life.RUnlock() }

// Close waits for running calls and closes the log. Open queriers stay valid. If the
// log is still being read, that ends early; what was written meanwhile is kept.
func (h *Head) Close() error {
	h.StopReplay()
	h.life.Lock()
	defer h.life.Unlock()
	if h.closed.Load() {
		return storage.ErrClosed
	}
	h.closed.Store(true)
	h.metrics.unregister()
	return h.log.Close()
}

// OpenGroup makes a group.
func (h *Head) OpenGroup(opts storage.GroupOptions) (storage.Group, error) {
	if err := h.running(); err != nil {
		return nil, err
	}
	defer h.done()
	h.groups.Lock()
	defer h.groups.Unlock()
	h.groups.last++
	g := newGroup(h, h.groups.last, opts.Origin)
	h.groups.byID[g.id] = g
	return g, nil
}

// allGroups returns the groups there are, in no order.
func (h *Head) allGroups() []*group {
	h.groups.Lock()
	defer h.groups.Unlock()
	out := make([]*group, 0, len(h.groups.byID))
	for _, g := range h.groups.byID {
		out = append(out, g)
	}
	return out
}

// acquire returns the series with the labels, made if it is new, acquired.
func (h *Head) acquire(ls labels.Labels) (s *series, created bool, err error) {
	if s := h.reg.get(ls); s != nil {
		return s, false, nil
	}
	if err := checkLabels(ls); err != nil {
		return nil, false, err
	}
	if err := h.admit(ls); err != nil {
		return nil, false, err
	}
	s, created = h.reg.getOrCreate(ls)
	return s, created, nil
}

// observeTime widens the head's range.
func (h *Head) observeTime(t int64) { h.observe(t, t) }

// observe widens the head's range so that it has low and high.
func (h *Head) observe(low, high int64) {
	for now := h.minTime.Load(); low < now && !h.minTime.CompareAndSwap(now, low); now = h.minTime.Load() {
	}
	for now := h.maxTime.Load(); high > now && !h.maxTime.CompareAndSwap(now, high); now = h.maxTime.Load() {
	}
}

// appended counts the samples of a row.
func (h *Head) appended(floats, histograms int, t int64) {
	h.metrics.appended(floats, histograms)
	h.metrics.rows.Inc()
	h.observeTime(t)
}

// logError makes an error of the log one of the contract.
func (h *Head) logError(err error, what string) error {
	switch {
	case errors.Is(err, wal.ErrDiskFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: %w", what, storage.ErrNoSpace, err)
	case errors.Is(err, wal.ErrClosed), errors.Is(err, fs.ErrClosed):
		return fmt.Errorf("%s: %w: %w", what, storage.ErrClosed, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Boundary returns where the head was cut last; math.MinInt64 if it never was.
func (h *Head) Boundary() int64 { return h.boundary.Load() }

// SetBoundary says that samples older than t are cut from the head, or about to
// be: from its return on no row older than t goes to the columns of a group.
// Such samples become loose ones, if they are admitted.
func (h *Head) SetBoundary(t int64) {
	h.boundary.Store(max(t, h.boundary.Load()))
	h.awaitAppends()
}

// isLate reports whether blocks may have samples of a series that are as new as
// t and not in the head any more.
func (h *Head) isLate(t int64) bool { return t < h.boundary.Load() || t <= h.staleEnd.Load() }

// awaitAppends waits for the rows that are being appended.
func (h *Head) awaitAppends() {
	for _, g := range h.allGroups() {
		g.mu.Lock()
		//lint:ignore SA2001 an append that saw the old boundary ends first
		g.mu.Unlock()
	}
}

// MinTime and MaxTime bound the samples in the head; MinTime is math.MaxInt64
// and MaxTime math.MinInt64 if there are none.
func (h *Head) MinTime() int64 { return h.minTime.Load() }

// MaxTime returns the time of the newest sample that the head has or had.
func (h *Head) MaxTime() int64 { return h.maxTime.Load() }

// ObserveNewest tells the head the time of the newest sample in blocks, from
// which the out-of-order window counts.
func (h *Head) ObserveNewest(t int64) { h.observe(maxTime, t) }
