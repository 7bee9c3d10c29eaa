package promql

import (
	"fmt"
	"strings"
	"testing"

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
