package tsdb

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// seeds and firstSeed choose the random runs of TestAgreesWithModel. `make soak`
// has thousands of them; a run that failed is repeated with its seed alone.
var (
	seeds     = flag.Uint64("seeds", 40, "how many runs of random operations")
	firstSeed = flag.Uint64("first-seed", 0, "seed of the first run of random operations")
)

// TestAgreesWithModel drives databases with random options, and the map-based
// model, through the same random operations: rows, late ones, single samples,
// deletions, cuts, joins, cleanings, retention, restarts and losses of power.
func TestAgreesWithModel(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			storagetest.RunRandom(t, randomHarness(seed), seed, 300)
		})
	}
}

// randomHarness draws the options of a database, and what happens at each flush,
// from the seed.
func randomHarness(seed uint64) storagetest.Harness {
	rng := rand.New(rand.NewPCG(seed, 7))
	opts := testOptions(nil)
	opts.WALSync = WALSync{Always: true} // what was acknowledged survives a loss of power
	opts.WALSegmentBytes = []int64{1 << 16, 1 << 18, 128 << 20}[rng.IntN(3)]
	opts.MinBlockDuration = []time.Duration{5 * time.Minute, 20 * time.Minute, 2 * time.Hour}[rng.IntN(3)]
	opts.MaxBlockDuration = opts.MinBlockDuration * time.Duration(1+rng.IntN(10))
	h := harness()
	if rng.IntN(3) == 0 {
		opts.Retention = 100 * time.Minute
		h.Retention = opts.Retention.Milliseconds()
	}
	h.Open = func(t testing.TB, outOfOrder int64) storage.Store {
		opts.FS = vfs.NewMem()
		opts.OutOfOrderWindow = time.Duration(outOfOrder) * time.Millisecond
		return openDB(t, opts)
	}
	h.Crash = func(t testing.TB, s storage.Store) storage.Store {
		db := s.(*DB)
		opts := db.opts
		opts.FS = db.opts.FS.(*vfs.Mem).CrashCloneSeed(rng.Uint64())
		require.NoError(t, s.Close()) // to the disk that is no more
		return openDB(t, opts)
	}
	h.Flush = func(t testing.TB, s storage.Store) { randomFlush(t, s.(*DB), rng) }
	if seed%2 == 1 {
		return inBackground(h)
	}
	return h
}

// randomFlush moves data on in one of the ways there are.
func randomFlush(t testing.TB, db *DB, rng *rand.Rand) {
	t.Helper()
	ctx := context.Background()
	switch rng.IntN(6) {
	case 0:
		flushAll(t, db)
	case 1:
		require.NoError(t, db.CleanTombstones(ctx))
	case 2: // A cut somewhere in the middle.
		db.working.Lock()
		defer db.working.Unlock()
		if mint, maxt := db.head.NextTime(noTime), db.head.MaxTime(); mint < maxt {
			require.NoError(t, db.cutHead(ctx, mint+rng.Int64N(maxt-mint)))
			if rng.IntN(2) == 0 { // Else the log has it until the next maintenance.
				require.NoError(t, db.checkpointCut(ctx))
			}
		}
	case 3: // A checkpoint without a cut.
		db.working.Lock()
		defer db.working.Unlock()
		require.NoError(t, db.head.Checkpoint(ctx, math.MinInt64))
	default:
		require.NoError(t, db.Maintain(ctx))
	}
}
