package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestBuild(t *testing.T) {
	check(t, [][2]string{
		{`a`, `a`},
		{`((a))`, `a`},
		{`-a + +b`, `(-a + b)`},
		{`-1`, `-1`},
		{`sum by (z, a) ((rate(a[5m])))`, `sum(rate(a{5m0s}))`},
		{`topk(3, a offset 1m)`, `topk(3, a-1m0s)`},
		{`label_replace(a, "x", "$1", "y", "(.*)")`, `label_replace(a, "x", "$1", "y", "(.*)")`},
		{`max_over_time(rate(a[5m])[1h:1m] offset -2m)`, `max_over_time((rate(a{5m0s})){1h0m0s:1m0s}--2m0s)`},
	})
	a := build(t, `sum by (z, a) (x)`).Root.(*Aggregate)
	require.Equal(t, []string{"a", "z"}, a.Grouping)
	require.False(t, a.Without)
}

func TestBuildLeavesTheTreeAlone(t *testing.T) {
	const expr = `sum by (z, a) (x @ 5 + rate(y[step() * 2] @ start())) + start()`
	parsed, err := testParser.ParseExpr(expr)
	require.NoError(t, err)
	before := parsed.String()
	first, err := Build(parsed, testTimes, Options{})
	require.NoError(t, err)
	require.Equal(t, before, parsed.String())
	second, err := Build(parsed, Times{Start: time.Unix(1, 0), End: time.Unix(11, 0), Step: 5 * time.Second}, Options{})
	require.NoError(t, err)
	require.Contains(t, format(second.Root), "y{10s}@1000")
	require.Contains(t, format(first.Root), "y{20s}@1000000")
}

func TestPositions(t *testing.T) {
	const expr = `(a) + sum(rate(b[5m]))`
	n := build(t, expr).Root.(*Binary)
	at := func(n Node) string {
		p := n.Position()
		return expr[p.Start:p.End]
	}
	require.Equal(t, expr, at(n))
	require.Equal(t, "a", at(n.LHS))
	require.Equal(t, "sum(rate(b[5m]))", at(n.RHS))
	call := n.RHS.(*Aggregate).Expr.(*Call)
	require.Equal(t, "rate(b[5m])", at(call))
	require.Equal(t, "b[5m]", at(call.Args[0]))
}

func TestContext(t *testing.T) {
	check(t, [][2]string{
		{`start() + end()`, `[(1000 + 2000)]`},
		{`vector(step()) * range()`, `[(vector(10) * 1000)]`},
		{`a @ start()`, `[a@1000000]`},
		{`max_over_time(a[1m:10s] @ end())`, `[max_over_time((a){1m0s:10s}@2000000)]`},
	})
	parsed, err := testParser.ParseExpr(`step()`)
	require.NoError(t, err)
	p, err := Build(parsed, Times{Start: time.Unix(5, 0), End: time.Unix(5, 0)}, Options{})
	require.NoError(t, err)
	require.Equal(t, 0.0, p.Root.(*Number).Value)
}

func TestDurations(t *testing.T) {
	check(t, [][2]string{
		{`a offset (1m + 30s)`, `a-1m30s`},
		{`a offset -(1m / 2)`, `a--30s`},
		{`rate(a[2 * step()])`, `rate(a{20s})`},
		{`rate(a[range() % 300])`, `rate(a{1m40s})`},
		{`rate(a[2 ^ 3])`, `rate(a{8s})`},
		{`rate(a[max_of(step(), 5s)] offset min_of(step(), 5s))`, `rate(a{10s}-5s)`},
		{`max_over_time(a[step() * 6:step()])`, `max_over_time((a){1m0s:10s})`},
	})
	for expr, want := range map[string]string{
		`a offset (1m / (step() - 10s))`:   "10:28: division by zero",
		`rate(a[10 % (1 - 1)])`:            "7:18: modulo by zero",
		`rate(a[step() - 10s])`:            "duration must be greater than 0",
		`a offset (2 ^ 70)`:                "duration is out of range",
		`a offset (2 ^ 10000)`:             "duration is NaN or infinite",
		`max_over_time(a[1h:step() - 60])`: "duration must be greater than 0",
	} {
		parsed, err := testParser.ParseExpr(expr)
		require.NoError(t, err, expr)
		_, err = Build(parsed, testTimes, Options{})
		require.ErrorContains(t, err, want, expr)
	}
}

func TestStatistics(t *testing.T) {
	check(t, [][2]string{
		{`histogram_count(a)`, `histogram_count(a#)`},
		{`histogram_sum(sum(rate(a[5m]))) / b`, `(histogram_sum(sum(rate(a#{5m0s}))) / b)`},
		{`histogram_avg(max_over_time(a[5m:1m]))`, `histogram_avg(max_over_time((a){5m0s:1m0s}))`},
		{`histogram_count(a >/ 5)`, `histogram_count((a >/ 5))`},
		{`histogram_quantile(0.9, a)`, `histogram_quantile(0.9, a)`},
	})
}

func TestInvariant(t *testing.T) {
	check(t, [][2]string{
		{`1 + 2`, `[(1 + 2)]`},
		{`1`, `1`},
		{`a @ 5`, `[a@5000]`},
		{`a @ 5 + b`, `([a@5000] + b)`},
		{`sum(a @ 5) + b`, `([sum(a@5000)] + b)`},
		{`-(a @ 5) + b`, `([-a@5000] + b)`},
		{`topk(scalar(b), a @ 5)`, `[topk(scalar(b), a@5000)]`},
		{`rate(a[5m] @ 5)`, `[rate(a{5m0s}@5000)]`},
		{`quantile_over_time(scalar(b), a[5m] @ 5)`, `quantile_over_time(scalar(b), a{5m0s}@5000)`},
		{`predict_linear(a[5m] @ 5, 60)`, `predict_linear(a{5m0s}@5000, 60)`},
		{`time() + 1`, `(time() + 1)`},
		{`abs(a @ 5) + time()`, `([abs(a@5000)] + time())`},
		{`hour(a @ 5)`, `hour([a@5000])`},
		{`timestamp(a @ 5)`, `[timestamp(a@5000)]`},
		{`timestamp(abs(a @ 5))`, `timestamp([abs(a@5000)])`},
		{`max_over_time(abs(a @ 5)[1m:10s])`, `max_over_time(([abs(a@5000)]){1m0s:10s})`},
		{`max_over_time(abs(a)[1m:10s] @ 5)`, `[max_over_time((abs(a)){1m0s:10s}@5000)]`},
		{`info(a @ 5)`, `[info(a@5000)]`},
		{`info(a @ 5 + b @ 6)`, `info([(a@5000 + b@6000)])`},
	})
}

func TestReference(t *testing.T) {
	for expr, want := range map[string]string{
		`a`:                                 "",
		`a offset 1m`:                       "-1m0s",
		`a @ 5`:                             "@5000",
		`rate(a[5m] offset 1m)`:             "-1m0s",
		`max_over_time(a[5m:1m] offset 2m)`: "-2m0s",
		`max_over_time(a[5m:1m] @ 7)`:       "@7000",
		`a + b`:                             "",
		`a offset 1m + b`:                   "",
		`a offset 1m + b offset 1m`:         "-1m0s",
		`a offset 1m + vector(1)`:           "",
		`a offset 1m * 2`:                   "-1m0s",
	} {
		parsed, err := testParser.ParseExpr(expr)
		require.NoError(t, err)
		c := converter{times: testTimes}
		n, err := c.convert(parsed)
		require.NoError(t, err)
		at, offset := InfoReference(n)
		require.Equal(t, want, formatTime(at, offset), expr)
	}
}

func TestBounds(t *testing.T) {
	const minute = 60_000
	for expr, want := range map[string]Interval{
		`1`:                             {},
		`a`:                             {1_000_000 - 5*minute + 1, 2_000_000},
		`a offset 1m`:                   {1_000_000 - 6*minute + 1, 2_000_000 - minute},
		`a @ 500`:                       {500_000 - 5*minute + 1, 500_000},
		`rate(a[10m])`:                  {1_000_000 - 10*minute + 1, 2_000_000},
		`rate(a[10m] smoothed)`:         {1_000_000 - 15*minute + 1, 2_000_000 + 5*minute},
		`rate(a[10m] anchored)`:         {1_000_000 - 15*minute + 1, 2_000_000},
		`a smoothed`:                    {1_000_000 - 5*minute + 1, 2_000_000 + 5*minute},
		`max_over_time(a[1h:1m])`:       {1_000_000 - 65*minute + 1, 2_000_000},
		`max_over_time(a[1h:1m] @ 500)`: {500_000 - 65*minute + 1, 500_000},
		`max_over_time(rate(a[10m] offset 1m)[1h:1m] offset 2m)`: {1_000_000 - 73*minute + 1, 2_000_000 - 3*minute},
		`a @ 500 + b`: {500_000 - 5*minute + 1, 2_000_000},
	} {
		require.Equal(t, want, build(t, expr).Bounds(5*time.Minute), expr)
	}
}

func TestWalkAndEdit(t *testing.T) {
	p := build(t, `sum(a + rate(b[5m])) / c`)
	var seen []string
	Walk(p.Root, func(n Node) bool {
		seen = append(seen, format(n))
		_, call := n.(*Call)
		return !call
	})
	require.Equal(t, []string{`(sum((a + rate(b{5m0s}))) / c)`, `sum((a + rate(b{5m0s})))`, `(a + rate(b{5m0s}))`, `a`, `rate(b{5m0s})`, `c`}, seen)
	Edit(&p.Root, func(n *Node) bool {
		if _, ok := (*n).(*Call); ok {
			*n = &Number{Value: 7}
		}
		return true
	})
	require.Equal(t, `(sum((a + 7)) / c)`, format(p.Root))
}

// FuzzBuild makes sure that whatever parses becomes a plan or an error.
func FuzzBuild(f *testing.F) {
	for _, expr := range []string{`sum(rate(a[5m]))`, `a @ end() offset -1m`, `max_over_time(a[step():1m] @ 5)`, `info(a, {b="c"})`, `-(-1)`, `a > bool on (x) group_left (y) b`} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		parsed, err := testParser.ParseExpr(expr)
		if err != nil {
			return
		}
		p, err := Build(parsed, testTimes, Options{})
		if err != nil {
			return
		}
		require.NotNil(t, p.Root)
		require.Equal(t, parsed.Type() == parser.ValueTypeMatrix, p.Root.Type() == parser.ValueTypeMatrix)
		p.Bounds(5 * time.Minute)
	})
}

// TestDeepExpressions builds plans of expressions that are as deep as they are long, with the
// positions of the parser: how long it takes grows with the length, not with its square.
func TestDeepExpressions(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	times := Times{Start: time.UnixMilli(1000), End: time.UnixMilli(1000)}
	for _, expr := range []string{
		"up" + strings.Repeat(" + up", 300), strings.Repeat("(", 300) + "up" + strings.Repeat(" * 2)", 300),
		strings.Repeat("-", 300) + "up", strings.Repeat("max_over_time(", 20) + "up" + strings.Repeat("[5m:1m])", 20),
	} {
		e, err := p.ParseExpr(expr)
		require.NoError(t, err)
		plan, err := Build(e, times, Options{})
		require.NoError(t, err)
		pos := e.PositionRange()
		root := plan.Root
		if once, ok := root.(*Invariant); ok {
			root = once.Expr
		}
		if _, paren := e.(*parser.ParenExpr); !paren {
			require.Equal(t, pos, root.Position(), expr)
		}
	}
	deep := func(n int) (allocs float64) {
		e, err := p.ParseExpr("up" + strings.Repeat(" + up", n))
		require.NoError(t, err)
		return testing.AllocsPerRun(3, func() {
			_, err := Build(e, times, Options{})
			require.NoError(t, err)
		})
	}
	require.Less(t, deep(2000), 3*deep(1000))
}
