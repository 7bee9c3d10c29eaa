package rules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	upstream "github.com/prometheus/prometheus/rules"
	upstreamstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// TestLikeUpstream evaluates random rules over random results, with reloads and
// restarts in between, here and in upstream's implementation, each over a store
// of its own, and compares after every evaluation what was stored, what was
// notified, which alerts there are and how the rules fare.
//
// Two differences are meant. Upstream does not restore alerts whose for duration
// is shorter than the grace period; here they go on firing if they did. And it
// forgets over a restart those that fire only because of keep_firing_for. There
// are no such rules where there are restarts.
func TestLikeUpstream(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			newDuel(t, seed, seed%2 == 0).fight(40)
		})
	}
}

const (
	duelInterval  = 30 * time.Second
	duelGrace     = time.Minute
	duelTolerance = 10 * time.Minute
)

// duel runs both implementations side by side.
type duel struct {
	t    *testing.T
	rng  *rand.Rand
	path string
	now  time.Time
	// restarts says whether there are any.
	restarts bool

	ours   *Manager
	group  *group
	store  *storagetest.Model
	sent   []string
	theirs *upstream.Group
	their  struct {
		opts  *upstream.ManagerOptions
		store *storagetest.Model
		sent  []string
	}
	// answers are the results of this evaluation, by expression.
	answers map[string]alerting.Vector
	fails   map[string]bool
}

func newDuel(t *testing.T, seed uint64, restarts bool) *duel {
	d := &duel{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), path: filepath.Join(t.TempDir(), "r.yml"),
		now:   time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		store: storagetest.NewModel(0), restarts: restarts,
	}
	d.their.store = storagetest.NewModel(0)
	d.writeRules()
	d.restart()
	return d
}

// writeRules writes a random rule file. Its rules are drawn from few names and
// labels, so that a changed file shares some with the one before.
func (d *duel) writeRules() {
	pick := func(values ...string) string { return values[d.rng.IntN(len(values))] }
	shortest, keep := "0s", "2m"
	if d.restarts {
		shortest, keep = duelGrace.String(), "0s"
	}
	lines := []string{"groups:", "- name: g", "  limit: " + pick("0", "0", "6"), "  query_offset: " + pick("0s", "0s", "45s"), "  rules:"}
	for i := range 2 + d.rng.IntN(5) {
		expr := fmt.Sprintf("in%d", i%4)
		if d.rng.IntN(3) == 0 {
			lines = append(lines, "  - record: "+pick("out1", "out2"), "    expr: "+expr, "    labels: {kind: "+pick("x", "y", "''")+"}")
			continue
		}
		lines = append(lines, "  - alert: "+pick("A1", "A2"), "    expr: "+expr,
			"    for: "+pick(shortest, "1m", "2m", "3m", "5m"), "    keep_firing_for: "+pick("0s", keep),
			"    labels: {severity: "+pick("x", "'{{ $labels.i }}{{ $value }}'", "'{{ $labels.i }}!'")+"}",
			"    annotations: {n: "+pick("x", "'{{ $value | humanize }} {{ $externalLabels.cluster }}'", "'{{ now }} {{ externalURL }}'", "'{{ query \"in0\" | first | value }}'")+"}")
	}
	require.NoError(d.t, os.WriteFile(d.path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

// restart makes new processes over the stores.
func (d *duel) restart() {
	external := labels.FromStrings("cluster", "c1")
	address := &url.URL{Scheme: "http", Host: "h:9090"}
	var err error
	d.ours, err = New(Options{
		Query: d.query, Store: d.store, Notify: d.notify, ExternalURL: address,
		ForGracePeriod: duelGrace, OutageTolerance: duelTolerance,
	})
	require.NoError(d.t, err)
	require.NoError(d.t, d.ours.Update(Config{Files: []string{d.path}, Interval: duelInterval, ExternalLabels: external}))
	d.group = d.ours.mu.groups[groupKey(d.path, "g")]
	d.their.opts = &upstream.ManagerOptions{
		QueryFunc: d.theirQuery, NotifyFunc: d.theirNotify, ExternalURL: address, Context: d.t.Context(),
		Appendable: theirStore{d.their.store}, Queryable: theirStore{d.their.store}, Logger: slog.New(slog.DiscardHandler),
		ForGracePeriod: duelGrace, OutageTolerance: duelTolerance, ResendDelay: DefaultResendDelay,
	}
	d.theirs = d.loadTheirs()
}

func (d *duel) loadTheirs() *upstream.Group {
	m := upstream.NewManager(d.their.opts)
	groups, errs := m.LoadGroups(duelInterval, labels.FromStrings("cluster", "c1"), "http://h:9090", nil, false, d.path)
	require.Empty(d.t, errs)
	return groups[upstream.GroupKey(d.path, "g")]
}

// reload changes the rule file and hands the state on.
func (d *duel) reload() {
	d.writeRules()
	require.NoError(d.t, d.ours.Update(Config{Files: []string{d.path}, Interval: duelInterval, ExternalLabels: labels.FromStrings("cluster", "c1")}))
	d.group = d.ours.mu.groups[groupKey(d.path, "g")]
	next := d.loadTheirs()
	if next.Equals(d.theirs) {
		return
	}
	next.CopyState(d.theirs)
	for _, r := range next.Rules() {
		if a, ok := r.(*upstream.AlertingRule); ok {
			a.SetRestored(!d.group.restore)
		}
	}
	d.theirs = next
}

// fight evaluates n times and compares.
func (d *duel) fight(n int) {
	sinceStart := 0
	for i := range n {
		d.now = d.now.Add(duelInterval)
		switch r := d.rng.IntN(20); {
		case r == 0 && !d.group.restore:
			d.reload()
		case r == 1 && d.restarts:
			d.now = d.now.Add(time.Duration(d.rng.IntN(30)) * duelInterval)
			d.restart()
			sinceStart = 0
		}
		d.drawAnswers()
		d.group.evaluate(d.t.Context(), d.now)
		d.theirs.Eval(d.t.Context(), d.now)
		d.compare(i)
		sinceStart++
		if sinceStart == 2 {
			d.group.restoreAlerts(d.t.Context(), d.now)
			d.theirs.RestoreForState(d.now)
			d.compare(i)
		}
	}
}

// drawAnswers draws the results of the expressions.
func (d *duel) drawAnswers() {
	d.answers, d.fails = map[string]alerting.Vector{}, map[string]bool{}
	for i := range 4 {
		expr := fmt.Sprintf("in%d", i)
		d.fails[expr] = d.rng.IntN(25) == 0
		var vector alerting.Vector
		for n := range 5 {
			if d.rng.IntN(3) > 0 {
				continue
			}
			s := alerting.Sample{Labels: labels.FromStrings("__name__", "m", "i", fmt.Sprint(n)), V: float64(d.rng.IntN(3))}
			if d.rng.IntN(10) == 0 {
				s.H = &histogram.FloatHistogram{Count: s.V, Sum: 1}
			}
			if d.rng.IntN(30) == 0 {
				s.Labels = labels.FromStrings("__name__", "other", "i", "1")
			}
			vector = append(vector, s)
		}
		d.answers[expr] = vector
	}
}

var errScripted = errors.New("scripted failure")

func (d *duel) query(_ context.Context, expr string, t time.Time) (alerting.Vector, error) {
	if d.fails[expr] {
		return nil, errScripted
	}
	vector := slices.Clone(d.answers[expr])
	for i := range vector {
		vector[i].T = t.UnixMilli()
	}
	return vector, nil
}

func (d *duel) theirQuery(ctx context.Context, expr string, t time.Time) (promql.Vector, error) {
	vector, err := d.query(ctx, expr, t)
	var out promql.Vector
	for _, s := range vector {
		out = append(out, promql.Sample{Metric: s.Labels, T: s.T, F: s.V, H: s.H})
	}
	return out, err
}

func (d *duel) notify(_ context.Context, expr string, alerts []state.Alert) {
	for _, a := range alerts {
		d.sent = append(d.sent, fmt.Sprint(expr, a.Labels, a.Annotations, a.State, a.Value, a.ActiveAt, a.FiredAt,
			a.ResolvedAt, a.LastSentAt, a.ValidUntil, a.KeepFiringSince))
	}
}

func (d *duel) theirNotify(_ context.Context, expr string, alerts ...*upstream.Alert) {
	for _, a := range alerts {
		d.their.sent = append(d.their.sent, fmt.Sprint(expr, a.Labels, a.Annotations, a.State, a.Value, a.ActiveAt, a.FiredAt,
			a.ResolvedAt, a.LastSentAt, a.ValidUntil, a.KeepFiringSince))
	}
}

// compare compares everything that can be seen.
func (d *duel) compare(i int) {
	d.t.Helper()
	rules, _ := os.ReadFile(d.path)
	at := fmt.Sprintf("evaluation %d with\n%s", i, rules)
	slices.Sort(d.sent)
	slices.Sort(d.their.sent)
	require.Equal(d.t, d.their.sent, d.sent, at)
	d.sent, d.their.sent = nil, nil

	ours := d.group.status(true).Rules
	theirs := d.theirs.Rules()
	require.Len(d.t, ours, len(theirs))
	for n, r := range theirs {
		require.Equal(d.t, r.Name(), ours[n].Name)
		require.Equal(d.t, string(r.Health()), string(ours[n].Health), "%s: rule %d", at, n)
		if r.LastError() == nil {
			require.NoError(d.t, ours[n].LastError, at)
		} else {
			require.ErrorContains(d.t, ours[n].LastError, r.LastError().Error(), "%s: rule %d", at, n)
		}
		if a, ok := r.(*upstream.AlertingRule); ok {
			require.Equal(d.t, a.State().String(), ours[n].State.String(), at)
			require.Equal(d.t, theirActive(a), ourActive(ours[n]), at)
		}
	}
	// Reading is what takes time here, and nothing in the stores is undone.
	if i%8 == 7 {
		storagetest.RequireEqual(d.t, storagetest.ReadAll(d.t, d.their.store), storagetest.ReadAll(d.t, d.store))
	}
}

func ourActive(r RuleStatus) []string {
	var out []string
	for _, a := range r.Alerts {
		out = append(out, fmt.Sprint(a.Labels, a.Annotations, a.State, a.Value, a.ActiveAt, a.KeepFiringSince))
	}
	slices.Sort(out)
	return out
}

func theirActive(r *upstream.AlertingRule) []string {
	var out []string
	for _, a := range r.ActiveAlerts() {
		out = append(out, fmt.Sprint(a.Labels, a.Annotations, a.State, a.Value, a.ActiveAt, a.KeepFiringSince))
	}
	slices.Sort(out)
	return out
}

// theirStore shows a model in the parts of upstream's shape that its rules use.
type theirStore struct{ *storagetest.Model }

func (s theirStore) Appender(ctx context.Context) upstreamstorage.Appender {
	return &theirAppender{inner: s.Model.Appender(ctx)}
}

type theirAppender struct {
	upstreamstorage.Appender
	inner storage.Appender
}

func (a *theirAppender) SetOptions(*upstreamstorage.AppendOptions) {}
func (a *theirAppender) Commit() error                             { return a.inner.Commit() }

func (a *theirAppender) Append(_ upstreamstorage.SeriesRef, ls labels.Labels, t int64, v float64) (upstreamstorage.SeriesRef, error) {
	_, err := a.inner.Append(0, ls, t, v)
	return 0, theirError(err)
}

func (a *theirAppender) AppendHistogram(_ upstreamstorage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (upstreamstorage.SeriesRef, error) {
	_, err := a.inner.AppendHistogram(0, ls, t, h, fh)
	return 0, theirError(err)
}

// theirError keeps the text, which is compared.
func theirError(err error) error {
	switch {
	case errors.Is(err, storage.ErrOutOfOrder):
		return textError{err.Error(), upstreamstorage.ErrOutOfOrderSample}
	case errors.Is(err, storage.ErrDuplicateSample):
		return textError{err.Error(), upstreamstorage.ErrDuplicateSampleForTimestamp}
	default:
		return err
	}
}

type textError struct {
	text  string
	cause error
}

func (e textError) Error() string { return e.text }
func (e textError) Unwrap() error { return e.cause }

func (s theirStore) Querier(mint, maxt int64) (upstreamstorage.Querier, error) {
	q, err := s.Model.Querier(mint, maxt)
	return theirQuerier{inner: q}, err
}

type theirQuerier struct {
	upstreamstorage.Querier
	inner storage.Querier
}

func (q theirQuerier) Close() error { return q.inner.Close() }

func (q theirQuerier) Select(ctx context.Context, _ bool, _ *upstreamstorage.SelectHints, ms ...*labels.Matcher) upstreamstorage.SeriesSet {
	return theirSeriesSet{q.inner.Select(ctx, nil, ms...)}
}

type theirSeriesSet struct{ inner storage.SeriesSet }

func (s theirSeriesSet) Next() bool                        { return s.inner.Next() }
func (s theirSeriesSet) Err() error                        { return s.inner.Err() }
func (s theirSeriesSet) Warnings() annotations.Annotations { return nil }
func (s theirSeriesSet) At() upstreamstorage.Series        { return theirSeries{s.inner.At()} }

type theirSeries struct{ inner storage.Series }

func (s theirSeries) Labels() labels.Labels { return s.inner.Labels() }

func (s theirSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	it := &theirIterator{}
	var b storage.Batch
	for batches := s.inner.Batches(nil); batches.Next(&b); {
		it.times = append(it.times, b.Times...)
		it.values = append(it.values, b.Values...)
	}
	return it
}

// theirIterator is an iterator over floats.
type theirIterator struct {
	chunkenc.Iterator
	times  []int64
	values []float64
	next   int
}

func (i *theirIterator) Next() chunkenc.ValueType {
	if i.next == len(i.times) {
		return chunkenc.ValNone
	}
	i.next++
	return chunkenc.ValFloat
}

func (i *theirIterator) At() (int64, float64) { return i.times[i.next-1], i.values[i.next-1] }
func (i *theirIterator) Err() error           { return nil }
