package promql

import (
	"context"
	"testing"
	"time"

	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	upstreamstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/promql/exec"
	"github.com/gnomonhq/gnomon/promql/plan"
	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/tsdb"
)

// scriptEngine shows the engine in upstream's shape, so that upstream's scripts
// run over it. The stores of the scripts are upstreamStores.
type scriptEngine struct{ opts Options }

func (s *scriptEngine) NewInstantQuery(_ context.Context, q upstreamstorage.Queryable, _ upstream.QueryOpts, expr string, t time.Time) (upstream.Query, error) {
	return s.prepare(q, expr, plan.Times{Start: t, End: t})
}

func (s *scriptEngine) NewRangeQuery(_ context.Context, q upstreamstorage.Queryable, _ upstream.QueryOpts, expr string, start, end time.Time, step time.Duration) (upstream.Query, error) {
	return s.prepare(q, expr, plan.Times{Start: start, End: end, Step: step})
}

func (s *scriptEngine) prepare(q upstreamstorage.Queryable, expr string, times plan.Times) (upstream.Query, error) {
	e := New(s.opts, q.(*upstreamStore).store)
	p, err := e.prepare(expr, times)
	if err != nil {
		return nil, err.(*QueryError).Err
	}
	return &scriptQuery{engine: e, plan: p, expr: expr}, nil
}

// scriptQuery is a query of a script.
type scriptQuery struct {
	engine *Engine
	plan   *plan.Plan
	expr   string
}

func (q *scriptQuery) Exec(ctx context.Context) *upstream.Result {
	r, err := q.engine.evaluate(ctx, q.engine.store, q.plan, QueryOptions{}, exec.NewMemory(0, q.engine.memory), &Stats{})
	if err != nil {
		return &upstream.Result{Err: err}
	}
	return &upstream.Result{Value: upstreamValue(r), Warnings: r.Annotations}
}

func (q *scriptQuery) Close()                      {}
func (q *scriptQuery) Cancel()                     {}
func (q *scriptQuery) Statement() parser.Statement { return nil }
func (q *scriptQuery) Stats() *stats.Statistics    { return nil }
func (q *scriptQuery) String() string              { return q.expr }

// upstreamValue returns a result as upstream has it.
func upstreamValue(r *Result) parser.Value {
	switch r.Type {
	case parser.ValueTypeScalar:
		return upstream.Scalar{T: r.Scalar.T, V: r.Scalar.F}
	case parser.ValueTypeString:
		return upstream.String(r.String)
	case parser.ValueTypeVector:
		v := make(upstream.Vector, len(r.Vector))
		for i, s := range r.Vector {
			v[i] = upstream.Sample{Metric: s.Metric, T: s.T, F: s.F, H: s.H}
		}
		return v
	}
	m := make(upstream.Matrix, len(r.Matrix))
	for i, s := range r.Matrix {
		m[i].Metric = s.Metric
		for _, p := range s.Floats {
			m[i].Floats = append(m[i].Floats, upstream.FPoint(p))
		}
		for _, p := range s.Histograms {
			m[i].Histograms = append(m[i].Histograms, upstream.HPoint(p))
		}
	}
	return m
}

// scriptOptions are those that upstream's scripts are written for.
func scriptOptions() Options {
	return Options{
		Parser:     parser.NewParser(promqltest.TestParserOpts),
		MaxSamples: promqltest.DefaultMaxSamplesPerQuery, Timeout: 100 * time.Second,
		PerStepStats: true, DelayedNameRemoval: true, UseStartTimestamps: true,
	}
}

// TestOracle runs all of upstream's scripts over the oracle: it reads our stores
// right.
func TestOracle(t *testing.T) {
	engine := newOracle(scriptOptions(), storagetest.NewModel(0)).engine
	promqltest.RunBuiltinTestsWithStorage(t, engine, func(testing.TB) upstreamstorage.Storage {
		store := storagetest.NewModel(0)
		return &upstreamStore{borrowedQueryable: &borrowedQueryable{store: store}, store: store}
	})
}

// TestScripts runs all of upstream's scripts over the engine and the model.
func TestScripts(t *testing.T) {
	promqltest.RunBuiltinTestsWithStorage(t, &scriptEngine{scriptOptions()}, func(testing.TB) upstreamstorage.Storage {
		store := storagetest.NewModel(0)
		return &upstreamStore{borrowedQueryable: &borrowedQueryable{store: store}, store: store}
	})
}

// TestScriptsOverTSDB runs them over the real database.
func TestScriptsOverTSDB(t *testing.T) {
	promqltest.RunBuiltinTestsWithStorage(t, &scriptEngine{scriptOptions()}, func(t testing.TB) upstreamstorage.Storage {
		store, err := tsdb.Open(context.Background(), "data", tsdb.Options{
			FS: vfs.NewMem(), MaintenanceInterval: -1, WALSync: tsdb.WALSync{Never: true},
			Reloadable: tsdb.Reloadable{Retention: -1},
		})
		require.NoError(t, err)
		return &upstreamStore{borrowedQueryable: &borrowedQueryable{store: store}, store: store}
	})
}
