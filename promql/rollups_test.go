package promql

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
)

const (
	testMinute = int64(time.Minute / time.Millisecond)
	testHour   = 60 * testMinute
	testDay    = 24 * testHour
	// testBase is the begin of a day.
	testBase = 20_000 * testDay
)

// samplesOnly hides that a store has rollups.
type samplesOnly struct{ storage.Queryable }

// rollupCounter counts the selects that rollups answered, and what was read for
// them.
type rollupCounter struct {
	storage.RollupQueryable
	used int
	read int64
}

func (c *rollupCounter) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := c.RollupQueryable.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &countedQuerier{q.(storage.RollupQuerier), c}, nil
}

type countedQuerier struct {
	storage.RollupQuerier
	counter *rollupCounter
}

func (q *countedQuerier) SelectRollups(ctx context.Context, w storage.Windows, ms ...*labels.Matcher) storage.RollupSet {
	set := q.RollupQuerier.SelectRollups(ctx, w, ms...)
	if set == nil {
		return nil
	}
	q.counter.used++
	return &countedSet{set, q.counter}
}

type countedSet struct {
	storage.RollupSet
	counter *rollupCounter
}

func (s *countedSet) Next() bool {
	before := s.Samples()
	ok := s.RollupSet.Next()
	s.counter.read += s.Samples() - before
	return ok
}

// rollupStore opens a database with rollups of 5 and 15 minutes.
func rollupStore(t testing.TB, change ...func(*tsdb.Options)) *tsdb.DB {
	opts := tsdb.Options{
		FS: vfs.NewMem(), MaintenanceInterval: -1, WALSync: tsdb.WALSync{Never: true}, MinBlockDuration: 6 * time.Hour,
		Reloadable: tsdb.Reloadable{Retention: -1, OutOfOrderWindow: 2 * time.Hour, Rollups: []tsdb.Rollup{
			{Resolution: 15 * time.Minute}, {Resolution: 5 * time.Minute},
		}},
	}
	for _, c := range change {
		c(&opts)
	}
	db, err := tsdb.Open(context.Background(), "data", opts)
	require.NoError(t, err)
	require.NoError(t, db.WaitReplayed(context.Background()))
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			require.ErrorIs(t, err, storage.ErrClosed)
		}
	})
	return db
}

func maintain(t testing.TB, db *tsdb.DB) {
	t.Helper()
	require.NoError(t, db.Maintain(context.Background()))
}

// filler appends rows of counters with resets, gauges with gaps, staleness
// markers, NaN and infinities, and series of native histograms and of both kinds.
type filler struct {
	t     testing.TB
	rng   *rand.Rand
	group storage.Group
	cols  []storage.Column
	last  []float64
}

func newFiller(t testing.TB, db storage.Store, rng *rand.Rand) *filler {
	f := &filler{t: t, rng: rng}
	var err error
	f.group, err = db.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	for i := range 10 {
		name := []string{"requests_total", "requests_total", "requests_total", "level", "level", "level", "odd", "odd", "native", "both"}[i]
		c, err := f.group.AddColumn(labels.FromStrings(model.MetricNameLabel, name, "i", fmt.Sprint(i)))
		require.NoError(t, err)
		f.cols, f.last = append(f.cols, c), append(f.last, 0)
	}
	return f
}

// row appends a row at t.
func (f *filler) row(t int64) {
	row := storage.Row{T: t, Values: make([]float64, len(f.cols)), Present: storage.Bitmap(nil).Grow(len(f.cols))}
	for i, c := range f.cols {
		if f.rng.IntN(12) == 0 {
			continue // absent
		}
		row.Present.Set(c)
		row.Values[c] = f.value(i, t)
		if i == 8 || i == 9 && t%testDay > 12*testHour {
			row.Histograms = append(row.Histograms, storage.HistogramSample{Column: c, Histogram: tsdbutil.GenerateTestHistogram(t / testMinute % 1000)})
		}
	}
	require.NoError(f.t, f.group.AppendRow(&row))
}

func (f *filler) value(i int, t int64) float64 {
	if f.rng.IntN(40) == 0 {
		return math.Float64frombits(value.StaleNaN)
	}
	switch {
	case i < 3:
		if f.last[i] += float64(f.rng.IntN(10)); f.rng.IntN(200) == 0 {
			f.last[i] = float64(f.rng.IntN(3)) // a reset
		}
		return f.last[i]
	case i < 6:
		return math.Round(100*math.Sin(float64(t)/float64(testHour)))/100 + 3
	default:
		return []float64{1, 1e-3, math.NaN(), -2, math.Copysign(0, -1), math.Inf(1), 1e3, 0.1}[f.rng.IntN(8)]
	}
}

// fillDays appends days of rows, each about step after the one before, and lets
// the database do its maintenance.
func fillDays(t testing.TB, db *tsdb.DB, rng *rand.Rand, days float64, step int64) *filler {
	f := newFiller(t, db, rng)
	for at, n := testBase, 0; at < testBase+int64(days*float64(testDay)); n++ {
		f.row(at)
		if at += step; rng.IntN(300) == 0 {
			at += rng.Int64N(testHour)
		} else if rng.IntN(4) == 0 {
			at += rng.Int64N(step / 4)
		}
		if n%500 == 499 {
			maintain(t, db)
		}
	}
	maintain(t, db)
	return f
}

// question is a query over a range.
type question struct {
	expr             string
	start, end, step int64
}

func (q question) String() string {
	return fmt.Sprintf("%s from %d to %d by %d", q.expr, q.start-testBase, q.end-testBase, q.step)
}

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

func randomQuestion(rng *rand.Rand, days int64) question {
	fn := pick(rng, "rate", "increase", "delta", "sum_over_time", "avg_over_time", "count_over_time", "min_over_time", "max_over_time",
		"last_over_time", "first_over_time", "present_over_time", "rate", "increase", "changes", "irate")
	selector := pick(rng, `requests_total`, `level`, `{i=~"[0-5]"}`, `odd`, `native`, `both`, `requests_total{i="1"}`, `{i=~"[1-7]"}`, `level`, `requests_total`)
	length := pick(rng, "5m", "15m", "30m", "1h", "6h", "1d", "10m", "7m", "3615s", "36h", "1h", "15m")
	offset := pick(rng, "", "", "", " offset 1h", " offset 10m", " offset 3m", " offset -15m")
	expr := fmt.Sprintf("%s(%s[%s]%s)", fn, selector, length, offset)
	switch rng.IntN(8) {
	case 0:
		expr = "sum by (i) (" + expr + ") + 1"
	case 1:
		expr = "max_over_time(" + expr + "[30m:10m])"
	case 2:
		expr = expr + " / on (i) group_left () count by (i) (level)"
	case 3:
		expr = strings.Replace(expr, "]", fmt.Sprintf("] @ %d", (testBase+testDay)/1000), 1)
	}
	q := question{expr: expr, step: pick[int64](rng, 5, 15, 30, 60, 7, 10, 24*60, 15) * testMinute}
	q.start = testBase + rng.Int64N(days*24*60)*testMinute
	if rng.IntN(4) > 0 {
		q.start -= q.start % (15 * testMinute)
	}
	if rng.IntN(10) == 0 {
		q.start += rng.Int64N(testMinute)
	}
	q.end = min(q.start+q.step*(1+rng.Int64N(100)), testBase+(days+1)*testDay)
	return q
}

// asked is an engine, ours or upstream's.
type asked interface {
	Instant(ctx context.Context, expr string, t time.Time, opts QueryOptions) (*Result, error)
	Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error)
}

func ask(t testing.TB, e asked, q question) *Result {
	t.Helper()
	var r *Result
	var err error
	if q.step == 0 {
		r, err = e.Instant(context.Background(), q.expr, time.UnixMilli(q.start), QueryOptions{})
	} else {
		r, err = e.Range(context.Background(), q.expr, time.UnixMilli(q.start), time.UnixMilli(q.end), time.Duration(q.step)*time.Millisecond, QueryOptions{})
	}
	require.NoError(t, err, "%s", q)
	t.Cleanup(r.Close)
	return r
}

// greatest is about the greatest value that filler appends.
const greatest = 1e4

// requireSame demands the same results to the bit, but for functions that add
// up: those agree to 1e-12 of what they add.
func requireSame(t testing.TB, want, got *Result, q question) {
	t.Helper()
	require.Equal(t, want.Annotations, got.Annotations, "%s", q)
	exact := !strings.Contains(q.expr, "sum_") && !strings.Contains(q.expr, "avg_") && !strings.Contains(q.expr, "rate") && !strings.Contains(q.expr, "increase")
	same := func(a, b float64) bool {
		return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b) || !exact && math.Abs(a-b) <= 1e-12*max(math.Abs(a), math.Abs(b), greatest)
	}
	require.Len(t, got.Matrix, len(want.Matrix), "%s", q)
	for i, w := range want.Matrix {
		g := got.Matrix[i]
		require.Equal(t, w.Metric, g.Metric, "%s", q)
		require.Len(t, g.Floats, len(w.Floats), "%s of %s", q, w.Metric)
		for k, p := range w.Floats {
			require.True(t, p.T == g.Floats[k].T && same(p.F, g.Floats[k].F), "%s of %s: want %v, got %v", q, w.Metric, p, g.Floats[k])
		}
		require.Len(t, g.Histograms, len(w.Histograms), "%s of %s", q, w.Metric)
	}
	require.Len(t, got.Vector, len(want.Vector), "%s", q)
	for i, w := range want.Vector {
		g := got.Vector[i]
		require.Equal(t, w.Metric, g.Metric, "%s", q)
		require.True(t, same(w.F, g.F), "%s of %s: want %v, got %v", q, w.Metric, w.F, g.F)
	}
}

// engines returns an engine that uses rollups, with its counter, and one that
// does not.
func engines(t testing.TB, db *tsdb.DB) (rolled, plain *Engine, used *rollupCounter) {
	used = &rollupCounter{RollupQueryable: db}
	noStarts := func(o *Options) { o.UseStartTimestamps, o.PerStepStats, o.MaxSamples = false, false, 0 }
	return newTestEngine(t, used, noStarts), newTestEngine(t, samplesOnly{db}, noStarts), used
}

// seeds and firstSeed choose the runs of TestRollupsAgreeWithSamples.
var (
	seeds     = flag.Uint64("seeds", 3, "how many runs of random questions")
	firstSeed = flag.Uint64("first-seed", 0, "seed of the first run of random questions")
)

// TestRollupsAgreeWithSamples asks random questions with and without rollups: of
// fresh rollups, with late samples and deletions that they do not know of yet,
// and after these were rolled up.
func TestRollupsAgreeWithSamples(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { askRandomQuestions(t, seed) })
	}
}

func askRandomQuestions(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	opts := tsdb.Options{}
	db := rollupStore(t, func(o *tsdb.Options) {
		o.OutOfOrderWindow = 40 * time.Hour
		for i := range o.Rollups {
			o.Rollups[i].After = time.Minute
		}
		opts = *o
	})
	fillDays(t, db, rng, 3.3, testMinute)
	rolled, plain, used := engines(t, db)
	check := func(n int) {
		t.Helper()
		for range n {
			q := randomQuestion(rng, 3)
			requireSame(t, ask(t, plain, q), ask(t, rolled, q), q)
		}
	}
	check(150)
	require.Greater(t, used.used, 20, "rollups are of use")
	addLate(t, db, rng)
	check(100)
	maintain(t, db)
	check(50)
	deleteSome(t, db, rng)
	check(100)
	maintain(t, db)
	before := used.used
	check(100)
	require.Greater(t, used.used, before+5, "rollups are made anew")
	require.NoError(t, db.Close())

	db = rollupStore(t, func(o *tsdb.Options) { *o = opts })
	rolled, plain, used = engines(t, db)
	check(50)
	require.Positive(t, used.used)
}

// addLate adds single samples at random times of the last day.
func addLate(t testing.TB, db *tsdb.DB, rng *rand.Rand) {
	t.Helper()
	a := db.Appender(context.Background())
	for range 200 {
		i := rng.IntN(6)
		name := []string{"requests_total", "level"}[i/3]
		at := db.MaxTime() - rng.Int64N(35*testHour)
		_, _ = a.Append(0, labels.FromStrings(model.MetricNameLabel, name, "i", fmt.Sprint(i)), at, float64(rng.IntN(5)))
	}
	require.NoError(t, a.Commit())
}

func deleteSome(t testing.TB, db *tsdb.DB, rng *rand.Rand) {
	t.Helper()
	for range 5 {
		from := testBase + rng.Int64N(3*testDay)
		m := labels.MustNewMatcher(labels.MatchEqual, "i", fmt.Sprint(rng.IntN(8)))
		require.NoError(t, db.Delete(context.Background(), from, from+rng.Int64N(20*testHour), m))
	}
}

// TestRollupsOutliveSamples asks a database that keeps samples for two days what
// it rolled up before, and one that keeps them all. What lies on the grid of the
// rollups is the same; the rest is said to be coarse, and not far off.
func TestRollupsOutliveSamples(t *testing.T) {
	var whole, short *tsdb.DB
	for _, db := range []**tsdb.DB{&whole, &short} {
		*db = rollupStore(t, func(o *tsdb.Options) {
			if db == &short {
				o.Retention = 50 * time.Hour
			}
		})
		fillDays(t, *db, rand.New(rand.NewPCG(5, 5)), 6, testMinute)
	}
	require.Greater(t, short.MinTime(), testBase+3*testDay, "samples are gone")
	_, plain, _ := engines(t, whole)
	rolled, nothing, used := engines(t, short)
	rng := rand.New(rand.NewPCG(6, 6))
	for range 150 {
		q := question{start: testBase + rng.Int64N(3*24*4)*15*testMinute, step: pick[int64](rng, 5, 15, 60) * testMinute}
		q.end = q.start + 30*q.step
		q.expr = fmt.Sprintf("%s(%s[%s]%s)", pick(rng, "rate", "increase", "delta", "sum_over_time", "avg_over_time", "count_over_time", "min_over_time", "last_over_time"),
			pick(rng, "requests_total", "level", "odd"), pick(rng, "5m", "15m", "1h", "1d"), pick(rng, "", " offset 1h"))
		requireSame(t, ask(t, plain, q), ask(t, rolled, q), q)
	}
	require.Equal(t, 150, used.used)
	require.Empty(t, ask(t, nothing, question{expr: "rate(requests_total[1h])", start: testBase + testDay, end: testBase + 2*testDay, step: testHour}).Matrix)

	for _, expr := range []string{"avg_over_time(level[1h])", "rate(requests_total[3h])", "sum_over_time(level[2h])", "max_over_time(level[1m])"} {
		q := question{expr: expr, start: testBase + testDay + 12345, end: testBase + 2*testDay, step: 13 * testMinute}
		want, got := ask(t, plain, q), ask(t, rolled, q)
		require.Contains(t, got.Annotations, errCoarse.Error())
		require.Len(t, got.Matrix, len(want.Matrix), expr)
		for i, s := range want.Matrix {
			have := map[int64]float64{}
			for _, p := range got.Matrix[i].Floats {
				have[p.T] = p.F
			}
			for _, p := range s.Floats {
				if v, ok := have[p.T]; ok && !strings.HasPrefix(expr, "rate") {
					require.InEpsilon(t, p.F, v, 0.5, "%s at %d", expr, p.T)
				}
			}
			require.Greater(t, len(have), len(s.Floats)/2, expr)
		}
	}
}

// TestSelectorsWhereSamplesAreGone asks for plain selectors over times whose
// samples are gone in part: steps on the grid have the last sample of the
// lookback, as they had, unless a staleness marker came after it.
func TestSelectorsWhereSamplesAreGone(t *testing.T) {
	fillPlain := func(db *tsdb.DB) {
		g, err := db.OpenGroup(storage.GroupOptions{})
		require.NoError(t, err)
		for _, name := range []string{"level", "short"} {
			_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, name))
			require.NoError(t, err)
		}
		for i := range int64(6 * 24 * 60) {
			row := storage.Row{T: testBase + i*testMinute, Values: []float64{float64(i)}}
			if h := i / 60 % 24; h > 3 && h < 9 || i > 5*24*60 {
				row.Values = append(row.Values, float64(-i))
			}
			require.NoError(t, g.AppendRow(&row))
		}
		maintain(t, db)
		maintain(t, db)
	}
	whole := rollupStore(t)
	short := rollupStore(t, func(o *tsdb.Options) { o.Retention = 50 * time.Hour })
	fillPlain(whole)
	fillPlain(short)
	require.Greater(t, short.SamplesGone(), testBase+3*testDay)
	_, plain, _ := engines(t, whole)
	rolled, _, used := engines(t, short)
	for _, q := range []question{
		{expr: "level", start: testBase + testHour, end: testBase + 6*testDay, step: testHour},
		{expr: "short", start: testBase + testHour, end: testBase + 6*testDay, step: 15 * testMinute},
		{expr: "sum by (x) (level offset 1h) + 1", start: testBase + 2*testHour, end: testBase + 6*testDay, step: 30 * testMinute},
		{expr: "short and level", start: testBase + testDay, end: testBase + testDay, step: 5 * testMinute},
		{expr: "level", start: testBase + testDay},
		{expr: "level - short", start: testBase + testDay + 5*testHour},
	} {
		want, got := ask(t, plain, q), ask(t, rolled, q)
		require.Contains(t, got.Annotations, errCoarse.Error(), q.String())
		got.Annotations = want.Annotations
		requireSame(t, want, got, q)
	}
	require.Positive(t, used.used)
	recent := question{expr: "level", start: testBase + 5*testDay, end: testBase + 6*testDay, step: testHour}
	requireSame(t, ask(t, plain, recent), ask(t, rolled, recent), recent)
}

// TestRollupsReadLess holds a month of steps of an hour to what it is for.
func TestRollupsReadLess(t *testing.T) {
	db := rollupStore(t, func(o *tsdb.Options) {
		o.Rollups = []tsdb.Rollup{{Resolution: 5 * time.Minute}, {Resolution: time.Hour}}
	})
	g, err := db.OpenGroup(storage.GroupOptions{})
	require.NoError(t, err)
	_, err = g.AddColumn(labels.FromStrings(model.MetricNameLabel, "requests_total"))
	require.NoError(t, err)
	for i := range int64(30 * 24 * 60) {
		require.NoError(t, g.AppendRow(&storage.Row{T: testBase + i*testMinute, Values: []float64{float64(i)}}))
	}
	maintain(t, db)
	rolled, plain, used := engines(t, db)
	q := question{expr: "rate(requests_total[1h])", start: testBase + testHour, end: testBase + 30*testDay, step: testHour}
	requireSame(t, ask(t, plain, q), ask(t, rolled, q), q)
	require.Equal(t, 1, used.used)
	require.Less(t, used.read, int64(30*24*60/10), "of 43,200 samples")

	q.start, q.step = q.end, 0
	q.expr = "increase(requests_total[28d])"
	used.read = 0
	requireSame(t, ask(t, plain, q), ask(t, rolled, q), q)
	require.Less(t, used.read, int64(28*24*60/10), "of 40,320 samples")
}
