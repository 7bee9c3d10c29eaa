package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// Errors of a query that ends early. Compare with errors.Is.
var (
	// ErrTimeout is a query that reached its deadline.
	ErrTimeout = errors.New("query timed out in expression evaluation")
	// ErrCanceled is a query whose context was canceled.
	ErrCanceled = errors.New("query was canceled in expression evaluation")
	// ErrTooManySamples is a query over Options.MaxSamples.
	ErrTooManySamples = errors.New("query processing would load too many samples into memory in query execution")

	errSameLabels = errors.New("vector cannot contain metrics with the same labelset")
)

// Options are what a query needs to know beside its plan.
type Options struct {
	// Lookback is how far back a selector looks for a sample.
	Lookback time.Duration
	// MaxSamples is the greatest number of samples, as Prometheus counts them.
	MaxSamples int
	// Workers is how many goroutines may compute series beside each other; with
	// less than 2 the query does all by itself.
	Workers int
	// SpreadAfter is the work after which they do, in about the samples and steps
	// that take as long; 0 is about a millisecond.
	SpreadAfter int
	// Memory counts what the query holds; nil counts for nobody.
	Memory *Memory
	// Trace measures the nodes of the plan, if it is not nil.
	Trace *Trace
	// SubqueryInterval returns the step of a subquery without one, milliseconds.
	SubqueryInterval func(rangeMillis int64) int64
	// DelayedNames removes metric names at the end of the query only.
	DelayedNames bool
	// TypeLabels judges counters by their label __type__.
	TypeLabels bool
	// StartTimestamps lets functions use the start timestamps of samples.
	StartTimestamps bool
}

// Result is the value of a query. Type says which of the fields counts: Series
// for a vector or a matrix, Scalar, or Text.
type Result struct {
	Type   parser.ValueType
	Series []Series
	Scalar float64
	Text   string

	Annotations annotations.Annotations

	memory pointMemory
}

// Series is a series of a result; points are in ascending order of time. In the
// vector of an instant it has one.
type Series struct {
	Metric     labels.Labels
	Floats     []FloatPoint
	Histograms []HistogramPoint
}

// FloatPoint is a float at T milliseconds.
type FloatPoint = storage.FloatPoint

// HistogramPoint is a native histogram at T milliseconds.
type HistogramPoint = storage.HistogramPoint

// Run evaluates a plan over a snapshot. The samples that it reads are added to
// counts, also if it fails.
func Run(ctx context.Context, p *plan.Plan, q storage.Querier, opts Options, counts *stats.QuerySamples) (*Result, error) {
	ev := &evaluator{ctx: ctx, querier: q, opts: opts, lookback: opts.Lookback.Milliseconds(), memory: opts.Memory}
	if ev.memory == nil {
		ev.memory = NewMemory(0, &TotalMemory{})
	}
	sc := &scope{evaluator: ev, first: p.Times.Start.UnixMilli(), step: p.Times.Step.Milliseconds(), n: 1, counts: counts}
	last := p.Times.End.UnixMilli()
	if p.Times.Step == 0 {
		sc.step, last = 1, sc.first
	}
	if sc.step <= 0 {
		return nil, fmt.Errorf("the step of a range query is less than a millisecond: %s", p.Times.Step)
	}
	sc.n, sc.end = max(0, int((last-sc.first)/sc.step)+1), last
	if last < sc.first {
		sc.n = 0
	}
	if err := ev.checkSteps(sc.n); err != nil {
		return nil, err
	}
	counts.InitStepTracking(sc.first, max(sc.first, last), sc.step)
	if err := ev.interrupted(); err != nil {
		return nil, err
	}
	defer ev.end()
	res, err := sc.result(p.Root)
	if err != nil {
		return nil, err
	}
	res.Annotations = ev.notes
	return res, nil
}

// manySteps is a number of steps that any query may have.
const manySteps = 1 << 20

// checkSteps fails a query with more steps than it may have samples: there is
// room for a value at each.
func (ev *evaluator) checkSteps(n int) error {
	if n > max(manySteps, ev.opts.MaxSamples) {
		return fmt.Errorf("%w: %d steps", ErrTooManySamples, n)
	}
	return ev.memory.fits(16 * int64(n)) // a value and what it is made of
}

// evaluator is what all parts of a query share.
type evaluator struct {
	ctx      context.Context // of the query
	querier  storage.Querier
	opts     Options
	lookback int64
	memory   *Memory
	// commons has what expressions came to that stand in several places.
	commons map[*plan.Common]*common
	// ends are called when the query ends, whatever comes.
	ends []func()
	// notes are the annotations of the nodes that are done.
	notes annotations.Annotations
}

// atEnd calls f when the query ends.
func (ev *evaluator) atEnd(f func()) { ev.ends = append(ev.ends, f) }

func (ev *evaluator) end() {
	for _, f := range ev.ends {
		f()
	}
}

// interrupted returns the error of a query that was canceled or ran out of time.
func (ev *evaluator) interrupted() error {
	err := ev.ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, context.Canceled):
		return ErrCanceled
	}
	return err
}

// aside evaluates something whose annotations come later than those of what is
// evaluated next, and returns them.
func (ev *evaluator) aside(evaluate func() error) (annotations.Annotations, error) {
	before := ev.notes
	ev.notes = nil
	err := evaluate()
	notes := ev.notes
	ev.notes = before
	return notes, err
}

// done takes over what a node noted. A node is done after its operands.
func (ev *evaluator) done(notes *functions.Annotations) {
	if set := notes.Set(); len(set) > 0 {
		ev.notes.Merge(set)
	}
}

// scope is a part of a plan that is evaluated at the same steps: the query, a
// subquery, what is the same at all steps.
type scope struct {
	*evaluator
	// first is the time of the first step and step from one to the next,
	// milliseconds; there are n, the last one at end or before it.
	first, step, end int64
	n                int
	counts           *stats.QuerySamples
}

// time returns the time of step i.
func (sc *scope) time(i int) int64 { return sc.first + int64(i)*sc.step }

// instant reports whether an instant is evaluated, so that the order of the
// result is kept. A range may have a single step too.
func (sc *scope) instant() bool { return sc.end == sc.first }
