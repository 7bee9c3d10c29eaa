package plan

import (
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestShareCommon(t *testing.T) {
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
	for expr, want := range map[string][]string{
		`sum(a) / (sum(a) + sum(b))`:                                  {`sum(a)`, `sum(a)`},
		`sum (a) / sum by () (a)`:                                     {`sum (a)`, `sum by () (a)`},
		`sum(a) / sum by (x) (a)`:                                     nil,
		`sum(a) / sum(a offset 1m)`:                                   nil,
		`sum(a{x="1"}) / sum(a{x="2"})`:                               nil,
		`sum(a) / avg(a)`:                                             nil,
		`a / (a + b)`:                                                 nil, // series are not kept
		`topk(2, a) or topk(2, a)`:                                    nil,
		`scalar(sum(a)) + scalar(sum(a))`:                             {`sum(a)`, `sum(a)`},
		`sum(rate(a[5m])) > 1 and sum(rate(a[5m])) < 2`:               {`sum(rate(a[5m]))`, `sum(rate(a[5m]))`},
		`sum(rate(a[5m])) > 1 and sum(rate(a[6m])) < 2`:               nil,
		`(sum(a) + 1) / ((sum(a) + 1) * sum(a))`:                      {`sum(a) + 1`, `sum(a)`, `sum(a) + 1`, `sum(a)`},
		`(sum(a) + 1) / (sum(a) + 1)`:                                 {`sum(a) + 1`, `sum(a) + 1`},
		`max_over_time(sum(a)[5m:1m]) / sum(a)`:                       nil, // at other steps
		`max_over_time(sum(a)[5m:1m]) / max_over_time(sum(a)[5m:1m])`: nil,
		`histogram_quantile(0.9, sum by (le) (a)) / histogram_quantile(0.5, sum by (le) (a))`: {`sum by (le) (a)`, `sum by (le) (a)`},
		`sum(a @ 1) / sum(a @ 1)`: nil, // evaluated once each
	} {
		e, err := p.ParseExpr(expr)
		require.NoError(t, err, expr)
		built, err := Build(e, testTimes, Options{})
		require.NoError(t, err, expr)
		var got []string
		Walk(built.Root, func(n Node) bool {
			if s, ok := n.(*Shared); ok {
				pos := s.Position()
				got = append(got, expr[pos.Start:pos.End])
				require.GreaterOrEqual(t, s.Common.Places, 2)
			}
			return true
		})
		require.Equal(t, want, got, expr)
	}
}
