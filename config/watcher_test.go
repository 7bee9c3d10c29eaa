package config

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// watch runs a watcher over a file in virtual time; step lets one interval
// pass and returns how many reloads it caused.
func watch(t *testing.T, opts WatcherOptions, body func(w *Watcher, step func() int)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var reloads atomic.Int64
		reload := opts.Reload
		opts.Reload = func(ctx context.Context) (string, error) {
			reloads.Add(1)
			return reload(ctx)
		}
		w, err := NewWatcher(opts)
		require.NoError(t, err)
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		body(w, func() int {
			before := reloads.Load()
			time.Sleep(w.opts.Interval)
			synctest.Wait()
			return int(reloads.Load() - before)
		})
		cancel()
		require.NoError(t, <-done)
	})
}

func TestWatcherReloadsOncePerChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yml")
	src := Source{Path: path}
	write(t, path, "global: {}")
	sum := func() (string, error) { return Checksum(src) }
	first, err := sum()
	require.NoError(t, err)
	reload := func(context.Context) (string, error) { return sum() }
	watch(t, WatcherOptions{Source: src, Checksum: first, Reload: reload}, func(w *Watcher, step func() int) {
		require.Equal(t, defaultWatchInterval, w.opts.Interval)
		require.Equal(t, 0, step())
		write(t, path, "global: {scrape_interval: 1s}")
		require.Equal(t, 1, step())
		require.Equal(t, 0, step())
		// Same content with a new modification time is no change.
		require.NoError(t, os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)))
		require.Equal(t, 0, step())
		// A reload by another way is not repeated.
		write(t, path, "global: {scrape_interval: 2s}")
		other, err := sum()
		require.NoError(t, err)
		w.Applied(other)
		require.Equal(t, 0, step())
	})
}

func TestWatcherRepeatsFailedReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yml")
	write(t, path, "global: {")
	src := Source{Path: path}
	reload := func(context.Context) (string, error) {
		c, err := Load(src, Options{})
		if err != nil {
			return "", err
		}
		return c.Checksum, nil
	}
	watch(t, WatcherOptions{Source: src, Interval: time.Second, Checksum: "older", Reload: reload}, func(_ *Watcher, step func() int) {
		require.Equal(t, 1, step())
		require.Equal(t, 1, step())
		write(t, path, "global: {}")
		require.Equal(t, 1, step())
		require.Equal(t, 0, step())
	})
}

func TestWatcherReportsUnreadableFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yml")
	src := Source{Path: path}
	var log lockedBuffer
	opts := WatcherOptions{
		Source: src, Interval: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Reload: func(context.Context) (string, error) { return Checksum(src) },
	}
	watch(t, opts, func(w *Watcher, step func() int) {
		require.Equal(t, minWatchInterval, w.opts.Interval)
		require.Equal(t, 0, step())
		require.Equal(t, 0, step())
		require.Equal(t, 1, strings.Count(log.String(), "cannot be checked"))
		write(t, path, "global: {}")
		require.Equal(t, 1, step())
		require.NoError(t, os.Remove(path))
		require.Equal(t, 0, step())
		require.Equal(t, 2, strings.Count(log.String(), "cannot be checked"))
	})
}

func TestNewWatcherNeedsReload(t *testing.T) {
	_, err := NewWatcher(WatcherOptions{})
	require.Error(t, err)
	_, err = NewWatcher(WatcherOptions{Reload: func(context.Context) (string, error) { return "", errors.New("x") }})
	require.NoError(t, err)
}

// lockedBuffer is a buffer for a log that is read while it is written.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
