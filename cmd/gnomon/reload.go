package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/web/api"
)

// applier puts one part of a configuration into effect. A part that did not
// change is left alone by the room itself, which knows best.
type applier struct {
	name  string
	apply func(*config.Config) error
}

// reloader owns the configuration in force.
type reloader struct {
	source  config.Source
	options config.Options
	logger  *slog.Logger
	// check refuses a configuration before any part of it is applied.
	check    func(*config.Config) error
	appliers []applier
	// applied is told the checksum of each configuration that was applied; nil
	// for nobody.
	applied func(checksum string)

	// mu makes reloads one at a time.
	mu      sync.Mutex
	current atomic.Pointer[config.Config]
	state   atomic.Pointer[reloadState]

	// notes tells people that the configuration in force is not the one on
	// disk.
	notes *api.Notifications

	succeeded, succeededAt prometheus.Gauge
}

// noteReloadFailed is the notification after a failed reload.
const noteReloadFailed = "Configuration reload has failed."

// reloadState is the outcome of the last attempt to load.
type reloadState struct {
	ok bool
	// at is when loading last went well.
	at time.Time
}

func newReloader(source config.Source, options config.Options, notes *api.Notifications, reg prometheus.Registerer, logger *slog.Logger) *reloader {
	r := &reloader{
		source: source, options: options, logger: logger, notes: notes,
		succeeded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_config_last_reload_successful",
			Help: "Whether the last configuration reload attempt was successful.",
		}),
		succeededAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_config_last_reload_success_timestamp_seconds",
			Help: "Timestamp of the last successful configuration reload.",
		}),
	}
	r.state.Store(&reloadState{})
	reg.MustRegister(r.succeeded, r.succeededAt)
	return r
}

// load reads the configuration and applies it. On an error the configuration in
// force stays, unless a part could not be applied after others were: that is
// named, and the next reload tries again.
func (r *reloader) load(context.Context) (checksum string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := time.Now()
	defer func() { r.record(err, begin) }()
	next, err := config.Load(r.source, r.options)
	if err != nil {
		return "", fmt.Errorf("load the configuration: %w", err)
	}
	if err := r.check(next); err != nil {
		return "", fmt.Errorf("load the configuration: %w", err)
	}
	before := r.current.Load()
	changes := config.Compare(before, next)
	var failed []error
	for _, a := range r.appliers {
		if err := a.apply(next); err != nil {
			failed = append(failed, fmt.Errorf("apply the configuration to %s: %w", a.name, err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return "", err
	}
	r.current.Store(next)
	r.log(before == nil, changes, time.Since(begin))
	if r.applied != nil {
		r.applied(next.Checksum)
	}
	return next.Checksum, nil
}

// reapply applies the configuration in force again to the parts of the names, because
// something else that they depend on has changed. Nothing happens before the first
// configuration was loaded.
func (r *reloader) reapply(names ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := r.current.Load()
	if current == nil {
		return nil
	}
	var failed []error
	for _, a := range r.appliers {
		if slices.Contains(names, a.name) {
			if err := a.apply(current); err != nil {
				failed = append(failed, fmt.Errorf("apply changed objects to %s: %w", a.name, err))
			}
		}
	}
	return errors.Join(failed...)
}

func (r *reloader) log(first bool, changes config.Changes, took time.Duration) {
	message := "configuration reloaded"
	if first {
		message = "configuration loaded"
	}
	r.logger.Info(message, "file", r.name(), "duration", took,
		"jobs_added", strings.Join(changes.Added, " "), "jobs_changed", strings.Join(changes.Changed, " "),
		"jobs_removed", strings.Join(changes.Removed, " "), "jobs_unchanged", len(changes.Unchanged),
		"sections_changed", strings.Join(changes.Sections, " "))
}

// name is the file that the configuration comes from, for people.
func (r *reloader) name() string {
	if c := r.current.Load(); c != nil && c.Path == "" {
		return "(built in)"
	}
	return r.source.Path
}

func (r *reloader) record(err error, at time.Time) {
	state := reloadState{ok: err == nil, at: r.state.Load().at}
	if err != nil {
		r.succeeded.Set(0)
		if r.current.Load() != nil {
			r.logger.Error("configuration not reloaded, the one before stays in force", "err", err)
			r.notes.Set(noteReloadFailed)
		}
	} else {
		state.at = at
		r.notes.Withdraw(noteReloadFailed)
		r.succeeded.Set(1)
		r.succeededAt.Set(float64(at.UnixMilli()) / 1000)
	}
	r.state.Store(&state)
}

// reload is load for those who do not care for the checksum.
func (r *reloader) reload(ctx context.Context) error {
	_, err := r.load(ctx)
	return err
}
