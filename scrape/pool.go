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
	groups  relabelledGroups // guarded by syncing
	synced  bool             // guarded by syncing: groups are those of a delivery

	mu         sync.Mutex
	job        *config.ScrapeConfig
	clients    *clients
	failureLog *failureLog
	// seriesLimit is that of a target, 0 for none.
	seriesLimit int
	refusal     error            // too many targets
	loops       map[uint64]*loop // by the hash of their target
	// again counts the further targets with the hash of one, if there are any:
	// several groups may have the same.
	again   map[uint64]int
	retired map[string]*loop // by the identity of their target
}

// newPool returns a pool without targets. clients come from newClients for the
// same job.
func (m *Manager) newPool(ctx context.Context, job *config.ScrapeConfig, c *clients) *pool {
	p := &pool{
		opts: m.opts, store: m.store, metrics: m.metrics, log: m.opts.Logger.With("scrape_pool", job.JobName),
		seed: m.seed, ctx: ctx, loopsDone: &m.loopsDone,
		job: job, clients: c, failureLog: m.failureLogs[job.ScrapeFailureLogFile], seriesLimit: m.limits.of(job.JobName),
		loops: map[uint64]*loop{}, again: map[uint64]int{}, retired: map[string]*loop{},
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

// sync makes the targets of the groups those of the pool. Groups at the same
// address as before have the same content.
func (p *pool) sync(groups []*targetgroup.Group) {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	if p.synced && p.groups.same(groups) {
		return
	}
	p.syncLocked(groups, nil)
}

// syncLocked is sync with syncing held. removed has the targets of groups that are
// gone already.
func (p *pool) syncLocked(groups []*targetgroup.Group, removed []*groupTargets) {
	start := time.Now()
	p.synced = true
	p.mu.Lock()
	job := p.job
	p.mu.Unlock()

	lb := labels.NewBuilder(labels.EmptyLabels())
	relabel := func(g *targetgroup.Group) *groupTargets { return p.relabel(g, job, lb) }
	added, gone := p.groups.replace(groups, relabel)
	if limit := job.KeepDroppedTargets; limit > 0 {
		p.groups.keepDropped(int(limit), relabel)
	}
	p.setTargets(added, append(removed, gone...))

	p.metrics.syncFailures.WithLabelValues(job.JobName).Add(float64(p.groups.nFailed))
	p.metrics.syncSeconds.WithLabelValues(job.JobName).Observe(since(start).Seconds())
	p.metrics.syncHistogram.WithLabelValues(job.JobName).Observe(since(start).Seconds())
	p.metrics.syncs.WithLabelValues(job.JobName).Inc()
}

// relabel makes the targets of a group.
func (p *pool) relabel(g *targetgroup.Group, job *config.ScrapeConfig, lb *labels.Builder) *groupTargets {
	targets, failures := targetsFromGroup(g, job, lb)
	for _, err := range failures {
		p.log.Error("a target was left out", "err", err)
	}
	made := &groupTargets{nFailed: len(failures)}
	for _, t := range targets {
		if t.labels.IsEmpty() {
			made.dropped = append(made.dropped, t)
			continue
		}
		made.active = append(made.active, t)
		made.hashes = append(made.hashes, t.hash)
	}
	made.nDropped = len(made.dropped)
	return made
}

// setTargets starts, changes and retires loops for what the groups add and remove.
func (p *pool) setTargets(added, removed []*groupTargets) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What is added comes first: most of what a group had it has again.
	var unknown []*Target
	fresh := map[uint64]bool{}
	for _, made := range added {
		for _, t := range made.active {
			l := p.loops[t.hash]
			switch {
			case l != nil:
				l.target().refresh(t)
				p.again[t.hash]++
			case fresh[t.hash]:
				p.again[t.hash]++
			default:
				fresh[t.hash] = true
				unknown = append(unknown, t)
			}
		}
		made.active = nil
	}
	for _, made := range removed {
		for _, hash := range made.hashes {
			p.drop(hash)
		}
	}
	p.limitTargets(len(p.loops) + len(unknown))
	for _, t := range unknown {
		p.loops[t.hash] = p.loopFor(t)
	}
	if p.clients.hasSockets() {
		p.clients.keepSockets(p.socketsInUse())
	}
	p.metrics.targets.WithLabelValues(p.job.JobName).Set(float64(len(p.loops)))
}

// drop retires the loop of a target unless another group has the target too.
func (p *pool) drop(hash uint64) {
	switch n := p.again[hash]; n {
	case 0:
		l := p.loops[hash]
		delete(p.loops, hash)
		l.update(l.settings.Load().retire())
		p.retired[l.target().identity()] = l
	case 1:
		delete(p.again, hash)
	default:
		p.again[hash] = n - 1
	}
}

// socketsInUse returns the paths of the unix sockets that targets have.
func (p *pool) socketsInUse() map[string]bool {
	sockets := map[string]bool{}
	for _, l := range p.loops {
		sockets[l.target().labels.Get(unixSocketLabel)] = true
	}
	return sockets
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
	groups := p.groups.groups
	p.syncLocked(groups, p.groups.clear())
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
	p.synced = false
	p.setTargets(nil, p.groups.clear())
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
	p.syncing.Lock()
	defer p.syncing.Unlock()
	return p.groups.droppedTargets(), p.groups.nDropped
}

func (p *pool) config() *config.ScrapeConfig {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.job
}
