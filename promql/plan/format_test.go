package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// format writes a plan as a tree in one line: what is the same at all steps in
// square brackets.
func format(n Node) string {
	var parts []string
	switch n := n.(type) {
	case *Number:
		return fmt.Sprint(n.Value)
	case *Text:
		return fmt.Sprintf("%q", n.Value)
	case *Selector:
		return formatSelector(n, 0)
	case *Window:
		return formatSelector(n.Selector, n.Range)
	case *Invariant:
		return "[" + format(n.Expr) + "]"
	case *Subquery:
		s := fmt.Sprintf("(%s){%s:%s}", format(n.Expr), n.Range, n.Step)
		return s + formatTime(n.At, n.Offset)
	case *Negate:
		return "-" + format(n.Expr)
	case *Binary:
		return "(" + format(n.LHS) + " " + parser.ItemTypeStr[n.Op] + " " + format(n.RHS) + ")"
	case *Call:
		for _, a := range n.Args {
			parts = append(parts, format(a))
		}
		return n.Name + "(" + strings.Join(parts, ", ") + ")"
	case *Aggregate:
		if n.Param != nil {
			parts = append(parts, format(n.Param))
		}
		return parser.ItemTypeStr[n.Op] + "(" + strings.Join(append(parts, format(n.Expr)), ", ") + ")"
	}
	return fmt.Sprintf("%T", n)
}

func formatSelector(n *Selector, length time.Duration) string {
	s := n.Matchers[0].Value
	if n.StatisticsOnly {
		s += "#"
	}
	if length != 0 {
		s += "{" + length.String() + "}"
	}
	return s + formatTime(n.At, n.Offset)
}

func formatTime(at *int64, offset time.Duration) string {
	s := ""
	if at != nil {
		s += fmt.Sprintf("@%d", *at)
	}
	if offset != 0 {
		s += "-" + offset.String()
	}
	return s
}

var testParser = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
})

// testTimes are from 1000 s to 2000 s, every 10 s.
var testTimes = Times{Start: time.Unix(1000, 0), End: time.Unix(2000, 0), Step: 10 * time.Second}

func build(t testing.TB, expr string) *Plan {
	t.Helper()
	parsed, err := testParser.ParseExpr(expr)
	require.NoError(t, err, expr)
	p, err := Build(parsed, testTimes, Options{})
	require.NoError(t, err, expr)
	return p
}

// check compares the plan of each expression.
func check(t *testing.T, cases [][2]string) {
	t.Helper()
	for _, c := range cases {
		require.Equal(t, c[1], format(build(t, c[0]).Root), c[0])
	}
}
