package head

import (
	"context"
	"math"
	"sync"

	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// transactions orders the commits of appenders and says what a reader may see
// of them. A transaction has a number; its samples carry it and are invisible
// until the transaction is published, then visible to readers that begin
// afterwards. Rows of groups need none of this: see groupView.
type transactions struct {
	// commit is held from the first sample of a transaction being put into a
	// series until the transaction is published or taken back, so transactions
	// follow each other one by one.
	commit sync.Mutex
	// samples is scratch memory of transact, guarded by commit.
	samples []wal.Sample

	mu struct {
		sync.Mutex
		published uint64
		// readers has the open readers, each with the last transaction it sees.
		readers map[uint64]uint64
		next    uint64 // the next reader's key
		// ended is closed, and replaced, when a reader ends.
		ended chan struct{}
	}
}

// allVisible is the number that sees every transaction, also unpublished ones.
const allVisible = math.MaxUint64

func newTransactions() *transactions {
	t := &transactions{}
	t.mu.readers = map[uint64]uint64{}
	t.mu.ended = make(chan struct{})
	return t
}

// next returns the number for the transaction that is being committed. The
// caller holds commit.
func (t *transactions) next() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.published + 1
}

// publish makes the transaction visible. The caller holds commit.
func (t *transactions) publish(n uint64) {
	t.mu.Lock()
	t.mu.published = n
	t.mu.Unlock()
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
	close(t.mu.ended)
	t.mu.ended = make(chan struct{})
}

// settled returns the last transaction that every open and every future reader
// sees.
func (t *transactions) settled() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
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
		ended := t.mu.ended
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
