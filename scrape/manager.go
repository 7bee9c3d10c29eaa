package scrape

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"github.com/gnomonhq/gnomon/storage"
)

// Manager scrapes the targets of all jobs. Its methods can be called from any
// number of goroutines.
//
// Lock order: applying before mu before the locks of pools.
type Manager struct {
	opts    Options
	store   storage.Writer
	metrics *metrics
	// loopsDone counts the loops of all pools. Loops are started with applying
	// held and stopped not set; Run sets it before it waits.
	loopsDone sync.WaitGroup

	// applying serialises ApplyConfig and the updates from discovery.
	applying    sync.Mutex
	seed        uint64 // of the offsets of new pools
	failureLogs map[string]*failureLog
	limits      SeriesLimits
	groups      map[string][]*targetgroup.Group
	stopped     bool
	// removed has the pools of jobs that are gone and whose series are not ended
	// yet. If the job comes back, so does the pool.
	removed map[string]*pool

	mu    sync.Mutex
	jobs  map[string]*config.ScrapeConfig
	pools map[string]*pool
	ctx   context.Context // of Run; nil before it
}

// New returns a Manager that writes to the store. It does nothing before Run.
func New(opts Options, store storage.Writer) (*Manager, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	m := &Manager{
		opts: opts.withDefaults(), store: store, metrics: newMetrics(),
		jobs: map[string]*config.ScrapeConfig{}, pools: map[string]*pool{}, removed: map[string]*pool{},
	}
	if err := m.metrics.register(m.opts.Registerer, newMetadataCollector(m.TargetsActive)); err != nil {
		return nil, fmt.Errorf("register the metrics of scraping: %w", err)
	}
	return m, nil
}

// Run scrapes until ctx is done and then waits for all loops to end. groups
// brings the target groups by job, always all of them: a slice, or a group, at the
// same address as in the delivery before has the same content and costs nothing. It
// is to be called once.
func (m *Manager) Run(ctx context.Context, groups <-chan map[string][]*targetgroup.Group) error {
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	m.update(ctx, groups)

	m.applying.Lock()
	m.stopped = true
	m.applying.Unlock()
	m.loopsDone.Wait()
	return errors.Join(m.closeFailureLogs()...)
}

// update takes updates from discovery until ctx is done. Of several that come
// within the reload interval only the last one counts.
func (m *Manager) update(ctx context.Context, groups <-chan map[string][]*targetgroup.Group) {
	var (
		pending map[string][]*targetgroup.Group
		last    time.Time
		due     <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return
		case g, ok := <-groups:
			if !ok {
				groups = nil
				continue
			}
			if pending = g; due == nil {
				due = time.After(m.opts.ReloadInterval - min(since(last), m.opts.ReloadInterval))
			}
		case <-due:
			due, last = nil, time.Now()
			m.setGroups(pending)
		}
	}
}

// setGroups passes the target groups on to the pools.
func (m *Manager) setGroups(groups map[string][]*targetgroup.Group) {
	m.applying.Lock()
	defer m.applying.Unlock()
	m.groups = groups
	m.syncPools()
}

// syncPools makes the missing pools and syncs all of them with the groups.
// applying is held.
func (m *Manager) syncPools() {
	var g parallel
	for name, groups := range m.groups {
		if p := m.poolOf(name); p != nil {
			g.do(func() { p.sync(groups) })
		}
	}
	g.wait()
}

// poolOf returns the pool of a job and makes it if there is none. It returns nil
// if that is impossible.
func (m *Manager) poolOf(name string) *pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pools[name]; p != nil {
		return p
	}
	job := m.jobs[name]
	if job == nil || m.ctx == nil {
		// Discovery may be ahead of or behind the configuration.
		m.opts.Logger.Debug("target groups of an unknown job", "scrape_pool", name)
		return nil
	}
	m.metrics.pools.Inc()
	c, err := newClients(job, &m.opts)
	if err != nil {
		m.metrics.poolsFailed.Inc()
		m.opts.Logger.Error("a scrape pool was not made", "scrape_pool", name, "err", err)
		return nil
	}
	p := m.removed[name]
	if p != nil {
		delete(m.removed, name)
		p.reload(job, c, m.failureLogs[job.ScrapeFailureLogFile], m.limits.of(name))
	} else {
		p = m.newPool(m.ctx, job, c)
	}
	m.pools[name] = p
	return p
}

// ApplyConfig makes the jobs of cfg those of the manager, with limits beside them. Jobs that are the same
// as before are not touched. If something is wrong with cfg, nothing changes. It
// does nothing after Run has ended.
func (m *Manager) ApplyConfig(cfg *config.Config, limits SeriesLimits) error {
	m.applying.Lock()
	defer m.applying.Unlock()
	if m.stopped {
		return nil
	}
	scrapeConfigs, err := cfg.GetScrapeConfigs()
	if err != nil {
		return fmt.Errorf("scrape configurations: %w", err)
	}
	jobs := make(map[string]*config.ScrapeConfig, len(scrapeConfigs))
	for _, job := range scrapeConfigs {
		jobs[job.JobName] = job
	}
	changed, logs, err := m.prepare(jobs)
	if err != nil {
		m.metrics.reloadsFailed.Inc()
		return err
	}

	m.seed = offsetSeed(m.opts.Hostname, cfg.GlobalConfig.ExternalLabels)
	old := m.failureLogs
	m.failureLogs, m.limits = logs, limits
	m.replaceJobs(jobs, changed)
	for _, l := range old {
		if err := l.close(); err != nil {
			m.opts.Logger.Warn("a log was not closed", "err", err)
		}
	}
	// Groups of a job may have come before its configuration.
	m.syncNewPools()
	maps.DeleteFunc(m.removed, func(_ string, p *pool) bool { return !p.ending() })
	return nil
}

// Check returns what keeps a job from being applied: one job that is refused keeps all
// others from being applied with it.
func (m *Manager) Check(job *config.ScrapeConfig) error {
	c, err := newClients(job, &m.opts)
	if err == nil {
		c.closeIdle()
	}
	return errors.Join(checkJob(job), err)
}

// prepare makes what the jobs need and what can fail: the clients of the running
// jobs that changed, and the logs.
func (m *Manager) prepare(jobs map[string]*config.ScrapeConfig) (changed map[string]*clients, logs map[string]*failureLog, err error) {
	var errs []error
	changed, logs = map[string]*clients{}, map[string]*failureLog{}
	pools := m.allPools()
	for name, job := range jobs {
		errs = append(errs, checkJob(job))
		if file := job.ScrapeFailureLogFile; file != "" && logs[file] == nil {
			l, err := openFailureLog(file)
			if errs = append(errs, err); err == nil {
				logs[file] = l
			}
		}
		if p := pools[name]; p == nil || reflect.DeepEqual(p.config(), job) {
			continue
		}
		c, err := newClients(job, &m.opts)
		errs = append(errs, err)
		changed[name] = c
	}
	if err := errors.Join(errs...); err != nil {
		for _, l := range logs {
			_ = l.close() // Nothing was written to it.
		}
		return nil, nil, err
	}
	return changed, logs, nil
}

// replaceJobs reloads and stops pools so that they are those of the jobs.
func (m *Manager) replaceJobs(jobs map[string]*config.ScrapeConfig, changed map[string]*clients) {
	pools := m.allPools()
	m.mu.Lock()
	m.jobs = jobs
	for name := range pools {
		if jobs[name] == nil {
			delete(m.pools, name)
			m.removed[name] = pools[name]
		}
	}
	m.mu.Unlock()
	var g parallel
	for name, p := range pools {
		job, c := jobs[name], changed[name]
		switch {
		case job == nil:
			g.do(p.stop)
		case c != nil:
			g.do(func() { p.reload(job, c, m.failureLogs[job.ScrapeFailureLogFile], m.limits.of(name)) })
		default:
			g.do(func() { p.adjust(m.failureLogs[job.ScrapeFailureLogFile], m.limits.of(name)) })
		}
	}
	g.wait()
}

// syncNewPools makes pools for the jobs whose groups are known already.
func (m *Manager) syncNewPools() {
	pools := m.allPools()
	for name, groups := range m.groups {
		if pools[name] == nil {
			if p := m.poolOf(name); p != nil {
				p.sync(groups)
			}
		}
	}
}

func (m *Manager) closeFailureLogs() (errs []error) {
	m.applying.Lock()
	defer m.applying.Unlock()
	for _, l := range m.failureLogs {
		errs = append(errs, l.close())
	}
	m.failureLogs = nil
	return errs
}

func (m *Manager) allPools() map[string]*pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.pools)
}

// ScrapePools returns the names of the jobs that have a pool, in ascending
// order.
func (m *Manager) ScrapePools() []string {
	var names []string
	for name := range m.allPools() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ScrapePoolConfig returns the configuration of a job. It must not be changed.
func (m *Manager) ScrapePoolConfig(name string) (*config.ScrapeConfig, error) {
	if p := m.allPools()[name]; p != nil {
		return p.config(), nil
	}
	return nil, fmt.Errorf("scrape pool %q not found", name)
}

// TargetsActive returns the targets that are scraped, by job, in no particular
// order.
func (m *Manager) TargetsActive() map[string][]*Target {
	targets := map[string][]*Target{}
	for name, p := range m.allPools() {
		targets[name] = p.active()
	}
	return targets
}

// TargetsDropped returns the targets that relabelling dropped, by job, as far as
// keep_dropped_targets keeps them.
func (m *Manager) TargetsDropped() map[string][]*Target {
	targets := map[string][]*Target{}
	for name, p := range m.allPools() {
		targets[name], _ = p.droppedTargets()
	}
	return targets
}

// TargetsDroppedCounts returns the numbers of targets that relabelling dropped,
// by job.
func (m *Manager) TargetsDroppedCounts() map[string]int {
	counts := map[string]int{}
	for name, p := range m.allPools() {
		_, counts[name] = p.droppedTargets()
	}
	return counts
}

// parallel runs functions at the same time, as many as there are processors.
type parallel struct {
	wg    sync.WaitGroup
	slots chan struct{}
}

func (g *parallel) do(f func()) {
	if g.slots == nil {
		g.slots = make(chan struct{}, runtime.GOMAXPROCS(0))
	}
	g.slots <- struct{}{}
	g.wg.Go(func() {
		defer func() { <-g.slots }()
		f()
	})
}

func (g *parallel) wait() { g.wg.Wait() }
