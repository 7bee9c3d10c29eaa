package head

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/gnomonhq/gnomon/storage"
)

// Changes knows the least timestamp of what was added or deleted since a mark: see
// storage.ChangeTracker. Marks are numbers of epochs. Each epoch has the least
// timestamp of its changes; one that has any ends when somebody asks.
//
// A change is noted twice, before readers can see it and after. By the first, who asks
// after a querier was opened knows what that sees. By the second, a mark that comes
// between the first and the moment that readers see it is before the change.
type Changes struct {
	current atomic.Pointer[epoch]

	mu sync.Mutex
	// ended has the epochs that may decide, ascending in their numbers and in their least
	// timestamps: an epoch after which there was an older change decides nothing.
	ended []endedEpoch
}

type epoch struct {
	number storage.Mark
	least  atomic.Int64
}

type endedEpoch struct {
	number storage.Mark
	least  int64
}

// maxEpochs bounds the ended epochs: the oldest are put together.
const maxEpochs = 1024

// NewChanges returns the changes of a store that has just been opened.
func NewChanges() *Changes {
	c := &Changes{}
	c.begin(1)
	return c
}

func (c *Changes) begin(number storage.Mark) {
	e := &epoch{number: number}
	e.least.Store(math.MaxInt64)
	c.current.Store(e)
}

// Note says that something at t changes, or at t and later. Nearly always that is three loads: only
// what is older than all else of the epoch is written.
func (c *Changes) Note(t int64) {
	for {
		e := c.current.Load()
		for {
			least := e.least.Load()
			if least <= t || e.least.CompareAndSwap(least, t) {
				break
			}
		}
		// If the epoch ended meanwhile, who ended it may have looked too early.
		if c.current.Load() == e {
			return
		}
	}
}

// Since is ChangedSince of storage.ChangeTracker.
func (c *Changes) Since(mark storage.Mark) (now storage.Mark, least int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.current.Load()
	if e.least.Load() != math.MaxInt64 {
		c.begin(e.number + 1)
		c.endLocked(endedEpoch{e.number, e.least.Load()})
	}
	least = math.MaxInt64
	for _, d := range c.ended {
		if d.number >= mark {
			least = d.least
			break
		}
	}
	return c.current.Load().number, least
}

func (c *Changes) endLocked(e endedEpoch) {
	n := len(c.ended)
	for n > 0 && c.ended[n-1].least >= e.least {
		n--
	}
	c.ended = append(c.ended[:n], e)
	if len(c.ended) > maxEpochs {
		c.ended[1].least = c.ended[0].least
		c.ended = append(c.ended[:0], c.ended[1:]...)
	}
}
