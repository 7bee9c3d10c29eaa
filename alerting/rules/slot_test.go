package rules

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	upstream "github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"
)

// TestSlotsLikeUpstream holds that groups keep their phase when Prometheus is
// replaced.
func TestSlotsLikeUpstream(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		file, name := fmt.Sprintf("/etc/rules-%d.yml", i%7), fmt.Sprintf("group-%d", i)
		interval := time.Duration(1+rng.Int64N(600)) * time.Second
		now := time.Unix(1_700_000_000, rng.Int64N(1e18))
		want := upstream.NewGroup(upstream.GroupOptions{Name: name, File: file, Interval: interval}).EvalTimestamp(now.UnixNano())
		got := slotBefore(now, interval, slotOffset(file, name, interval))
		require.Equal(t, want, got)
		require.False(t, got.After(now))
		require.Less(t, now.Sub(got), interval)
	}
}

func TestSlotsAreSpread(t *testing.T) {
	const interval, groups, buckets = time.Minute, 1000, 10
	var counts [buckets]int
	for i := range groups {
		counts[slotOffset("f", fmt.Sprint(i), interval)*buckets/interval]++
	}
	for _, n := range counts {
		require.InDelta(t, groups/buckets, n, groups/buckets/2)
	}
}

func TestNextSlot(t *testing.T) {
	const interval = time.Minute
	last := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		after  time.Duration
		want   time.Duration
		missed int
	}{
		"on time":                             {after: interval, want: interval},
		"a little late":                       {after: interval + 10*time.Second, want: interval},
		"a little early":                      {after: interval - time.Millisecond, want: interval},
		"one missed":                          {after: 2*interval + time.Second, want: 2 * interval, missed: 1},
		"many missed":                         {after: 61*interval - 1, want: 60 * interval, missed: 59},
		"clock set back by less than a slot":  {after: 10 * time.Second, want: interval},
		"clock set back into the slot before": {after: -10 * time.Second, want: -interval},
		"clock set back by an hour":           {after: -time.Hour, want: -time.Hour},
		"clock set back by an hour and some":  {after: -time.Hour - time.Second, want: -time.Hour - interval},
	} {
		t.Run(name, func(t *testing.T) {
			slot, missed := nextSlot(last, last.Add(c.after), interval)
			require.Equal(t, c.want, slot.Sub(last))
			require.Equal(t, c.missed, missed)
		})
	}
}
