package head

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func TestChangesSince(t *testing.T) {
	c := NewChanges()
	begin, least := c.Since(0)
	require.Equal(t, int64(math.MaxInt64), least)
	c.Note(100)
	first, least := c.Since(begin)
	require.Equal(t, int64(100), least)
	c.Note(300)
	c.Note(200)
	second, least := c.Since(first)
	require.Equal(t, int64(200), least)
	again, least := c.Since(second)
	require.Equal(t, int64(math.MaxInt64), least)
	require.Equal(t, second, again, "no epoch without a change")
	_, least = c.Since(begin)
	require.Equal(t, int64(100), least)
	c.Note(50)
	_, least = c.Since(first)
	require.Equal(t, int64(50), least)
}

// TestChangesAgreeWithList compares with a list of all that was noted.
func TestChangesAgreeWithList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := NewChanges()
	type event struct {
		mark storage.Mark
		from int // of the list
	}
	var list []int64
	marks := []event{}
	for range 5 * maxEpochs {
		for range rng.IntN(3) {
			at := int64(len(list)) + rng.Int64N(100)
			if rng.IntN(200) == 0 {
				at -= rng.Int64N(1 + int64(len(list)))
			}
			c.Note(at)
			list = append(list, at)
		}
		now, _ := c.Since(0)
		marks = append(marks, event{now, len(list)})
		asked := marks[rng.IntN(len(marks))]
		_, least := c.Since(asked.mark)
		want := int64(math.MaxInt64)
		for _, at := range list[asked.from:] {
			want = min(want, at)
		}
		require.LessOrEqual(t, least, want)
		if want == math.MaxInt64 || asked.mark+maxEpochs > now {
			require.Equal(t, want, least, "since mark %d of %d", asked.mark, now)
		}
		require.LessOrEqual(t, len(c.ended), maxEpochs)
	}
}

// TestChangesOfMany asks while others note what they have made visible: whoever did
// not see a change when the mark was made hears of it.
func TestChangesOfMany(t *testing.T) {
	c := NewChanges()
	const writers, each = 4, 3000
	var visible [writers]atomic.Int64
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range int64(each) {
				at := -(i*writers + int64(w)) // ever older, so that each counts
				c.Note(at)
				visible[w].Store(i + 1)
				c.Note(at)
			}
		})
	}
	type snapshot struct {
		mark storage.Mark
		seen [writers]int64
	}
	var taken []snapshot
	for done := false; !done; {
		now, _ := c.Since(0)
		s := snapshot{mark: now}
		done = true
		for w := range writers {
			s.seen[w] = visible[w].Load()
			done = done && s.seen[w] == each
		}
		taken = append(taken, s)
	}
	writing.Wait()
	for _, s := range taken {
		_, least := c.Since(s.mark)
		for w := range writers {
			if s.seen[w] < each {
				require.LessOrEqual(t, least, -(s.seen[w]*writers + int64(w)))
			}
		}
	}
}
