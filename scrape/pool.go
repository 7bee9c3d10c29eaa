package scrape

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// pool has the targets of one job and their loops. All methods can be called
// from any goroutine.
//
// Lock order: syncing before mu.
type pool struct {
	opts    Options
	store   storage.Writer
	metrics *metrics
	log     *slog.Logger
	seed    uint64 // of the offsets
	ctx     context.Context
	// loopsDone counts the running loops. Add is called with mu held, and not
	// after the manager waits for it.
	loopsDone *sync.WaitGroup

	// syncing serialises sync and reload; relabelling happens under it alone.
	syncing sync.Mutex
	groups  []*targetgroup.Group // the last ones, guarded by syncing

	mu         sync.Mutex
	job        *config.ScrapeConfig
	clients    *clients
	failureLog *failureLog
	// seriesLimit is that of a target, 0 for none.
	seriesLimit int
	refusal     error            // too many targets
	loops       map[uint64]*loop // by the hash of their target
	retired     map[string]*loop // by the identity of their target
	dropped     []*Target        // as many as keep_dropped_targets
	nDropped    int
}

// newPool returns a pool without targets. clients come from newClients for the
// same job.
func (m *Manager) newPool(ctx context.Context, job *config.ScrapeConfig, c *clients) *pool {
	p := &pool{
		opts: m.opts, store: m.store, metrics: m.metrics, log: m.opts.Logger.With("scrape_pool", job.JobName),
		seed: m.seed, ctx: ctx, loopsDone: &m.loopsDone,
		job: job, clients: c, failureLog: m.failureLogs[job.ScrapeFailureLogFile], seriesLimit: m.limits.of(job.JobName),
		loops: map[uint64]*loop{}, retired: map[string]*loop{},
	}
	p.metrics.targetLimit.WithLabelValues(job.JobName).Set(float64(job.TargetLimit))
	p.metrics.seriesLimit.WithLabelValues(job.JobName).Set(float64(p.seriesLimit))
	return p
}

// checkJob returns what is wrong with a job that the configuration file's own
// checks do not find.
func checkJob(job *config.ScrapeConfig) error {
	if _, err := config.ToEscapingScheme(job.MetricNameEscapingScheme, job.MetricNameValidationScheme); err != nil {
		return fmt.Errorf("job %q: metric name escaping scheme: %w", job.JobName, err)
	}
	return nil
}

// sync makes the targets of the groups those of the pool.
func (p *pool) sync(groups []*targetgroup.Group) {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	p.groups = groups
	p.syncLocked()
}

// syncLocked is sync with syncing held.
func (p *pool) syncLocked() {
	start := time.Now()
	p.mu.Lock()
	job := p.job
	p.mu.Unlock()

	var active, dropped []*Target
	nDropped, nFailed := 0, 0
	lb := labels.NewBuilder(labels.EmptyLabels())
	for _, g := range p.groups {
		targets, failures := targetsFromGroup(g, job, lb)
		nFailed += len(failures)
		for _, err := range failures {
			p.log.Error("a target was left out", "err", err)
		}
		for _, t := range targets {
			if !t.labels.IsEmpty() {
				active = append(active, t)
				continue
			}
			nDropped++
			if job.KeepDroppedTargets == 0 || uint(len(dropped)) < job.KeepDroppedTargets {
				dropped = append(dropped, t)
			}
		}
	}
	p.setTargets(active, dropped, nDropped)

	p.metrics.syncFailures.WithLabelValues(job.JobName).Add(float64(nFailed))
	p.metrics.syncSeconds.WithLabelValues(job.JobName).Observe(since(start).Seconds())
	p.metrics.syncHistogram.WithLabelValues(job.JobName).Observe(since(start).Seconds())
	p.metrics.syncs.WithLabelValues(job.JobName).Inc()
}

// setTargets starts, changes and retires loops so that there is one for each of
// the active targets.
func (p *pool) setTargets(active, dropped []*Target, nDropped int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped, p.nDropped = dropped, nDropped

	next := make(map[uint64]*loop, len(active))
	sockets := map[string]bool{}
	var unknown []*Target
	for _, t := range active {
		sockets[t.labels.Get(unixSocketLabel)] = true
		if _, twice := next[t.hash]; twice {
			continue
		}
		l := p.loops[t.hash]
		if l != nil {
			l.target().refresh(t)
		} else {
			unknown = append(unknown, t)
		}
		next[t.hash] = l
	}
	for hash, l := range p.loops {
		if _, ok := next[hash]; !ok {
			l.update(l.settings.Load().retire())
			p.retired[l.target().identity()] = l
		}
	}
	p.limitTargets(len(next))
	for _, t := range unknown {
		next[t.hash] = p.loopFor(t)
	}
	p.loops = next
	p.clients.keepSockets(sockets)
	p.metrics.targets.WithLabelValues(p.job.JobName).Set(float64(len(next)))
}

// loopFor returns a loop for a new target: that of a target with the same
// identity that is gone, or a new one.
func (p *pool) loopFor(t *Target) *loop {
	identity := t.identity()
	s := p.newSettings(t)
	if l := p.retired[identity]; l != nil {
		delete(p.retired, identity)
		if l.revive(s) {
			return l
		}
	}
	origin := t.public.Get(model.JobLabel) + "/" + t.public.Get(model.InstanceLabel)
	l := newLoop(newRecorder(p.store, p.metrics, origin), p.metrics, p.log, s)
	p.loopsDone.Go(func() {
		l.run(p.ctx)
		p.forget(l)
	})
	return l
}

// forget drops a loop that ended.
func (p *pool) forget(l *loop) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if identity := l.target().identity(); p.retired[identity] == l {
		delete(p.retired, identity)
	}
	if len(p.loops) == 0 && len(p.retired) == 0 {
		p.clients.closeIdle()
	}
}

// limitTargets refuses all scrapes if there are more than target_limit targets.
func (p *pool) limitTargets(n int) {
	before := p.refusal != nil
	p.refusal = nil
	if limit := p.job.TargetLimit; limit > 0 && uint(n) > limit {
		p.metrics.exceededTargetLimit.Inc()
		p.refusal = markAs(errTargetLimit, fmt.Errorf("target_limit exceeded (number of targets: %d, limit: %d)", n, limit))
	}
	if before || p.refusal != nil {
		p.updateLoops()
	}
}

// updateLoops gives all loops settings for their targets as they are.
func (p *pool) updateLoops() {
	for _, l := range p.loops {
		if !l.settings.Load().retired {
			l.update(p.newSettings(l.target()))
		}
	}
}

// reload changes the configuration of the job. limit is the one on the series of
// a target.
func (p *pool) reload(job *config.ScrapeConfig, c *clients, log *failureLog, limit int) {
	start := time.Now()
	p.syncing.Lock()
	defer p.syncing.Unlock()
	p.metrics.reloads.Inc()

	p.mu.Lock()
	old := p.clients
	p.job, p.clients, p.failureLog, p.seriesLimit = job, c, log, limit
	p.metrics.seriesLimit.WithLabelValues(job.JobName).Set(float64(limit))
	p.metrics.targetLimit.WithLabelValues(job.JobName).Set(float64(job.TargetLimit))
	p.updateLoops()
	p.mu.Unlock()

	// Relabelling may have changed.
	p.syncLocked()
	old.closeIdle()
	p.metrics.reloadSeconds.WithLabelValues(time.Duration(job.ScrapeInterval).String()).Observe(since(start).Seconds())
}

// adjust changes the log of failed scrapes and the limit on the series of a
// target, which may change without the job.
func (p *pool) adjust(log *failureLog, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failureLog != nil || log != nil || p.seriesLimit != limit {
		p.failureLog, p.seriesLimit = log, limit
		p.metrics.seriesLimit.WithLabelValues(p.job.JobName).Set(float64(limit))
		p.updateLoops()
	}
}

// stop retires all loops. They end on their own, unless reload and sync revive
// them.
func (p *pool) stop() {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	p.groups = nil
	p.setTargets(nil, nil, 0)
	p.clients.closeIdle()
	p.metrics.forgetJob(p.job.JobName)
}

// ending reports whether some loop has still to end its series.
func (p *pool) ending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.retired) > 0
}

func (p *pool) active() []*Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets := make([]*Target, 0, len(p.loops))
	for _, l := range p.loops {
		targets = append(targets, l.target())
	}
	return targets
}

func (p *pool) droppedTargets() (targets []*Target, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped, p.nDropped
}

func (p *pool) config() *config.ScrapeConfig {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.job
}
