package rules

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// lookback is how far the selectors of the tests look back.
const lookback = 5 * time.Minute

// rig is a manager with everything around it. Its time is that of the bubble
// it lives in.
type rig struct {
	t       *testing.T
	dir     string
	store   *storagetest.Model
	reg     *prometheus.Registry
	manager *Manager
	// run ends and waits for the manager.
	end func()

	mu struct {
		sync.Mutex
		// answers are the results of expressions; what is not in it is a plain
		// selector over the store.
		answers map[string]func(t time.Time) (alerting.Vector, error)
		queries []string
		sent    []string
	}
}

// newRig returns a rig whose manager is made with the options that change
// makes, over the given store.
func newRig(t *testing.T, store *storagetest.Model, change func(*Options)) *rig {
	r := &rig{t: t, dir: t.TempDir(), store: store, reg: prometheus.NewPedanticRegistry()}
	r.mu.answers = make(map[string]func(time.Time) (alerting.Vector, error))
	opts := Options{Query: r.query, Store: store, Notify: r.notify, Registerer: r.reg}
	if change != nil {
		change(&opts)
	}
	var err error
	r.manager, err = New(opts)
	require.NoError(t, err)
	return r
}

// start runs the manager until the test or end ends it.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.manager.Run(ctx) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		require.NoError(r.t, <-done)
	})
	r.t.Cleanup(r.end)
	synctest.Wait()
}

// file writes a rule file and returns its path.
func (r *rig) file(name string, lines ...string) string {
	path := filepath.Join(r.dir, name)
	require.NoError(r.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// update applies all files of the rig.
func (r *rig) update() error {
	return r.manager.Update(Config{Files: []string{filepath.Join(r.dir, "*.yml")}, Interval: time.Minute})
}

// answer sets the result of an expression: series with their values.
func (r *rig) answer(expr string, vector alerting.Vector) {
	r.answerFunc(expr, func(time.Time) (alerting.Vector, error) { return slices.Clone(vector), nil })
}

func (r *rig) answerFunc(expr string, f func(time.Time) (alerting.Vector, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.answers[expr] = f
}

// query is the QueryFunc.
func (r *rig) query(ctx context.Context, expr string, t time.Time) (alerting.Vector, error) {
	r.mu.Lock()
	f := r.mu.answers[expr]
	r.mu.queries = append(r.mu.queries, fmt.Sprintf("%s@%d", expr, t.UnixMilli()))
	r.mu.Unlock()
	if f == nil {
		return r.selectLast(ctx, expr, t)
	}
	vector, err := f(t)
	for i := range vector {
		vector[i].T = t.UnixMilli()
	}
	return vector, err
}

// selectLast answers a plain selector.
func (r *rig) selectLast(ctx context.Context, expr string, t time.Time) (alerting.Vector, error) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	selector, ok := parsed.(*parser.VectorSelector)
	if !ok {
		return nil, fmt.Errorf("the rig has no answer for %s", expr)
	}
	q, err := r.store.Querier(t.Add(-lookback).UnixMilli()+1, t.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var (
		vector alerting.Vector
		batch  storage.Batch
	)
	set := q.Select(ctx, nil, selector.LabelMatchers...)
	for set.Next() {
		s := alerting.Sample{Labels: set.At().Labels(), T: t.UnixMilli(), V: staleNaN}
		for it := set.At().Batches(nil); it.Next(&batch); {
			if batch.Kind == storage.KindFloat {
				s.V = batch.Values[batch.Len()-1]
			}
		}
		if !value.IsStaleNaN(s.V) {
			vector = append(vector, s)
		}
	}
	return vector, set.Err()
}

// notify is the NotifyFunc.
func (r *rig) notify(_ context.Context, expr string, alerts []state.Alert) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range alerts {
		r.mu.sent = append(r.mu.sent, fmt.Sprintf("%s %s %s", expr, a.Labels, a.State))
	}
}

// sent returns what was notified since the last call.
func (r *rig) sent() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.mu.sent
	r.mu.sent = nil
	return sent
}

// queries returns the queries since the last call.
func (r *rig) queries() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	queries := r.mu.queries
	r.mu.queries = nil
	return queries
}

// group returns the status of a group.
func (r *rig) group(name string) GroupStatus {
	groups := r.manager.Groups(true)
	i := slices.IndexFunc(groups, func(g GroupStatus) bool { return g.Name == name })
	require.GreaterOrEqual(r.t, i, 0, "group %s", name)
	return groups[i]
}

// afterEvaluation sleeps until n more evaluations of a group are over.
func (r *rig) afterEvaluation(name string, n int) {
	g := r.group(name)
	slot := slotBefore(time.Now(), g.Interval, slotOffset(g.File, g.Name, g.Interval))
	time.Sleep(time.Until(slot.Add(time.Duration(n) * g.Interval)))
	synctest.Wait()
}

// samples returns the samples of a metric as "<value>@<seconds since t0>", a
// staleness marker as "stale", by the text of the labels.
func (r *rig) samples(metric string, t0 time.Time) map[string]string {
	contents := storagetest.Read(r.t, r.store, math.MinInt64, math.MaxInt64,
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, metric))
	out := make(map[string]string, len(contents))
	for series, samples := range contents {
		var line []string
		for _, s := range samples {
			v := fmt.Sprint(s.V)
			switch {
			case s.FH != nil:
				v = fmt.Sprintf("h%g", s.FH.Count)
			case value.IsStaleNaN(s.V):
				v = "stale"
			}
			line = append(line, fmt.Sprintf("%s@%g", v, float64(s.T-t0.UnixMilli())/1000))
		}
		out[series] = strings.Join(line, " ")
	}
	return out
}

// metric returns the value of a metric of a group, or of the whole if group is
// empty.
func (r *rig) metric(name, group string) float64 {
	families, err := r.reg.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if group == "" && len(m.GetLabel()) == 0 || len(m.GetLabel()) == 1 && strings.HasSuffix(m.GetLabel()[0].GetValue(), group) {
				return cmp.Or(m.GetCounter().GetValue(), m.GetGauge().GetValue())
			}
		}
	}
	return math.NaN()
}

func vec(pairs ...any) alerting.Vector {
	var v alerting.Vector
	for i := 0; i < len(pairs); i += 2 {
		v = append(v, alerting.Sample{Labels: mustLabels(pairs[i].(string)), V: pairs[i+1].(float64)})
	}
	return v
}

// mustLabels parses a series like m{a="b"}.
func mustLabels(s string) labels.Labels {
	ls, err := parser.NewParser(parser.Options{}).ParseMetric(s)
	if err != nil {
		panic(err)
	}
	return ls
}
