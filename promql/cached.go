package promql

import (
	"context"
	"maps"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage"
)

// cachedQuery is a range query that may take steps from the cache.
type cachedQuery struct {
	*Engine
	changes storage.ChangeTracker

	key         cacheKey
	first, last int64 // steps
	// reach is how far after a step samples matter for it, at most.
	reach int64
}

// cachedQuery returns nil if the query is not one of those that the cache is for.
func (e *Engine) cachedQuery(p *plan.Plan, expr string, times plan.Times, opts QueryOptions) *cachedQuery {
	changes, ok := e.store.(storage.ChangeTracker)
	if !ok || e.results == nil || opts.NoCache || opts.PerStepStats || opts.trace != nil || times.Steps() < 2 || !p.Piecewise() {
		return nil
	}
	first, step := times.Start.UnixMilli(), times.Step.Milliseconds()
	if step <= 0 || times.Step != time.Duration(step)*time.Millisecond {
		return nil
	}
	last := first + int64(times.Steps()-1)*step
	return &cachedQuery{
		Engine: e, changes: changes, first: first, last: last,
		key: cacheKey{
			expr: expr, step: step, phase: first - floorTo(first, step), lookback: e.lookback(opts).Milliseconds(),
			subquery: e.opts.DefaultSubqueryInterval(0),
		},
		reach: max(0, p.Bounds(e.lookback(opts)).Maxt-times.End.UnixMilli()),
	}
}

// runCached evaluates a query, but for the steps that the cache has.
func (e *Engine) runCached(ctx context.Context, p *plan.Plan, expr string, times plan.Times, opts QueryOptions, memory *exec.Memory, s *Stats) (*Result, error) {
	q := e.cachedQuery(p, expr, times, opts)
	if q == nil {
		return e.runRolled(ctx, p, expr, times, opts, memory, s)
	}
	entry := e.results.get(q.key)
	mark, known := q.known(entry)
	if known == nil {
		e.metrics.cached(cacheMiss)
		res, err := e.runRolled(ctx, p, expr, times, opts, memory, s)
		if err == nil && len(res.Annotations) == 0 && e.results.fits(res.Matrix) {
			e.results.put(&cachedResult{key: q.key, first: q.first, last: q.last, mark: mark, series: joinSeries([][]Series{res.Matrix})})
		}
		return res, err
	}
	res, err := q.complete(ctx, known, opts, memory, s)
	if err != nil {
		return nil, err
	}
	// What came while the rest was evaluated may belong to steps that were known.
	if _, least := q.changes.ChangedSince(mark); known.last+q.reach >= least {
		e.metrics.cached(cacheMiss)
		memory.Restart()
		return e.runRolled(ctx, p, expr, times, opts, memory, s)
	}
	e.metrics.cached(cacheHit)
	// A query of a part of what is known leaves the entry as it is.
	if len(res.Annotations) == 0 && (q.first < known.first || q.last > known.last) {
		e.results.put(&cachedResult{key: q.key, first: q.first, last: q.last, mark: mark, series: res.Matrix})
	}
	return res, nil
}

// known returns a mark of this moment and the part of an entry that still holds, nil
// if that is less than half of the steps of the query.
func (q *cachedQuery) known(entry *cachedResult) (storage.Mark, *cachedResult) {
	if entry == nil {
		mark, _ := q.changes.ChangedSince(0)
		return mark, nil
	}
	mark, least := q.changes.ChangedSince(entry.mark)
	held := *entry
	if held.last+q.reach >= least {
		held.last = held.first + floorTo(least-1-q.reach-held.first, q.key.step)
	}
	lo, hi := max(held.first, q.first), min(held.last, q.last)
	if hi < lo || 2*((hi-lo)/q.key.step+1) < (q.last-q.first)/q.key.step+1 {
		return mark, nil
	}
	return mark, &held
}

// floorTo returns the greatest multiple of step that is n or less.
func floorTo(n, step int64) int64 {
	m := n % step
	if m < 0 {
		m += step
	}
	return n - m
}

// complete evaluates the steps before and after those that are known.
func (q *cachedQuery) complete(ctx context.Context, known *cachedResult, opts QueryOptions, memory *exec.Memory, s *Stats) (*Result, error) {
	var notes annotations.Annotations
	var pieces [][]Series
	var done []*Result
	defer func() {
		for _, r := range done {
			r.Close()
		}
	}()
	evaluate := func(first, last int64) error {
		if last < first {
			return nil
		}
		times := plan.Times{Start: time.UnixMilli(first).UTC(), End: time.UnixMilli(last).UTC(), Step: time.Duration(q.key.step) * time.Millisecond}
		p, err := q.prepare(q.key.expr, times)
		if err != nil {
			return err
		}
		var piece Stats
		r, err := q.runRolled(ctx, p, q.key.expr, times, opts, memory, &piece)
		s.add(&piece)
		if err != nil {
			return err
		}
		done = append(done, r)
		pieces = append(pieces, r.Matrix)
		if notes == nil {
			notes = maps.Clone(r.Annotations)
		} else {
			notes.Merge(r.Annotations)
		}
		return nil
	}
	if err := evaluate(q.first, min(q.last, known.first-q.key.step)); err != nil {
		return nil, err
	}
	pieces = append(pieces, known.between(q.first, q.last))
	if err := evaluate(max(q.first, known.last+q.key.step), q.last); err != nil {
		return nil, err
	}
	out := &Result{Type: parser.ValueTypeMatrix, Annotations: notes}
	if len(pieces) == 1 {
		out.Matrix = pieces[0]
	} else {
		out.Matrix = joinSeries(pieces)
	}
	return out, nil
}

// add adds what a piece of the query cost.
func (s *Stats) add(piece *Stats) {
	s.EvalTotal += piece.EvalTotal
	s.ResultSort += piece.ResultSort
	s.QueryPreparation += piece.QueryPreparation
	s.InnerEval += piece.InnerEval
	s.TotalSamples += piece.TotalSamples
	s.SamplesRead += piece.SamplesRead
	s.PeakSamples = max(s.PeakSamples, piece.PeakSamples)
}
