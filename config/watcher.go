package config

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// defaultWatchInterval and minWatchInterval are those of
// --config.auto-reload-interval.
const (
	defaultWatchInterval = 30 * time.Second
	minWatchInterval     = time.Second
)

// WatcherOptions configure a [Watcher].
type WatcherOptions struct {
	// Source is what to watch.
	Source Source
	// Interval between two looks. 0 means 30s; less than 1s is raised to it.
	Interval time.Duration
	// Checksum is that of the configuration in effect.
	Checksum string
	// Reload is called, one call at a time, when what Source would load is not
	// what is in effect. It returns the checksum of what it put into effect.
	// After an error it is called again at the next look, because what was in
	// the way may lie outside of the watched files. Required.
	Reload func(ctx context.Context) (checksum string, err error)
	// Logger receives one line per change and per spell of unreadable files.
	// Nil discards them. Errors of Reload are Reload's to log.
	Logger *slog.Logger
}

// Watcher looks at the files of a configuration at an interval and asks for a
// reload when their content has changed. It sums contents and does not wait
// for notifications, because those miss what network file systems and the
// symbolic links of mounted Kubernetes volumes do.
type Watcher struct {
	opts WatcherOptions
	mu   struct {
		sync.Mutex
		// applied is the checksum of the configuration in effect.
		applied string
	}
	// unreadable is used by Run only: the last look failed.
	unreadable bool
}

// NewWatcher returns a watcher that does nothing until [Watcher.Run].
func NewWatcher(opts WatcherOptions) (*Watcher, error) {
	if opts.Reload == nil {
		return nil, errors.New("config watcher: no reload function")
	}
	if opts.Interval == 0 {
		opts.Interval = defaultWatchInterval
	}
	opts.Interval = max(opts.Interval, minWatchInterval)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{opts: opts}
	w.mu.applied = opts.Checksum
	return w, nil
}

// Applied tells the watcher the checksum of a configuration that took effect
// by another way, such as a signal. It may be called from any goroutine.
func (w *Watcher) Applied(checksum string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.applied = checksum
}

// Run looks at the files until ctx is done and returns nil then.
func (w *Watcher) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.look(ctx)
		}
	}
}

// look compares the files with what is in effect once.
func (w *Watcher) look(ctx context.Context) {
	sum, err := Checksum(w.opts.Source)
	if err != nil {
		if !w.unreadable {
			w.opts.Logger.Error("configuration cannot be checked for changes", "err", err)
		}
		w.unreadable = true
		return
	}
	w.unreadable = false
	w.mu.Lock()
	same := sum == w.mu.applied
	w.mu.Unlock()
	if same {
		return
	}
	w.opts.Logger.Info("configuration changed, reloading", "file", w.opts.Source.Path)
	if applied, err := w.opts.Reload(ctx); err == nil {
		w.Applied(applied)
	}
}
