package plan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// TestPropagateMatchers shows the selectors in their order.
func TestPropagateMatchers(t *testing.T) {
	times := Times{Start: time.UnixMilli(0), End: time.UnixMilli(600_000), Step: 10 * time.Second}
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})
	for _, c := range []struct {
		expr      string
		selectors []string
	}{
		{`a{x="1"} / b`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`a / b{x=~"1.*"}`, []string{`a{x=~"1.*"}`, `b{x=~"1.*"}`}},
		{`rate(a{x="1"}[5m]) / -(1 + irate(b[5m]))`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`a{x="1",y="2"} and on (x) b`, []string{`a{x="1",y="2"}`, `b{x="1"}`}},
		{`a and on (x) b{x="1"}`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`a and ignoring (x) b{x="1",y="2"}`, []string{`a{y="2"}`, `b{x="1",y="2"}`}},
		{`a{x="1"} unless b`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`a unless b{x="1"}`, []string{`a`, `b{x="1"}`}},
		{`a{x="1"} or b`, []string{`a{x="1"}`, `b`}},
		// Several series of b may have the same x: an error, whatever a is.
		{`a{x="1"} / on (x) b`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} / ignoring (y) b`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} * on (x) group_left (v) b{y="2"}`, []string{`a{x="1"}`, `b{y="2"}`}},
		{`a{x="1"} / {__name__=~"b.*"}`, []string{`a{x="1"}`, `{__name__=~"b.*"}`}},
		{`a{x="1"} / on (x) group_left sum by (x) (b)`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`sum by (x, y) (a) / on (x) group_left sum by (x) (b{x="1",y="2"})`, []string{`a{x="1"}`, `b{x="1",y="2"}`}},
		{`a{x="1"} / on (x) sum by (x, y) (b)`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} / on (x) sum without (y) (b)`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} / fill (0) b`, []string{`a{x="1"}`, `b`}},
		// What is chosen depends on what there is to choose from.
		{`a{x="1"} and topk(3, b)`, []string{`a{x="1"}`, `b`}},
		{`a and topk(3, b{x="1"})`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`a{x="1"} and label_replace(b, "x", "1", "", "")`, []string{`a{x="1"}`, `b`}},
		{`a and label_replace(b{x="2"}, "x", "1", "", "")`, []string{`a`, `b{x="2"}`}},
		{`a{x="1"} and double_exponential_smoothing(b[1m], 2, 1)`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} and absent(b)`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} and sum without (x) (b)`, []string{`a{x="1"}`, `b`}},
		{`a{x="1"} and sum without (y) (b)`, []string{`a{x="1"}`, `b{x="1"}`}},
		{`a and count_values("x", b{x="1",y="2"})`, []string{`a`, `b{x="1",y="2"}`}},
		{`a{x="1"} and (b and c)`, []string{`a{x="1"}`, `b{x="1"}`, `c`}},
		{`a{x="1"} and {__name__=~"b|c"}`, []string{`a{x="1"}`, `{__name__=~"b|c"}`}},
		{`a{__type__="gauge"} and b`, []string{`a{__type__="gauge"}`, `b`}},
		{`a{x="1"} and max_over_time(rate(b[1m])[5m:1m])`, []string{`a{x="1"}`, `b{x="1"}`}},
	} {
		e, err := p.ParseExpr(c.expr)
		require.NoError(t, err, c.expr)
		text := e.String()
		built, err := Build(e, times, Options{})
		require.NoError(t, err, c.expr)
		var got []string
		Walk(built.Root, func(n Node) bool {
			switch n := n.(type) {
			case *Selector:
				got = append(got, n.String())
			case *Window:
				got = append(got, n.Selector.String())
			}
			return true
		})
		require.Equal(t, c.selectors, got, c.expr)
		require.Equal(t, text, e.String(), "the syntax tree stays as it was")
	}
}
