package plan

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// maxSeconds is what a time.Duration holds.
const maxSeconds = 1 << 63 / 1e9

// duration returns the value of a duration expression, or literal if there is
// none. Anything but an offset has to be positive.
func (t *Times) duration(expr *parser.DurationExpr, literal time.Duration, offset bool) (time.Duration, error) {
	if expr == nil {
		return literal, nil
	}
	seconds, err := t.durationSeconds(expr)
	if err != nil {
		return 0, err
	}
	switch {
	case math.IsNaN(seconds) || math.IsInf(seconds, 0):
		return 0, durationError(expr, "duration is NaN or infinite")
	case seconds <= 0 && !offset:
		return 0, durationError(expr, "duration must be greater than 0")
	case math.Abs(seconds) > maxSeconds:
		return 0, durationError(expr, "duration is out of range")
	}
	return time.Duration(seconds*1000) * time.Millisecond, nil
}

func durationError(expr parser.Expr, what string) error {
	pos := expr.PositionRange()
	return fmt.Errorf("%d:%d: %s", pos.Start, pos.End, what)
}

// durationSeconds evaluates a duration expression, whose operands are numbers of
// seconds. An operand that is missing is 0.
func (t *Times) durationSeconds(expr parser.Expr) (float64, error) {
	if n, ok := expr.(*parser.NumberLiteral); ok {
		return n.Val, nil
	}
	e, ok := expr.(*parser.DurationExpr)
	if !ok {
		return 0, fmt.Errorf("unexpected duration expression type %T", expr)
	}
	var operands [2]float64
	for i, o := range []parser.Expr{e.LHS, e.RHS} {
		if o == nil {
			continue
		}
		var err error
		if operands[i], err = t.durationSeconds(o); err != nil {
			return 0, err
		}
	}
	lhs, rhs := operands[0], operands[1]
	switch e.Op {
	case parser.STEP:
		return t.Step.Seconds(), nil
	case parser.RANGE:
		return t.End.Sub(t.Start).Seconds(), nil
	case parser.MIN_OF:
		return math.Min(lhs, rhs), nil
	case parser.MAX_OF:
		return math.Max(lhs, rhs), nil
	case parser.ADD:
		return lhs + rhs, nil
	case parser.SUB:
		return lhs - rhs, nil
	case parser.MUL:
		return lhs * rhs, nil
	case parser.POW:
		return math.Pow(lhs, rhs), nil
	case parser.DIV:
		if rhs == 0 {
			return 0, durationError(e, "division by zero")
		}
		return lhs / rhs, nil
	case parser.MOD:
		if rhs == 0 {
			return 0, durationError(e, "modulo by zero")
		}
		return math.Mod(lhs, rhs), nil
	}
	return 0, fmt.Errorf("unexpected duration expression operator %q", e.Op)
}
