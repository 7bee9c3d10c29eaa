package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	thanosengine "github.com/thanos-io/promql-engine/engine"

	"github.com/gnomonhq/gnomon/bench/queries"
)

// engine is Thanos's query engine over Prometheus's database, both as their servers
// have them by default.
type engine struct {
	db     *tsdb.DB
	engine *thanosengine.Engine
}

// What ends a query that the engine cannot do at all.
const (
	queryTimeout    = 2 * time.Minute
	queryMaxSamples = 1 << 40
)

func open(dir string) (queries.Engine, error) {
	opts := tsdb.DefaultOptions()
	opts.MinBlockDuration, opts.MaxBlockDuration = (2 * time.Hour).Milliseconds(), (3 * 24 * time.Hour).Milliseconds()
	opts.RetentionDuration = 0
	opts.NoLockfile = true
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, opts, nil)
	if err != nil {
		return nil, err
	}
	db.DisableCompactions()
	return &engine{db: db, engine: thanosengine.New(thanosengine.Opts{EngineOpts: promql.EngineOpts{
		MaxSamples: queryMaxSamples, Timeout: queryTimeout, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
	}})}, nil
}

// AddTarget implements queries.Engine.
func (e *engine) AddTarget(_ string, series [][]string) (queries.Target, error) {
	t := &target{db: e.db, refs: make([]storage.SeriesRef, len(series)), series: make([]labels.Labels, len(series))}
	for i, pairs := range series {
		t.series[i] = labels.FromStrings(pairs...)
	}
	return t, nil
}

// Maintain implements queries.Engine.
func (e *engine) Maintain() error { return e.db.Compact(context.Background()) }

// Close implements queries.Engine.
func (e *engine) Close() error { return e.db.Close() }

// Evaluate implements queries.Engine.
func (e *engine) Evaluate(expr string, start, end time.Time, step time.Duration) (series int, sum float64, err error) {
	ctx := context.Background()
	var q promql.Query
	if step == 0 {
		q, err = e.engine.NewInstantQuery(ctx, e.db, nil, expr, end)
	} else {
		q, err = e.engine.NewRangeQuery(ctx, e.db, nil, expr, start, end, step)
	}
	if thanosengine.IsUnimplemented(err) {
		return 0, 0, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
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
	case promql.Vector:
		for _, s := range v {
			sum += s.F
		}
		return len(v), sum, nil
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				sum += p.F
			}
		}
		return len(v), sum, nil
	}
	return 0, 0, nil
}

// target takes the rows of a target, sample by sample.
type target struct {
	db     *tsdb.DB
	refs   []storage.SeriesRef
	series []labels.Labels
}

// Append implements queries.Target.
func (t *target) Append(at int64, values []float64) error {
	app := t.db.Appender(context.Background())
	for i, v := range values {
		ref, err := app.Append(t.refs[i], t.series[i], at, v)
		if err != nil {
			return errors.Join(err, app.Rollback())
		}
		t.refs[i] = ref
	}
	return app.Commit()
}
