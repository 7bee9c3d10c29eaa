package discovery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPacer(t *testing.T) {
	now := time.Unix(1000, 0)
	p := newPacer(5 * time.Second)
	require.Equal(t, gatherTime, p.wait(now), "the first change")
	// Receivers may start late; that is not the cost of a delivery.
	require.True(t, p.delivered(now, now.Add(time.Minute)))
	now = now.Add(time.Minute)
	require.Equal(t, minInterval, p.wait(now), "a change soon after")
	require.Equal(t, gatherTime, p.wait(now.Add(time.Second)), "a change after a quiet time")

	// A receiver that needs 600 ms is left alone for four times that, at most 5 s.
	offered := now.Add(minInterval)
	now = now.Add(600 * time.Millisecond)
	require.True(t, p.delivered(offered, now))
	require.Equal(t, 2400*time.Millisecond, p.wait(now))
	require.True(t, p.delivered(now.Add(time.Second), now.Add(time.Minute)))
	now = now.Add(time.Minute)
	require.Equal(t, 5*time.Second, p.wait(now))

	// It gets more often again when it keeps up.
	for _, want := range []time.Duration{2500 * time.Millisecond, 1250 * time.Millisecond, 625 * time.Millisecond, minInterval, minInterval} {
		now = now.Add(10 * time.Second)
		require.False(t, p.delivered(now, now))
		require.Equal(t, want, p.wait(now))
	}

	// A bound that is less than the least interval is heeded.
	p = newPacer(time.Millisecond)
	require.Equal(t, time.Millisecond, p.wait(now))
	require.False(t, p.delivered(now, now))
	require.Equal(t, time.Millisecond, p.wait(now))
}
