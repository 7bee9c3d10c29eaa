package main

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	upstreampromql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	upstreamstorage "github.com/prometheus/prometheus/storage"

	"github.com/gnomonhq/gnomon/bench/queries"
	"github.com/gnomonhq/gnomon/promql"
	"github.com/gnomonhq/gnomon/storage"
)

// query measures the queries of an engine that this program links.
func query(j job, _ engine) (values, bool, error) {
	v, err := queries.Measure(queries.Job{Dir: j.Dir, Start: j.Start, Scale: j.Scale, Tiny: j.Tiny}, func(dir string) (queries.Engine, error) {
		return openQueried(j.Engine, dir)
	}, func(name string, work func() error) error {
		file := ""
		if j.Profile != "" {
			file = j.Profile + "." + name
		}
		_, err := measureProfiled(file, work)
		return err
	})
	return v, false, err
}

// queriedEngine is an engine as package queries wants it.
type queriedEngine struct {
	engine
	evaluator
}

func openQueried(name, dir string) (*queriedEngine, error) {
	e, err := newEngine(name)
	if err != nil {
		return nil, err
	}
	e.serverBlocks()
	if err := e.open(dir); err != nil {
		return nil, err
	}
	ev, err := e.evaluator()
	return &queriedEngine{e, ev}, err
}

// AddTarget implements queries.Engine.
func (q *queriedEngine) AddTarget(name string, series [][]string) (queries.Target, error) {
	t, err := q.target(name, len(series), func(column int) labels.Labels { return labels.FromStrings(series[column]...) })
	return queriedTarget{t}, err
}

// Maintain implements queries.Engine.
func (q *queriedEngine) Maintain() error { return q.maintain() }

// Evaluate implements queries.Engine.
func (q *queriedEngine) Evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error) {
	return q.evaluate(expr, start, end, step)
}

// Close implements queries.Engine.
func (q *queriedEngine) Close() error { return q.engine.close() }

type queriedTarget struct{ target }

// Append implements queries.Target.
func (t queriedTarget) Append(at int64, values []float64) error {
	return t.append(&storage.Row{T: at, Values: values})
}

// evaluator is a query engine over an engine's store. See queries.Engine.
type evaluator interface {
	evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error)
}

// What ends a query that an engine cannot do at all.
const (
	queryTimeout    = 2 * time.Minute
	queryMaxSamples = 1 << 40
)

func (e *gnomonEngine) evaluator() (evaluator, error) {
	return &gnomonEvaluator{promql.New(promql.Options{MaxSamples: queryMaxSamples, Timeout: queryTimeout}, e.db)}, nil
}

type gnomonEvaluator struct{ engine *promql.Engine }

func (g *gnomonEvaluator) evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error) {
	var r *promql.Result
	if step == 0 {
		r, err = g.engine.Instant(context.Background(), expr, end, promql.QueryOptions{})
	} else {
		r, err = g.engine.Range(context.Background(), expr, start, end, step, promql.QueryOptions{})
	}
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	for _, s := range r.Vector {
		sum += s.F
	}
	for _, s := range r.Matrix {
		for _, p := range s.Floats {
			sum += p.F
		}
	}
	return len(r.Vector) + len(r.Matrix), sum, nil
}

type upstreamEvaluator struct {
	engine *upstreampromql.Engine
	store  upstreamstorage.Queryable
}

func (e *upstreamEngine) evaluator() (evaluator, error) {
	opts := upstreampromql.EngineOpts{
		MaxSamples: queryMaxSamples, Timeout: queryTimeout, EnableAtModifier: true, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{}),
	}
	return &upstreamEvaluator{upstreampromql.NewEngine(opts), e.db}, nil
}

func (u *upstreamEvaluator) evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error) {
	ctx := context.Background()
	var q upstreampromql.Query
	if step == 0 {
		q, err = u.engine.NewInstantQuery(ctx, u.store, nil, expr, end)
	} else {
		q, err = u.engine.NewRangeQuery(ctx, u.store, nil, expr, start, end, step)
	}
	if err != nil {
		return 0, 0, err
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return 0, 0, r.Err
	}
	switch v := r.Value.(type) {
	case upstreampromql.Vector:
		for _, s := range v {
			sum += s.F
		}
		return len(v), sum, nil
	case upstreampromql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				sum += p.F
			}
		}
		return len(v), sum, nil
	}
	return 0, 0, nil
}
