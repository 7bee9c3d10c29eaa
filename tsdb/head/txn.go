package head

import (
	"context"
	"math"
	"sync"
)

// transactions orders the commits of appenders and says what a reader may see
// of them. A transaction has a number; its samples carry it and are invisible
// until the transaction is published, then visible to readers that begin
// afterwards. Transactions are committed side by side and published in the order
// of their numbers. Rows of groups need none of this: see groupView.
type transactions struct {
	// commit is held for reading by a transaction from before it has a number
	// until it has ended; for writing by those who must not find one halfway.
	commit sync.RWMutex

	mu struct {
		sync.Mutex
		// begun is the last number given out. Those up to published have ended,
		// and those in ended, which are greater; its values are the transactions
		// with which they are published: see end.
		begun, published uint64
		ended            map[uint64]uint64
		// failed is the last transaction that was taken back.
		failed uint64
		// readers has the open readers, each with the last transaction it sees.
		readers map[uint64]uint64
		next    uint64 // the next reader's key
		// readerEnded is closed, and replaced, when a reader ends.
		readerEnded chan struct{}
	}
	// advanced is signalled when published grows; its lock is mu.
	advanced sync.Cond
}

// allVisible is the number that sees every transaction, also unpublished ones.
const allVisible = math.MaxUint64

func newTransactions() *transactions {
	t := &transactions{}
	t.mu.ended = map[uint64]uint64{}
	t.mu.readers = map[uint64]uint64{}
	t.mu.readerEnded = make(chan struct{})
	t.advanced.L = &t.mu
	return t
}

// turn is the number of a transaction, and what was when it got it.
type turn struct {
	txn uint64
	// settled is a transaction that every open and every future reader sees,
	// published the last one that had ended, like all before it.
	settled, published uint64
}

// begin gives a transaction its number. The caller holds commit for reading.
func (t *transactions) begin() turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.begun++
	return turn{txn: t.mu.begun, settled: t.settledLocked(), published: t.mu.published}
}

// end says that a transaction is in the log, or that nothing is left of it, and
// returns when it and those before it have ended: then readers see it. shared says
// that it left out samples because others have them, which have begun: they are
// published together, so that readers see it whole.
func (t *transactions) end(txn uint64, failed, shared bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	with := txn
	if failed {
		t.mu.failed = max(t.mu.failed, txn)
	} else if shared {
		with = t.mu.begun
	}
	t.mu.ended[txn] = with
	t.publishLocked()
	t.awaitLocked(txn)
}

// publishLocked publishes what has ended, in the order of the numbers, up to where
// nothing has to be published together with a later one.
func (t *transactions) publishLocked() {
	with := t.mu.published
	for last := t.mu.published + 1; ; last++ {
		other, ok := t.mu.ended[last]
		if !ok {
			return
		}
		if with = max(with, other); with > last {
			continue
		}
		for n := t.mu.published + 1; n <= last; n++ {
			delete(t.mu.ended, n)
		}
		t.mu.published = last
		t.advanced.Broadcast()
	}
}

// awaitLocked waits until the transactions up to txn have ended.
func (t *transactions) awaitLocked(txn uint64) {
	for t.mu.published < txn {
		t.advanced.Wait()
	}
}

// awaitBegun waits for the transactions that have begun, and reports whether one
// later than published was taken back. The caller has ended its own.
func (t *transactions) awaitBegun(published uint64) (failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.awaitLocked(t.mu.begun)
	return t.mu.failed > published
}

// last returns the last transaction. The caller holds commit for writing.
func (t *transactions) last() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.published
}

// beginRead registers a reader and returns its key and the last transaction
// that it sees.
func (t *transactions) beginRead() (key, sees uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key = t.mu.next
	t.mu.next++
	t.mu.readers[key] = t.mu.published
	return key, t.mu.published
}

func (t *transactions) endRead(key uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.readers, key)
	close(t.mu.readerEnded)
	t.mu.readerEnded = make(chan struct{})
}

// settledLocked returns the last transaction that every open and every future reader
// sees.
func (t *transactions) settledLocked() uint64 {
	low := t.mu.published
	for _, sees := range t.mu.readers {
		low = min(low, sees)
	}
	return low
}

// drain waits until every reader that is open now has ended.
func (t *transactions) drain(ctx context.Context) error {
	t.mu.Lock()
	until := t.mu.next
	for t.anyBeforeLocked(until) {
		ended := t.mu.readerEnded
		t.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		t.mu.Lock()
	}
	t.mu.Unlock()
	return nil
}

func (t *transactions) anyBeforeLocked(key uint64) bool {
	for k := range t.mu.readers {
		if k < key {
			return true
		}
	}
	return false
}
