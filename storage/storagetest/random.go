package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// RunRandom drives the store of h and a model through the same operations,
// drawn from the seed, and fails when they show or refuse different things. It
// reports the seed and the operation when they do.
func RunRandom(t testing.TB, h Harness, seed uint64, operations int) {
	rng := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	r := &randomRun{t: t, h: h, rng: rng, now: Base}
	if rng.IntN(2) == 0 {
		r.window = 1_800_000
	}
	r.model, r.store = NewModel(r.window), h.Open(t, r.window)
	defer func() { closeStore(t, r.store) }()
	for i := range operations {
		name := r.step()
		if t.Failed() {
			t.Fatalf("seed %d, operation %d: %s", seed, i, name)
		}
	}
	r.compare()
	if t.Failed() {
		t.Fatalf("seed %d, at the end", seed)
	}
}

// randomRun is the state of one run.
type randomRun struct {
	t      testing.TB
	h      Harness
	rng    *rand.Rand
	window int64
	now    int64
	model  *Model
	store  storage.Store
	groups []randomGroup
}

// randomGroup is a group that is open in both stores.
type randomGroup struct {
	model, store storage.Group
	columns      int
}

func (r *randomRun) step() string {
	r.now += int64(r.rng.IntN(60_000))
	switch n := r.rng.IntN(100); {
	case n < 4 || len(r.groups) == 0:
		r.openGroup()
		return "open a group"
	case n < 70:
		r.appendRow(r.rng.IntN(len(r.groups)))
		return "append a row"
	case n < 78:
		r.appendLoose()
		return "append single samples"
	case n < 82:
		r.changeColumns(r.rng.IntN(len(r.groups)))
		return "change columns"
	case n < 84:
		if r.window == 0 {
			r.delete()
		}
		return "delete"
	case n < 88:
		if r.h.Flush != nil {
			r.h.Flush(r.t, r.store)
		}
		return "flush"
	case n < 90:
		r.reopen()
		return "reopen"
	case n < 91:
		r.crash()
		return "crash"
	default:
		r.compare()
		return "compare"
	}
}

func (r *randomRun) openGroup() {
	if len(r.groups) >= 5 {
		r.closeGroup(r.rng.IntN(len(r.groups)))
	}
	opts := storage.GroupOptions{Origin: fmt.Sprint(len(r.groups))}
	m, err := r.model.OpenGroup(opts)
	require.NoError(r.t, err)
	s, err := r.store.OpenGroup(opts)
	require.NoError(r.t, err)
	r.groups = append(r.groups, randomGroup{model: m, store: s})
	for range 1 + r.rng.IntN(12) {
		r.addColumn(len(r.groups) - 1)
	}
}

func (r *randomRun) closeGroup(i int) {
	require.NoError(r.t, r.groups[i].model.Close())
	require.NoError(r.t, r.groups[i].store.Close())
	r.groups = append(r.groups[:i], r.groups[i+1:]...)
}

func (r *randomRun) addColumn(i int) {
	ls := series(r.rng.IntN(40))
	g := &r.groups[i]
	want, err := g.model.AddColumn(ls)
	require.NoError(r.t, err)
	got, err := g.store.AddColumn(ls)
	require.NoError(r.t, err)
	require.Equal(r.t, want, got, "the column of %s", ls)
	g.columns = max(g.columns, int(want)+1)
}

func (r *randomRun) changeColumns(i int) {
	if r.rng.IntN(2) == 0 {
		r.addColumn(i)
		return
	}
	c := storage.Column(r.rng.IntN(r.groups[i].columns))
	r.groups[i].model.ReleaseColumn(c)
	r.groups[i].store.ReleaseColumn(c)
}

func (r *randomRun) value(c int) float64 {
	switch r.rng.IntN(10) {
	case 0:
		odd := oddValues()
		return odd[r.rng.IntN(len(odd))]
	case 1:
		return r.rng.NormFloat64()
	case 2:
		return math.Float64frombits(value.StaleNaN)
	case 3, 4:
		return float64(c)
	default:
		return float64(r.rng.IntN(1000)) / 8
	}
}

func (r *randomRun) appendRow(i int) {
	g := &r.groups[i]
	row := storage.Row{T: r.time(), Values: make([]float64, g.columns)}
	for c := range row.Values {
		row.Values[c] = r.value(c)
	}
	switch r.rng.IntN(4) {
	case 0:
		row.Present = row.Present.Grow(g.columns)
		for c := range row.Values {
			if r.rng.IntN(3) > 0 {
				row.Present.Set(storage.Column(c))
			}
		}
	case 1:
		c := storage.Column(r.rng.IntN(g.columns))
		row.Histograms = []storage.HistogramSample{{Column: c, Histogram: tsdbutil.GenerateTestHistogram(int64(r.rng.IntN(50)))}}
	case 2:
		row.StartTimes = make([]int64, g.columns)
		for c := range row.StartTimes {
			row.StartTimes[c] = Base * int64(r.rng.IntN(2))
		}
	}
	r.sameError(g.model.AppendRow(&row), g.store.AppendRow(&row))
}

// time is mostly now, sometimes late.
func (r *randomRun) time() int64 {
	if r.rng.IntN(8) == 0 {
		return r.now - int64(r.rng.IntN(3_000_000))
	}
	return r.now
}

func (r *randomRun) appendLoose() {
	m, s := r.model.Appender(context.Background()), r.store.Appender(context.Background())
	for range 1 + r.rng.IntN(20) {
		ls, t, v := series(r.rng.IntN(40)), r.time(), r.value(0)
		_, want := m.Append(0, ls, t, v)
		_, got := s.Append(0, ls, t, v)
		r.sameError(want, got)
	}
	if r.rng.IntN(5) == 0 {
		require.NoError(r.t, m.Rollback())
		require.NoError(r.t, s.Rollback())
		return
	}
	r.sameError(m.Commit(), s.Commit())
}

// sameError demands that both stores refused for the same reasons, column by
// column for a row.
func (r *randomRun) sameError(want, got error) {
	r.t.Helper()
	var wantRow, gotRow *storage.RowError
	if errors.As(want, &wantRow) {
		require.ErrorAs(r.t, got, &gotRow, "want %v", want)
		require.Equal(r.t, wantRow.Appended, gotRow.Appended, "want %v, got %v", want, got)
		require.Len(r.t, gotRow.Refused, len(wantRow.Refused), "want %v, got %v", want, got)
		for i := range wantRow.Refused {
			require.Equal(r.t, wantRow.Refused[i].Column, gotRow.Refused[i].Column)
			r.sameReason(wantRow.Refused[i].Err, gotRow.Refused[i].Err)
		}
		return
	}
	r.sameReason(want, got)
}

func (r *randomRun) sameReason(want, got error) {
	r.t.Helper()
	for _, reason := range []error{
		storage.ErrOutOfOrder, storage.ErrTooOld, storage.ErrDuplicateSample,
		storage.ErrUnknownColumn, storage.ErrUnknownSeries, storage.ErrInvalidLabels,
	} {
		require.Equal(r.t, errors.Is(want, reason), errors.Is(got, reason), "want %v, got %v", want, got)
	}
	require.Equal(r.t, want == nil, got == nil, "want %v, got %v", want, got)
}

// delete is not used with an out-of-order window: whether a late sample in a
// deleted range comes back is not promised.
func (r *randomRun) delete() {
	from := r.now - int64(r.rng.IntN(3_000_000))
	to := from + int64(r.rng.IntN(1_000_000))
	m := labels.MustNewMatcher(labels.MatchRegexp, "i", fmt.Sprintf("%d|1%d", r.rng.IntN(40), r.rng.IntN(10)))
	ctx := context.Background()
	require.NoError(r.t, r.model.Delete(ctx, from, to, m))
	require.NoError(r.t, r.store.Delete(ctx, from, to, m))
}

func (r *randomRun) reopen() {
	if r.h.Reopen == nil {
		return
	}
	for len(r.groups) > 0 {
		r.closeGroup(0)
	}
	r.store = r.h.Reopen(r.t, r.store)
}

// crash leaves the store's groups as they are: nobody closed them.
func (r *randomRun) crash() {
	if r.h.Crash == nil {
		return
	}
	for _, g := range r.groups {
		require.NoError(r.t, g.model.Close())
	}
	r.groups = nil
	r.store = r.h.Crash(r.t, r.store)
}

func (r *randomRun) compare() {
	kept := int64(math.MinInt64)
	if r.h.Retention > 0 {
		kept = r.now - r.h.Retention
		requireNothingNew(r.t, ReadAll(r.t, r.model), ReadAll(r.t, r.store))
	}
	all := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*")
	requireEqualHistograms(r.t, Read(r.t, r.model, kept, math.MaxInt64, all), Read(r.t, r.store, kept, math.MaxInt64, all))
	mint := max(kept, Base+r.rng.Int64N(r.now-Base+1))
	maxt := mint + r.rng.Int64N(1_000_000)
	m := labels.MustNewMatcher(labels.MatchRegexp, "i", "[0-9]")
	requireEqualHistograms(r.t, Read(r.t, r.model, mint, maxt, m), Read(r.t, r.store, mint, maxt, m))
}

// requireNothingNew fails if a store shows a sample that the model has not: what
// retention leaves is a part of what was written.
func requireNothingNew(t testing.TB, all, left Contents) {
	t.Helper()
	for name, samples := range left {
		have := map[int64]*Sample{}
		for i := range all[name] {
			have[all[name][i].T] = &all[name][i]
		}
		for i := range samples {
			got := samples[i]
			want, ok := have[got.T]
			if !ok {
				t.Fatalf("%s has a sample that nobody wrote, or that was deleted:%s", name, text(samples[i:i+1]))
			}
			expected := *want
			forgetHint(&expected, &got)
			if !expected.Equal(&got) {
				t.Fatalf("%s: want%s, got%s", name, text([]Sample{*want}), text(samples[i:i+1]))
			}
		}
	}
}
