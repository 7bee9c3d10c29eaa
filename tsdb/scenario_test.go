package tsdb

import (
	"context"
	"flag"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// scenario is a short life of a database: rows of a group whose columns change,
// single samples, late ones, deletions, cuts and joins. Each step either
// succeeds and is noted, or fails; a failed step is noted as uncertain and tried
// again, if again is set.
type scenario struct {
	t     testing.TB
	fs    vfs.FS
	dir   string
	opts  Options
	again bool

	db     *DB
	group  storage.Group
	width  int
	failed bool // a step failed and was not tried again

	// certain is what the database must have; uncertain what it may have too:
	// samples that were written, or not deleted, by a step that failed.
	certain, uncertain storagetest.Contents
}

const scenarioStep = 15_000

func newScenario(t testing.TB, fsys vfs.FS, again bool) *scenario {
	opts := testOptions(fsys)
	opts.WALSync = WALSync{Always: true}
	opts.OutOfOrderWindow = time.Hour
	opts.MinBlockDuration = 10 * time.Minute
	opts.MaxBlockDuration = 90 * time.Minute
	opts.NoLockfile = true
	return &scenario{t: t, fs: fsys, dir: "data", opts: opts, again: again, certain: storagetest.Contents{}, uncertain: storagetest.Contents{}}
}

// try runs a step, up to a few times, and reports whether it succeeded.
func (s *scenario) try(what string, step func() error) bool {
	if s.failed {
		return false
	}
	for range 4 {
		err := step()
		if err == nil {
			return true
		}
		if !s.again {
			break
		}
		what = fmt.Sprintf("%s: %v", what, err)
	}
	if s.again {
		s.t.Fatalf("step goes on failing: %s", what)
	}
	s.failed = true
	return false
}

func scenarioLabels(i int) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, "m", "i", fmt.Sprint(i))
}

func note(c storagetest.Contents, ls labels.Labels, t int64, v float64) {
	c[ls.String()] = append(c[ls.String()], storagetest.Sample{T: t, V: v})
}

func (s *scenario) run() {
	ctx := context.Background()
	s.try("open", func() (err error) {
		s.db, err = Open(ctx, s.dir, s.opts)
		return err
	})
	if s.failed {
		return
	}
	for part := range 3 {
		s.openGroup(part)
		for i := range 60 {
			s.row(part, i)
			if i%20 == 19 {
				s.loose(part, i)
			}
		}
		if part == 1 {
			s.delete()
		}
		s.maintain()
	}
	s.try("clean tombstones", func() error { return s.db.CleanTombstones(ctx) })
	s.row(3, 0)
}

func (s *scenario) openGroup(part int) {
	if s.failed {
		return
	}
	if s.group != nil {
		s.try("close group", s.group.Close)
	}
	s.try("open group", func() (err error) {
		s.group, err = s.db.OpenGroup(storage.GroupOptions{Origin: "scenario"})
		return err
	})
	s.width = 4
	for i := range s.width {
		s.column(i + part)
	}
}

func (s *scenario) column(i int) {
	s.try("add column", func() error {
		_, err := s.group.AddColumn(scenarioLabels(i))
		return err
	})
}

func (s *scenario) row(part, i int) {
	t := storagetest.Base + int64(part*60+i)*scenarioStep
	row := storage.Row{T: t, Values: make([]float64, s.width)}
	for c := range row.Values {
		row.Values[c] = float64((part*60+i)*(c+1)) / 4
	}
	first := min(part, 2)
	if !s.try("row", func() error { return s.group.AppendRow(&row) }) {
		for c, v := range row.Values {
			note(s.uncertain, scenarioLabels(first+c), t, v)
		}
		return
	}
	for c, v := range row.Values {
		note(s.certain, scenarioLabels(first+c), t, v)
	}
}

// loose writes new samples of one series and late ones of another.
func (s *scenario) loose(part, i int) {
	t := storagetest.Base + int64(part*60+i)*scenarioStep
	ok := s.try("transaction", func() error {
		app := s.db.Appender(context.Background())
		if _, err := app.Append(0, scenarioLabels(20), t, 1); err != nil {
			return err
		}
		if _, err := app.Append(0, scenarioLabels(part), t-20_007, -1); err != nil {
			return err
		}
		return app.Commit()
	})
	to := s.certain
	if !ok {
		to = s.uncertain
	}
	note(to, scenarioLabels(20), t, 1)
	note(to, scenarioLabels(part), t-20_007, -1)
}

func (s *scenario) delete() {
	if s.failed {
		return
	}
	mint, maxt := storagetest.Base+10*scenarioStep, storagetest.Base+80*scenarioStep
	m := labels.MustNewMatcher(labels.MatchEqual, "i", "2")
	ok := s.try("delete", func() error { return s.db.Delete(context.Background(), mint, maxt, m) })
	name := scenarioLabels(2).String()
	var kept []storagetest.Sample
	for _, x := range s.certain[name] {
		switch {
		case x.T < mint || x.T > maxt:
			kept = append(kept, x)
		case !ok:
			s.uncertain[name] = append(s.uncertain[name], x)
		}
	}
	s.certain[name] = kept
}

func (s *scenario) maintain() {
	ctx := context.Background()
	s.try("maintain", func() error { return s.db.Maintain(ctx) })
}

// check demands that a database has everything certain and nothing that is
// neither certain nor uncertain.
func (s *scenario) check(db *DB) {
	got := storagetest.ReadAll(s.t, db)
	for name, want := range s.certain {
		have := map[int64]uint64{}
		for _, x := range got[name] {
			have[x.T] = math.Float64bits(x.V)
		}
		for _, x := range want {
			bits, ok := have[x.T]
			require.True(s.t, ok, "%s at %d was acknowledged and is lost", name, x.T)
			require.Equal(s.t, math.Float64bits(x.V), bits, "%s at %d", name, x.T)
		}
	}
	for name, list := range got {
		allowed := map[int64]struct{}{}
		for _, x := range s.certain[name] {
			allowed[x.T] = struct{}{}
		}
		for _, x := range s.uncertain[name] {
			allowed[x.T] = struct{}{}
		}
		for _, x := range list {
			require.Contains(s.t, allowed, x.T, "%s has a sample at %d that nobody wrote, or that was deleted", name, x.T)
		}
	}
}

// reopened opens the database that lies on a disk.
func (s *scenario) reopened(fsys vfs.FS) *DB {
	opts := s.opts
	opts.FS = fsys
	db, err := Open(context.Background(), s.dir, opts)
	require.NoError(s.t, err)
	return db
}

func TestScenarioWithoutFailure(t *testing.T) {
	t.Run("memory", func(t *testing.T) { runScenario(t, vfs.NewMem(), "data") })
	t.Run("disk", func(t *testing.T) { runScenario(t, vfs.OS{}, t.TempDir()) })
}

func runScenario(t *testing.T, fsys vfs.FS, dir string) {
	s := newScenario(t, fsys, false)
	s.dir, s.opts.NoLockfile = dir, false
	s.run()
	require.False(t, s.failed)
	require.NotEmpty(t, s.db.Blocks(), "the scenario does not cut the head")
	levels := 0
	for _, b := range s.db.Blocks() {
		levels = max(levels, b.Level)
	}
	require.Greater(t, levels, 1, "the scenario does not join blocks")
	s.check(s.db)
	require.NoError(t, s.db.Close())
	db := s.reopened(fsys)
	s.check(db)
	require.NoError(t, db.Close())
}

// TestFailingOperation lets each operation of the disk in turn fail once. Every
// step must succeed when it is tried again, with nothing lost or doubled.
func TestFailingOperation(t *testing.T) {
	sweep(t, func(n int) bool {
		mem := vfs.NewMem()
		fail := vfs.NewFail(mem)
		s := newScenario(t, fail, true)
		fail.Arm(vfs.Rule{Kinds: vfs.OpMutating, N: n, TearBytes: n % 5})
		s.run()
		fail.Disarm()
		s.check(s.db)
		if err := s.db.Close(); err != nil { // a failure of syncing in the background is told only now
			require.ErrorIs(t, err, vfs.ErrInjected)
		}
		db := s.reopened(mem)
		s.check(db)
		require.NoError(t, db.Close())
		return fail.Fired()
	})
}

// TestCrash stops the disk at each operation in turn and goes on with what a
// loss of power leaves: everything acknowledged must be there.
func TestCrash(t *testing.T) {
	sweep(t, func(n int) bool {
		mem := vfs.NewMem()
		fail := vfs.NewFail(mem)
		s := newScenario(t, fail, false)
		fail.Arm(vfs.Rule{Kinds: vfs.OpMutating, N: n, Sticky: true, TearBytes: n % 7})
		s.run()
		for _, disk := range []*vfs.Mem{mem.CrashClone(), mem.CrashCloneSeed(uint64(n))} {
			db := s.reopened(disk)
			s.check(db)
			flushAll(t, db)
			s.check(db)
			require.NoError(t, db.Close())
			db = s.reopened(disk)
			s.check(db)
			require.NoError(t, db.Close())
		}
		if s.db != nil {
			_ = s.db.Close() // its disk is gone
		}
		return fail.Fired()
	})
}

// sweepStep is 1 to meet every operation. Neighbouring ones are much alike, so
// plain tests take a share of them.
var sweepStep = flag.Int("sweep-step", 11, "every how many operations of the disk fail in TestFailingOperation and TestCrash")

// sweep calls f with growing numbers until it reports that the failure was not
// met.
func sweep(t *testing.T, f func(n int) bool) {
	for n := 1; f(n); n += *sweepStep {
		if t.Failed() {
			t.Fatalf("operation %d", n)
		}
	}
}
