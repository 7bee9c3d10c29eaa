package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
)

// ErrRunning is returned by Run when it was called before.
var ErrRunning = errors.New("rule manager was started already")

// Manager evaluates the groups of the rule files. Its methods can be used by
// any number of goroutines.
type Manager struct {
	shared *shared

	// updating is held by whatever starts and stops groups. It is taken before
	// mu and may be held for as long as an evaluation takes.
	updating struct {
		sync.Mutex
		phase phase
		// lifetime is the context of Run; groups end with it.
		lifetime context.Context
		// disk has the files of the last Update, other those of the last SetParsed.
		disk, other origin
		interval    time.Duration
	}
	// running counts the goroutines of groups and of endings. Add is called
	// under updating in the phase running only; Run waits after it left it.
	running sync.WaitGroup

	mu struct {
		sync.RWMutex
		groups map[string]*group
	}
}

// origin is where rule files come from.
type origin struct {
	files []File
	// known says that the files were told at all, and applied that their groups exist:
	// groups that are new afterwards have no former process whose alerts they could
	// take over.
	known, applied bool
}

func (o *origin) tell(files []File) { o.files, o.known = files, true }

// phase is where a manager is in its life.
type phase uint8

const (
	idle phase = iota
	running
	ended
)

// New returns a manager without rules. It evaluates nothing before Run is
// called.
func New(opts Options) (*Manager, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("rule manager: %w", err)
	}
	s := &shared{
		Options: opts,
		metrics: newMetrics(opts.Registerer),
		slots:   make(chan struct{}, opts.MaxConcurrentEvals),
	}
	s.live.Store(&liveConfig{})
	m := &Manager{shared: s}
	m.mu.groups = make(map[string]*group)
	return m, nil
}

// Run evaluates the rules until ctx ends, then waits for all evaluations, whose
// queries are cancelled, and returns nil. It is called once, when storage can
// be queried; Update may be called before.
func (m *Manager) Run(ctx context.Context) error {
	m.updating.Lock()
	if m.updating.phase != idle {
		m.updating.Unlock()
		return ErrRunning
	}
	m.updating.phase, m.updating.lifetime = running, ctx
	for _, g := range m.mu.groups {
		m.startLocked(g)
	}
	m.updating.Unlock()

	<-ctx.Done()

	m.updating.Lock()
	m.updating.phase = ended
	m.updating.Unlock()
	m.running.Wait()
	for _, g := range m.mu.groups {
		g.close()
	}
	return nil
}

// startLocked runs a group in a goroutine.
func (m *Manager) startLocked(g *group) {
	ctx := m.updating.lifetime
	m.running.Go(func() { g.run(ctx) })
}

// Check reads the rule files without applying them and returns what is wrong.
func (m *Manager) Check(files []string) error {
	_, err := m.shared.Reader.ReadFiles(files)
	return err
}

// Parse reads the content of a rule file as one of a disk would be read, for
// SetParsed. The path identifies it.
func (m *Manager) Parse(path string, content []byte) (File, error) {
	return m.shared.Reader.Parse(path, content)
}

// Update applies a configuration. If a rule file has a fault, nothing changes
// and the error says what and where. A group that does not change goes on as it
// is. It waits for running evaluations of the groups that do change. After Run
// has returned it does nothing.
func (m *Manager) Update(c Config) error {
	m.updating.Lock()
	defer m.updating.Unlock()
	if m.updating.phase == ended {
		return nil
	}
	reader := m.shared.Reader
	if c.NameValidation != model.UnsetValidation {
		reader.NameValidation = c.NameValidation
	}
	files, err := reader.ReadFiles(c.Files)
	if err != nil {
		m.shared.metrics.loadFailures.Inc()
		return fmt.Errorf("load rules, the former ones stay in force: %w", err)
	}
	m.shared.live.Store(&liveConfig{queryOffset: c.QueryOffset, externalLabels: c.ExternalLabels.Map()})

	m.updating.disk.tell(files)
	m.updating.interval = cmp.Or(c.Interval, DefaultInterval)
	m.applyLocked()
	return nil
}

// SetParsed replaces the rule files that come from elsewhere than a disk; none at
// first. Those of the disk are not read again. Otherwise it is like Update.
func (m *Manager) SetParsed(files []File) {
	m.updating.Lock()
	defer m.updating.Unlock()
	m.updating.other.tell(files)
	// The first Update brings them in, as intervals are not known before.
	if m.updating.phase != ended && m.updating.disk.known {
		m.applyLocked()
	}
}

// applyLocked makes the groups of all files those of the manager.
func (m *Manager) applyLocked() {
	next := make(map[string]*group)
	for _, from := range []*origin{&m.updating.disk, &m.updating.other} {
		for _, f := range from.files {
			for _, spec := range f.Groups {
				next[groupKey(f.Path, spec.Name)] = newGroup(m.shared, f.Path, spec, m.updating.interval, !from.applied)
			}
		}
		from.applied = from.known
	}
	m.replaceLocked(next)
}

// replaceLocked makes next the groups of the manager. Groups that did not
// change stay in place of the new ones.
func (m *Manager) replaceLocked(next map[string]*group) {
	var fresh, changed, gone []*group
	for key, old := range m.mu.groups {
		switch g, ok := next[key]; {
		case !ok:
			gone = append(gone, old)
		case g.equal(old):
			next[key] = old
		default:
			changed = append(changed, old)
		}
	}
	for key, g := range next {
		if m.mu.groups[key] != g {
			fresh = append(fresh, g)
		}
	}
	m.stopLocked(slices.Concat(changed, gone))

	m.mu.Lock()
	for _, old := range changed {
		next[groupKey(old.file, old.spec.Name)].adopt(old)
	}
	m.mu.groups = next
	m.mu.Unlock()

	for _, old := range gone {
		m.shared.metrics.removeGroup(groupKey(old.file, old.spec.Name))
		m.endLocked(old)
	}
	if m.updating.phase == running {
		for _, g := range fresh {
			m.startLocked(g)
		}
	}
}

// stopLocked stops groups, all at once, and waits for them.
func (m *Manager) stopLocked(groups []*group) {
	if m.updating.phase != running {
		return
	}
	for _, g := range groups {
		close(g.stopping)
	}
	for _, g := range groups {
		<-g.stopped
	}
}

// endLocked ends the series of a group that was removed and stopped, after a
// while in which another group can take them over. If the manager ends before,
// the series are left as they are.
func (m *Manager) endLocked(g *group) {
	g.endAll()
	if m.updating.phase != running || len(g.ended) == 0 {
		return
	}
	ctx := m.updating.lifetime
	now := time.Now()
	m.running.Go(func() {
		timer := time.NewTimer(endingDelay * g.interval)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
			g.writeEnded(ctx, now.Add(-g.queryOffset(g.live.Load())))
		}
	})
}

// Groups returns the state of all groups, ordered by file and name. The alerts
// are left out unless withAlerts is true: there can be many.
func (m *Manager) Groups(withAlerts bool) []GroupStatus {
	m.mu.RLock()
	defer m.mu.RUnlock()
	groups := slices.SortedFunc(maps.Values(m.mu.groups), compareGroups)
	statuses := make([]GroupStatus, len(groups))
	for i, g := range groups {
		statuses[i] = g.status(withAlerts)
	}
	return statuses
}

// AlertingRules returns the state of the alerting rules of all groups with their
// alerts, in the order of Groups.
func (m *Manager) AlertingRules() []RuleStatus {
	var alerting []RuleStatus
	for _, g := range m.Groups(true) {
		for _, r := range g.Rules {
			if r.Alerting {
				alerting = append(alerting, r)
			}
		}
	}
	return alerting
}
