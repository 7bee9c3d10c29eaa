package rules

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/alerting"
)

// group is a rule group at work. One goroutine runs it; another may read its
// status or tell it to stop.
type group struct {
	*shared

	file string
	spec GroupSpec
	// interval is that of the spec or the configured default.
	interval time.Duration
	rules    []rule
	// batches are the rules by index: those of one batch may be evaluated
	// concurrently, the batches one after the other.
	batches [][]int
	metrics *groupMetrics
	logger  *slog.Logger
	// ended are series that are to get staleness markers because the rule that
	// wrote them is gone.
	ended []labels.Labels
	// restore says that the alerts of a former process are to be taken over.
	restore bool

	// stopping is closed to end the group after the running evaluation of a
	// rule; stopped is closed when it has ended.
	stopping chan struct{}
	stopped  chan struct{}

	mu struct {
		sync.Mutex
		took    time.Duration
		beganAt time.Time
		slot    time.Time
	}
}

// groupKey identifies a group: names are unique within a file only.
func groupKey(file, name string) string { return file + ";" + name }

// newGroup makes a group that does not run yet.
func newGroup(s *shared, file string, spec GroupSpec, interval time.Duration, restore bool) *group {
	key := groupKey(file, spec.Name)
	g := &group{
		shared:   s,
		file:     file,
		spec:     spec,
		interval: cmp.Or(spec.Interval, interval),
		metrics:  s.metrics.ofGroup(key),
		logger:   s.Logger.With("file", file, "group", spec.Name),
		restore:  restore,
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	for i := range spec.Rules {
		g.rules = append(g.rules, g.newRule(&spec.Rules[i], key))
	}
	g.batches = sequence(len(g.rules))
	if s.ConcurrentEvals {
		g.batches = independent(g.rules)
	}
	g.metrics.rules.Set(float64(len(g.rules)))
	g.metrics.interval.Set(g.interval.Seconds())
	return g
}

func (g *group) newRule(r *RuleSpec, key string) rule {
	out := &output{store: g.Store, origin: "rule " + r.Name() + " of group " + key}
	core := newRuleCore(&g.spec, r, out)
	if r.Alert == "" {
		return &recordingRule{ruleCore: core}
	}
	return &alertingRule{
		ruleCore:      core,
		hold:          r.For,
		keepFiringFor: r.KeepFiringFor,
		annotations:   labels.FromMap(r.Annotations),
		shared:        g.shared,
		logger:        g.logger.With("alert", r.Alert),
		restored:      !g.restore,
	}
}

// equal reports whether a group does the same as another one.
func (g *group) equal(other *group) bool {
	return g.file == other.file &&
		g.spec.Name == other.spec.Name &&
		g.interval == other.interval &&
		g.spec.Limit == other.spec.Limit &&
		equalOffset(g.spec.QueryOffset, other.spec.QueryOffset) &&
		slices.EqualFunc(g.rules, other.rules, equalRule)
}

func equalOffset(a, b *time.Duration) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func equalRule(a, b rule) bool {
	ca, cb := a.core(), b.core()
	if ca.identity != cb.identity || ca.query != cb.query {
		return false
	}
	switch a := a.(type) {
	case *alertingRule:
		b, ok := b.(*alertingRule)
		return ok && a.hold == b.hold && a.keepFiringFor == b.keepFiringFor &&
			maps.Equal(a.annotations.Map(), b.annotations.Map())
	default:
		_, ok := b.(*recordingRule)
		return ok
	}
}

// queryOffset returns by how much queries of the group look back.
func (g *group) queryOffset(live *liveConfig) time.Duration {
	if g.spec.QueryOffset != nil {
		return *g.spec.QueryOffset
	}
	return live.queryOffset
}

// adopt takes over alerts, outputs and timings from a group that was stopped,
// for each rule from the first one of the same identity and kind that is not
// taken. The series of the others are to end.
func (g *group) adopt(from *group) {
	from.mu.Lock()
	g.mu.took, g.mu.beganAt, g.mu.slot = from.mu.took, from.mu.beganAt, from.mu.slot
	from.mu.Unlock()
	g.restore = from.restore
	g.ended = from.ended
	byIdentity := make(map[string][]rule, len(from.rules))
	for _, r := range from.rules {
		id := r.core().identity
		byIdentity[id] = append(byIdentity[id], r)
	}
	for _, r := range g.rules {
		candidates := byIdentity[r.core().identity]
		i := slices.IndexFunc(candidates, func(c rule) bool { return sameKind(r, c) })
		if i < 0 {
			if a, ok := r.(*alertingRule); ok {
				a.restored = !from.restore
			}
			continue
		}
		old := candidates[i]
		byIdentity[r.core().identity] = slices.Delete(candidates, i, i+1)
		// The output keeps the name of the rule in its origin and needs no
		// other than its columns.
		r.core().out, old.core().out = old.core().out, r.core().out
		if a, ok := r.(*alertingRule); ok {
			a.adopt(old.(*alertingRule))
		}
	}
	for _, left := range byIdentity {
		for _, r := range left {
			g.ended = append(g.ended, r.core().out.series()...)
		}
	}
	from.close()
}

func sameKind(a, b rule) bool {
	_, aAlerting := a.(*alertingRule)
	_, bAlerting := b.(*alertingRule)
	return aAlerting == bAlerting
}

// endAll makes the series of all rules ones that are to end.
func (g *group) endAll() {
	for _, r := range g.rules {
		g.ended = append(g.ended, r.core().out.series()...)
	}
	g.close()
}

// close closes the outputs.
func (g *group) close() {
	for _, r := range g.rules {
		if err := r.core().out.close(); err != nil {
			g.logger.Warn("closing the output of a rule", "rule", r.core().name, "err", err)
		}
	}
}

// status returns a copy of what is known about the group.
func (g *group) status(withAlerts bool) GroupStatus {
	s := GroupStatus{
		File:        g.file,
		Name:        g.spec.Name,
		Interval:    g.interval,
		QueryOffset: g.queryOffset(g.live.Load()),
		Limit:       g.spec.Limit,
		Rules:       make([]RuleStatus, len(g.rules)),
	}
	g.mu.Lock()
	s.EvaluationTime, s.LastEvaluation, s.LastSlot = g.mu.took, g.mu.beganAt, g.mu.slot
	g.mu.Unlock()
	for i, r := range g.rules {
		s.Rules[i] = r.status(withAlerts)
	}
	return s
}

// originContext returns the context of a rule's queries.
func (g *group) originContext(ctx context.Context, r rule) context.Context {
	_, isAlerting := r.(*alertingRule)
	return alerting.WithOrigin(ctx, alerting.Origin{
		File: g.file, Group: g.spec.Name, Rule: r.core().name, Alerting: isAlerting,
	})
}

// compareGroups orders groups by file and name.
func compareGroups(a, b *group) int {
	return cmp.Or(strings.Compare(a.file, b.file), strings.Compare(a.spec.Name, b.spec.Name))
}
