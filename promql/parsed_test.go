package promql

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParsedExpressionsAreBounded(t *testing.T) {
	const max = 4096
	p := newParsedExpressions(scriptOptions().Parser, max)
	first, err := p.of("up == 0")
	require.NoError(t, err)
	for i := range 10_000 {
		_, err := p.of(fmt.Sprintf("metric_%d", i))
		require.NoError(t, err)
		require.LessOrEqual(t, p.held(), max)
		if i%50 == 0 {
			again, err := p.of("up == 0")
			require.NoError(t, err)
			require.Same(t, first, again, "what is asked for stays")
		}
	}
	for range 2 {
		_, err = p.of("up ==")
		require.Error(t, err)
	}
	long := strings.Repeat("a", maxParsedExpression+1)
	a, err := p.of(long)
	require.NoError(t, err)
	b, err := p.of(long)
	require.NoError(t, err)
	require.NotSame(t, a, b)
}

// TestTreesAreShared asks the same from several goroutines, of one tree: the race
// detector tells if planning changes it.
func TestTreesAreShared(t *testing.T) {
	e := newTestEngine(t, fill(t))
	at := time.UnixMilli(30_000)
	for _, expr := range []string{
		`sum by (i) (rate(up[10s])) / on (i) group_left () sum by (i) (up @ end())`,
		`up{i="0"} * ignoring (i) up{i=~"1|2"} offset 5s`,
		`quantile(0.5, max_over_time(up[10s:1s] @ start()))`,
	} {
		want, err := e.Instant(t.Context(), expr, at, QueryOptions{})
		require.NoError(t, err, expr)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for range 20 {
					got, err := e.Range(t.Context(), expr, at, at.Add(10*time.Second), time.Second, QueryOptions{})
					if assert.NoError(t, err) {
						got.Close()
					}
				}
			})
		}
		asking.Wait()
		again, err := e.Instant(t.Context(), expr, at, QueryOptions{})
		require.NoError(t, err)
		require.Equal(t, want.Vector, again.Vector, expr)
		want.Close()
		again.Close()
	}
}
