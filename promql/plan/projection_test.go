package plan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestProjection(t *testing.T) {
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
	for expr, want := range map[string][]string{
		`sum by (job, zone) (up)`: {"job", "zone", "__name__"},
		`sum(up)`:                 {"__name__"},
		`avg by (job) (-abs(rate(up{a="b"}[5m])) * 100)`:        {"job", "__name__"},
		`quantile by (job) (0.5, up > 1)`:                       {"job", "__name__"},
		`max(sum by (job) (predict_linear(up[5m], scalar(x))))`: {"job", "__name__"},
		`group(round(up offset 5m, 2))`:                         {"__name__"},
		`count(timestamp(up))`:                                  {"__name__"},
		`sum by (job) (up @ 100)`:                               {"job", "__name__"},
		`sum without (job) (up)`:                                nil,
		`topk by (job) (5, up)`:                                 nil,
		`count_values by (job) ("v", up)`:                       nil,
		`up`:                                                    nil,
		`sum by (job) ({job="a"})`:                              nil,
		`sum by (job) ({__name__=~"up"})`:                       nil,
		`sum by (job) (up + on (instance) down)`:                nil,
		`sum by (job) (label_replace(up, "job", "", "", ""))`:   nil,
		`sum by (job) (histogram_quantile(0.9, up))`:            nil,
		`sum by (job) (histogram_count(up))`:                    nil,
		`sum by (job) (max_over_time(up[5m:1m]))`:               nil,
		`sum by (job) (absent(up))`:                             nil,
		`sum by (job) (info(up))`:                               nil,
		`sum by (job) (vector(scalar(up)))`:                     nil,
		`sum by (job) (sort_by_label(up, "instance"))`:          nil,
		`sum by (job) (up and down)`:                            nil,
		`sum by (job) (max without (zone) (up))`:                nil,
		`sum by (job) (up * scalar(down))`:                      {"job", "__name__"},
	} {
		e, err := p.ParseExpr(expr)
		require.NoError(t, err, expr)
		plan, err := Build(e, Times{Start: time.UnixMilli(1000), End: time.UnixMilli(2000), Step: time.Second}, Options{})
		require.NoError(t, err)
		var got []string
		Walk(plan.Root, func(n Node) bool {
			switch n := n.(type) {
			case *Selector:
				if got == nil {
					got = n.Labels
				}
			case *Window:
				if got == nil {
					got = n.Labels
				}
			}
			return true
		})
		require.Equal(t, want, got, expr)
	}
}
