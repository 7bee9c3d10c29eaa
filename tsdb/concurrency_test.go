package tsdb

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// TestConcurrentLife has groups with churn, appenders, readers, deletions and
// maintenance at once. Readers demand whole rows and whole transactions, at all
// times; in the end nothing may be missing.
func TestConcurrentLife(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.MinBlockDuration, opts.MaxBlockDuration = 10*time.Minute, 90*time.Minute
	opts.Now = time.Now
	opts.OutOfOrderWindow = 2 * time.Hour
	db := openDB(t, opts)
	const groups, rows, round = 3, 400, 10
	var others sync.WaitGroup
	done := make(chan struct{})
	for n := range 2 {
		others.Go(func() {
			for round := n; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				if !readWhole(t, db, round%groups) {
					return
				}
			}
		})
	}
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := db.Maintain(context.Background()); err != nil {
				t.Errorf("maintain: %v", err)
				return
			}
			err := db.Delete(context.Background(), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "kind", "doomed"))
			if err != nil {
				t.Errorf("delete: %v", err)
				return
			}
		}
	})
	var written atomic.Int64 // rows that all writers have written
	others.Go(func() { writeLate(t, db, &written, done) })
	// The writers go on together, so that none is as late as the head is cut:
	// rows that late are single samples, and a reader may miss them and see
	// later ones.
	writers := make([]*groupWriter, groups)
	for n := range writers {
		writers[n] = newGroupWriter(t, db, n)
	}
	for from := 0; from < rows && !t.Failed(); from += round {
		var all sync.WaitGroup
		for _, w := range writers {
			all.Go(func() { w.write(t, from, from+round) })
		}
		all.Go(func() { writeTransactions(t, db, from, from+round) })
		all.Wait()
		written.Store(int64(from + round))
	}
	close(done)
	others.Wait()
	if t.Failed() {
		return
	}
	require.NoError(t, db.Maintain(context.Background()))
	require.NotEmpty(t, db.Blocks())
	for range 2 {
		for n := range groups {
			require.Equal(t, rows, countSamples(t, db, labels.FromStrings(model.MetricNameLabel, "m", "g", fmt.Sprint(n), "i", "0")))
		}
		require.Equal(t, rows, countSamples(t, db, labels.FromStrings(model.MetricNameLabel, "txn", "i", "3")))
		require.NoError(t, db.Close())
		db = openDB(t, db.opts)
	}
	require.NoError(t, db.Close())
}

// groupWriter appends rows of which columns 0 to 9 are always there, and one
// more that is another series every few rows. The value is the number of the row.
type groupWriter struct {
	n     int
	group storage.Group
	churn storage.Column
	row   storage.Row
}

func newGroupWriter(t *testing.T, db *DB, n int) *groupWriter {
	g, err := db.OpenGroup(storage.GroupOptions{Origin: fmt.Sprint(n)})
	require.NoError(t, err)
	const columns = 10
	for i := range columns {
		_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "m", "g", fmt.Sprint(n), "i", fmt.Sprint(i)))
		require.NoError(t, err)
	}
	return &groupWriter{n: n, group: g, churn: columns, row: storage.Row{Values: make([]float64, columns+1)}}
}

func (w *groupWriter) write(t *testing.T, from, to int) {
	for i := from; i < to; i++ {
		if i%7 == 0 {
			w.group.ReleaseColumn(w.churn)
			ls := labels.FromStrings(model.MetricNameLabel, "churn", "g", fmt.Sprint(w.n), "i", fmt.Sprint(i), "kind", "doomed")
			if c, err := w.group.AddColumn(ls); err != nil || c != w.churn {
				t.Errorf("group %d: column %d, want %d: %v", w.n, c, w.churn, err)
				return
			}
		}
		w.row.T = aligned + int64(i)*15_000
		for c := range w.row.Values {
			w.row.Values[c] = float64(i)
		}
		if err := w.group.AppendRow(&w.row); err != nil {
			t.Errorf("group %d row %d: %v", w.n, i, err)
			return
		}
	}
}

func writeTransactions(t *testing.T, db *DB, from, to int) {
	for i := from; i < to; i++ {
		app := db.Appender(context.Background())
		for k := range 5 {
			if _, err := app.Append(0, labels.FromStrings(model.MetricNameLabel, "txn", "i", fmt.Sprint(k)), aligned+int64(i)*15_000, float64(i)); err != nil {
				t.Error(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Errorf("transaction %d: %v", i, err)
			return
		}
	}
}

// writeLate appends samples behind the rows that are written, which the blocks
// are asked about. None is ahead: that would have the head cut before the rows
// come.
func writeLate(t *testing.T, db *DB, written *atomic.Int64, done chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		app := db.Appender(context.Background())
		ts := aligned + int64(i)*7919%max(written.Load(), 1)*15_000 + 1
		if _, err := app.Append(0, labels.FromStrings(model.MetricNameLabel, "late", "i", fmt.Sprint(i%3)), ts, float64(ts)); err != nil {
			t.Errorf("late sample: %v", err)
		}
		if err := app.Commit(); err != nil {
			t.Errorf("late transaction: %v", err)
			return
		}
	}
}

// readWhole reads the lasting columns of a group, and those of the transactions,
// in one snapshot each, and demands that all end at the same row.
func readWhole(t *testing.T, db *DB, group int) bool {
	q, err := db.Querier(aligned, math.MaxInt64)
	if err != nil {
		t.Errorf("open a querier: %v", err)
		return false
	}
	defer q.Close()
	for _, m := range [][]*labels.Matcher{
		{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "m"), labels.MustNewMatcher(labels.MatchEqual, "g", fmt.Sprint(group))},
		{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "txn")},
	} {
		set := q.Select(context.Background(), nil, m...)
		length := -1
		var it storage.BatchIterator
		var b storage.Batch
		for set.Next() {
			n := 0
			for it = set.At().Batches(it); it.Next(&b); {
				for i, v := range b.Values {
					if v != float64(n) || b.Times[i] != aligned+int64(n)*15_000 {
						t.Errorf("%s: sample %d is %v at %d", set.At().Labels(), n, v, b.Times[i])
						return false
					}
					n++
				}
			}
			if it.Err() != nil || (length >= 0 && length != n) {
				t.Errorf("%s has %d samples, its neighbour %d: %v", set.At().Labels(), n, length, it.Err())
				return false
			}
			length = n
		}
		if set.Err() != nil {
			t.Error(set.Err())
			return false
		}
	}
	return true
}

func countSamples(t *testing.T, db *DB, ls labels.Labels) int {
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	var ms []*labels.Matcher
	ls.Range(func(l labels.Label) { ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value)) })
	set := q.Select(context.Background(), nil, ms...)
	n := 0
	for set.Next() {
		var b storage.Batch
		for it := set.At().Batches(nil); it.Next(&b); {
			n += b.Len()
		}
	}
	require.NoError(t, set.Err())
	return n
}
