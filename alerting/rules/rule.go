package rules

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/alerting"
)

// Health tells how the last evaluation of a rule went.
type Health string

// The healths of rules.
const (
	HealthUnknown Health = "unknown"
	HealthOK      Health = "ok"
	HealthError   Health = "err"
)

// evaluation is what the rules of a group share in one evaluation.
type evaluation struct {
	// slot is the nominal time, offset by how much queries look back from it.
	slot   time.Time
	offset time.Duration
	// limit is the group's.
	limit int
	query alerting.QueryFunc
	*liveConfig
}

// queryTime returns the time that queries ask for and results get.
func (e *evaluation) queryTime() time.Time { return e.slot.Add(-e.offset) }

// rule is a rule at work. evaluate and what it changes belong to the goroutine
// of the group, or to one that the group's waits for.
type rule interface {
	core() *ruleCore
	// evaluate evaluates the rule and returns the samples to be stored, whose
	// labels differ from one another.
	evaluate(ctx context.Context, e *evaluation) (alerting.Vector, error)
	// status returns a copy of what is known about the rule, its alerts only
	// if they are wanted.
	status(withAlerts bool) RuleStatus
}

// ruleCore is what recording and alerting rules have in common.
type ruleCore struct {
	name string
	expr parser.Expr
	// query is expr as text.
	query string
	// labels are those of the group and the rule.
	labels labels.Labels
	out    *output
	// identity is equal for rules of which one can take over from the other.
	identity string

	mu struct {
		sync.Mutex
		health     Health
		lastError  error
		duration   time.Duration
		evaluateAt time.Time
	}
}

func newRuleCore(g *GroupSpec, r *RuleSpec, out *output) *ruleCore {
	ls := r.mergedLabels(g.Labels)
	c := &ruleCore{
		name:     r.Name(),
		expr:     r.Expr,
		query:    r.Expr.String(),
		labels:   ls,
		out:      out,
		identity: r.Name() + ls.String(),
	}
	c.mu.health = HealthUnknown
	return c
}

func (c *ruleCore) core() *ruleCore { return c }

// setResult records how an evaluation went; nil is well.
func (c *ruleCore) setResult(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.health, c.mu.lastError = HealthOK, err
	if err != nil {
		c.mu.health = HealthError
	}
}

// setTiming records when an evaluation began and how long it took.
func (c *ruleCore) setTiming(began time.Time, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.evaluateAt, c.mu.duration = began, took
}

// coreStatus returns the part of the status that every rule has.
func (c *ruleCore) coreStatus() RuleStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return RuleStatus{
		Name:               c.name,
		Query:              c.query,
		Labels:             c.labels,
		Health:             c.mu.health,
		LastError:          c.mu.lastError,
		EvaluationDuration: c.mu.duration,
		LastEvaluation:     c.mu.evaluateAt,
	}
}
