package head

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// sharedWriter commits transactions to series that others write to as well.
type sharedWriter struct {
	head   *Head
	series []labels.Labels
	refs   []storage.SeriesRef
	done   []int64 // times of the transactions that were committed
}

// commit appends a sample at t to each series. It tries until the log takes it, and
// reports how often it did not.
func (w *sharedWriter) commit(at int64) (failures int, err error) {
	for ; failures < 1000; failures++ {
		app := w.head.Appender(context.Background())
		for i, ls := range w.series {
			if w.refs[i], err = app.Append(w.refs[i], ls, at, float64(at)); err != nil {
				return failures, err
			}
		}
		if err = app.Commit(); err == nil {
			w.done = append(w.done, at)
			return failures, nil
		}
	}
	return failures, err
}

// TestTransactionsSideBySide has writers that commit to the same series at once, in
// and out of order, each transaction twice, while the log fails now and then. Readers
// demand whole transactions; in the end everything is there that was acknowledged,
// also after a restart.
func TestTransactionsSideBySide(t *testing.T) {
	t.Run("log works", func(t *testing.T) { transactionsSideBySide(t, false) })
	t.Run("log fails", func(t *testing.T) { transactionsSideBySide(t, true) })
}

// transactionsSideBySide lets the log fail now and then. A transaction that left out a sample
// because another one had it, which was not logged, may be seen without it until its writer, who
// is told, sends it again.
func transactionsSideBySide(t *testing.T, failing bool) {
	const writers, each, width = 4, 60, 20
	mem := vfs.NewMem()
	disk := vfs.NewFail(mem)
	h := openHead(t, disk, 1<<40)
	series := make([]labels.Labels, width)
	for i := range series {
		series[i] = labels.FromStrings("__name__", fmt.Sprint("m", i))
	}
	list := make([]*sharedWriter, writers)
	var all sync.WaitGroup
	var failures, left atomic.Int64
	left.Store(writers)
	for n := range list {
		w := &sharedWriter{head: h, series: series, refs: make([]storage.SeriesRef, width)}
		list[n] = w
		all.Go(func() {
			defer left.Add(-1)
			for i := range each {
				// Two writers commit the same; every third transaction is late.
				at := int64(1_000_000 + (i*writers+n/2)*1000)
				if i%3 == 2 {
					at -= 7500
				}
				failed, err := w.commit(at)
				if failures.Add(int64(failed)); err != nil {
					t.Errorf("writer %d at %d: %v", n, at, err)
					return
				}
			}
		})
	}
	store := headStore{h, disk}
	for n := 1; left.Load() > 0; n++ {
		got := storagetest.ReadAll(t, store)
		if failing {
			disk.Arm(vfs.Rule{Kinds: vfs.OpWrite, N: 1 + n%5})
		} else {
			requireWhole(t, series, got)
		}
	}
	all.Wait()
	disk.Disarm()
	t.Logf("the log failed %d transactions", failures.Load())
	for range 2 {
		got := storagetest.ReadAll(t, store)
		requireWhole(t, series, got)
		seen := map[int64]bool{}
		for _, s := range got[series[0].String()] {
			seen[s.T] = true
		}
		times := map[int64]bool{}
		for _, w := range list {
			for _, at := range w.done {
				times[at] = true
			}
		}
		require.Equal(t, times, seen)
		require.NoError(t, store.Close())
		store = headStore{openHead(t, mem, 1<<40), mem}
	}
	require.NoError(t, store.Close())
}

// requireWhole demands that all series have the same samples, in order.
func requireWhole(t *testing.T, series []labels.Labels, got storagetest.Contents) {
	t.Helper()
	first := got[series[0].String()]
	for i, s := range first {
		require.True(t, i == 0 || first[i-1].T < s.T)
	}
	for _, ls := range series {
		require.Equal(t, first, got[ls.String()], "%s", ls)
	}
}

// TestTransactionsEndInOrder publishes transactions that end in another order than
// they begin.
func TestTransactionsEndInOrder(t *testing.T) {
	txns := newTransactions()
	first, second, third := txns.begin(), txns.begin(), txns.begin()
	var ended sync.WaitGroup
	for _, turn := range []turn{third, second} {
		ended.Go(func() { txns.end(turn.txn, turn == second, false) })
	}
	_, sees := txns.beginRead()
	require.Less(t, sees, first.txn, "nothing is seen before the first has ended")
	txns.end(first.txn, false, false)
	ended.Wait()
	_, sees = txns.beginRead()
	require.Equal(t, third.txn, sees)
	require.True(t, txns.awaitBegun(first.published))
	require.False(t, txns.awaitBegun(third.txn))
	fourth := txns.begin()
	require.Equal(t, third.txn, fourth.published)
	require.Equal(t, first.published, fourth.settled, "a reader does not see the first")
}

// TestLooseTransactionsCross puts samples of two transactions into a series in another
// order than they are published, and takes one back.
func TestLooseTransactionsCross(t *testing.T) {
	times := func(l *loose, txn uint64) (out []int64) {
		v := l.view(txn)
		its := v.iterators(minTime, maxTime)
		for _, it := range its {
			var b storage.Batch
			for it.Next(&b) {
				out = append(out, b.Times...)
			}
			require.NoError(t, it.Err())
		}
		require.Equal(t, len(out) > 0, v.overlaps(minTime, maxTime))
		return out
	}
	var l loose
	l.addNewest(10, 1, 1, 0)
	l.addNewest(30, 3, 3, 1)
	l.addNewest(40, 4, 2, 1) // older, and not to be seen by whom sees only this
	l.addNewest(50, 5, 4, 1)
	require.Equal(t, []int64{10}, times(&l, 1))
	require.Equal(t, []int64{10, 40}, times(&l, 2))
	require.Equal(t, []int64{10, 30, 40}, times(&l, 3))
	require.Equal(t, []int64{10, 30, 50, 40}, times(&l, 4))
	before := l.view(4)
	require.NoError(t, l.takeBack(3))
	require.Equal(t, []int64{10, 50, 40}, times(&l, 4))
	require.NoError(t, l.takeBack(2))
	require.Equal(t, []int64{10, 50}, times(&l, allVisible))
	require.Len(t, before.tailSamples(minTime, maxTime), 1, "a reader keeps what it had")
	l.addNewest(60, 6, 5, 4)
	require.Equal(t, []int64{10, 50, 60}, times(&l, 5))
}

// TestTransactionsThatShareAreSeenTogether has a transaction that left out a sample because a later
// one has it, and that one the other way around.
func TestTransactionsThatShareAreSeenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		txns := newTransactions()
		sees := func() uint64 {
			key, published := txns.beginRead()
			txns.endRead(key)
			return published
		}
		first, second := txns.begin(), txns.begin()
		var ended sync.WaitGroup
		ended.Go(func() { txns.end(first.txn, false, true) })
		synctest.Wait()
		require.Zero(t, sees(), "the second may have what the first left out")
		third := txns.begin()
		ended.Go(func() { txns.end(second.txn, false, true) })
		synctest.Wait()
		require.Zero(t, sees(), "the third may have what the second left out")
		txns.end(third.txn, false, false)
		ended.Wait()
		require.Equal(t, third.txn, sees())
		fourth := txns.begin()
		txns.end(fourth.txn, false, true)
		require.Equal(t, fourth.txn, sees())
	})
}

// TestFirstTransactionsTogether has two writers that begin an empty store with the same sample.
func TestFirstTransactionsTogether(t *testing.T) {
	h := openHead(t, vfs.NewMem(), 1<<40)
	s := labels.FromStrings("__name__", "m")
	app := h.Appender(context.Background())
	_, err := app.Append(0, s, 1000, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	h.maxTime.Store(minTime) // as long as the first one is not done
	app = h.Appender(context.Background())
	_, err = app.Append(0, s, 1000, 1)
	require.NoError(t, err, "it is not too old")
	require.NoError(t, app.Commit())
	require.NoError(t, h.Close())
}
