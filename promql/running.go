package promql

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// Running is a query that runs, or waits for a place.
type Running struct {
	// ID names the query for Cancel. It is not used again while the process lives.
	ID    uint64
	Query string
	// Start, End and Step are those of the query; Step is 0 for an instant.
	Start, End time.Time
	Step       time.Duration
	Class      Class
	Origin     Origin
	// Since is when it came, and Waiting says that it has no place yet.
	Since   time.Time
	Waiting bool
	// Series counts those that were read so far, and Bytes is what the query holds
	// in memory, as Options.MaxMemory counts.
	Series, Bytes int64
}

// errCanceledOnRequest is why a query was canceled by Engine.Cancel.
var errCanceledOnRequest = errors.New("query was canceled on request")

// runningQueries lists the queries. It is used by any number of goroutines.
type runningQueries struct {
	mu   sync.Mutex
	last uint64
	byID map[uint64]*runningQuery
}

type runningQuery struct {
	Running
	cancel context.CancelCauseFunc
	memory *exec.Memory
}

// add lists a query until it is removed.
func (r *runningQueries) add(q *runningQuery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[uint64]*runningQuery{}
	}
	r.last++
	q.ID = r.last
	r.byID[q.ID] = q
}

func (r *runningQueries) remove(q *runningQuery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, q.ID)
}

// placed says that a query has a place.
func (r *runningQueries) placed(q *runningQuery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q.Waiting = false
}

// Running returns the queries that run and wait, in the order in which they came.
func (e *Engine) Running() []Running {
	r := &e.running
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Running, 0, len(r.byID))
	for _, q := range r.byID {
		at := q.Running
		at.Series, at.Bytes = q.memory.Series(), q.memory.Bytes()
		out = append(out, at)
	}
	slices.SortFunc(out, func(a, b Running) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Cancel ends a query, and reports whether there is one with that ID.
func (e *Engine) Cancel(id uint64) bool {
	e.running.mu.Lock()
	defer e.running.mu.Unlock()
	q, ok := e.running.byID[id]
	if ok {
		q.cancel(errCanceledOnRequest)
	}
	return ok
}

// newRunning describes a query that has just come.
func newRunning(expr string, times plan.Times, opts QueryOptions) *runningQuery {
	return &runningQuery{Running: Running{
		Query: expr, Start: times.Start, End: times.End, Step: times.Step,
		Class: opts.Class, Origin: opts.Origin, Since: time.Now(), Waiting: true,
	}}
}
