package plan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestPiecewise(t *testing.T) {
	times := Times{Start: time.UnixMilli(0), End: time.UnixMilli(600_000), Step: 10 * time.Second}
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true, ExperimentalDurationExpr: true})
	for expr, want := range map[string]bool{
		`up`:                                     true,
		`sum by (job) (rate(up[5m] offset -1m))`: true,
		`max_over_time(rate(a[1m])[5m:1m])`:      true,
		`a / on (x) b > 3`:                       true,
		`a * step()`:                             false,
		`rate(a[step()])`:                        true,
		`rate(a[range()])`:                       false,
		`rate(a[range() * 2])`:                   false,
		`a - start()`:                            false,
		`a @ 100`:                                false,
		`a @ end()`:                              false,
		`sum_over_time(a[5m:1m] @ 100)`:          false,
		`{job="a"}`:                              false,
		`{__name__=~"a|b"}`:                      false,
		`topk(3, a)`:                             false,
		`label_replace(a, "b", "", "b", "")`:     false,
		`time()`:                                 false,
	} {
		e, err := p.ParseExpr(expr)
		require.NoError(t, err, expr)
		built, err := Build(e, times, Options{})
		require.NoError(t, err, expr)
		require.Equal(t, want, built.Piecewise(), expr)
	}
}
