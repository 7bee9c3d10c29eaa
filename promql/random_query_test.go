package promql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// queryMaker makes random expressions that type-check, nearly all of them.
type queryMaker struct {
	*rand.Rand
	byType map[parser.ValueType][]*parser.Function
	// made are the last aggregations, to be used again.
	made []string
}

func newQueryMaker(r *rand.Rand) *queryMaker {
	q := &queryMaker{Rand: r, byType: map[parser.ValueType][]*parser.Function{}}
	var names []string
	for name := range parser.Functions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := parser.Functions[name]
		q.byType[f.ReturnType] = append(q.byType[f.ReturnType], f)
	}
	return q
}

func oneOf[T any](q *queryMaker, of ...T) T { return of[q.IntN(len(of))] }

// expression returns an expression of any type.
func (q *queryMaker) expression() string {
	q.made = q.made[max(0, len(q.made)-2):]
	switch q.IntN(20) {
	case 0:
		return q.scalar(3)
	case 1:
		return q.matrix(2)
	default:
		return q.vector(1 + q.IntN(4))
	}
}

func (q *queryMaker) vector(depth int) string {
	if depth <= 0 {
		return q.selector() + q.modifiers(true)
	}
	switch n := q.IntN(20); {
	case n < 2:
		return q.selector() + q.modifiers(true)
	case n < 10:
		return q.call(oneOf(q, q.byType[parser.ValueTypeVector]...), depth-1)
	case n < 14:
		if len(q.made) > 0 && q.IntN(3) == 0 {
			return oneOf(q, q.made...)
		}
		a := q.aggregation(depth - 1)
		q.made = append(q.made, a)
		return a
	case n < 18:
		return q.binary(depth - 1)
	case n < 19:
		return "-" + q.vector(depth-1)
	default:
		return "(" + q.vector(depth-1) + ")"
	}
}

func (q *queryMaker) selector() string {
	m := randomMetrics[q.IntN(len(randomMetrics))]
	var matchers []string
	for _, name := range m.labels {
		if q.IntN(3) != 0 {
			continue
		}
		v := oneOf(q, labelValues[name]...)
		matchers = append(matchers, oneOf(q,
			fmt.Sprintf("%s=%q", name, v), fmt.Sprintf("%s!=%q", name, v), fmt.Sprintf("%s=~%q", name, v+"|1.*"),
			fmt.Sprintf("%s!~%q", name, v), fmt.Sprintf("%s=~\".*\"", name)))
	}
	if q.IntN(12) == 0 {
		other := randomMetrics[q.IntN(len(randomMetrics))]
		return fmt.Sprintf(`{__name__=~"%s|%s", %s}`, m.name, other.name, strings.Join(matchers, ", "))
	}
	if len(matchers) == 0 {
		return m.name
	}
	return m.name + "{" + strings.Join(matchers, ", ") + "}"
}

// modifiers returns offset, @ and, of an instant selector, smoothed.
func (q *queryMaker) modifiers(instant bool) string {
	s := ""
	if instant && q.IntN(15) == 0 {
		s = " smoothed"
	}
	if q.IntN(6) == 0 {
		s += oneOf(q, " offset 1m", " offset -90s", " offset 15s", " offset (30s + 15s)", " offset step()")
	}
	if q.IntN(8) == 0 {
		s += oneOf(q, " @ start()", " @ end()", fmt.Sprintf(" @ %d", (dataStart+q.Int64N(dataEnd-dataStart))/1000))
	}
	return s
}

func (q *queryMaker) duration() string {
	return oneOf(q, "30s", "1m", "5m", "5m", "90s", "12m", "1500ms", "1h", "(1m + 15s)", "(2 * step())", "range()", "(min_of(5m, range()))")
}

func (q *queryMaker) matrix(depth int) string {
	if depth > 0 && q.IntN(4) == 0 {
		step := oneOf(q, "", "30s", "1m", "7s", "step()")
		return q.operand(depth-1) + "[" + oneOf(q, "1m", "5m", "10m", "20s") + ":" + step + "]" + q.modifiers(false)
	}
	return q.selector() + "[" + q.duration() + "]" + oneOf(q, "", "", "", "", "", " anchored", " smoothed") + q.modifiers(false)
}

// operand returns a vector that binds tighter than any operator.
func (q *queryMaker) operand(depth int) string { return "(" + q.vector(depth) + ")" }

func (q *queryMaker) number() string {
	return oneOf(q, "0", "1", "2", "0.5", "0.9", "-1", "100", "1e3", "0.1", "NaN", "Inf", "-Inf", "3", "60")
}

func (q *queryMaker) scalar(depth int) string {
	if depth <= 0 {
		return q.number()
	}
	switch q.IntN(6) {
	case 0:
		return q.call(oneOf(q, q.byType[parser.ValueTypeScalar]...), depth-1)
	case 1:
		op := oneOf(q, "+", "-", "*", "/", "%", "^", "atan2", "== bool", "> bool")
		return "(" + q.scalar(depth-1) + " " + op + " " + q.scalar(depth-1) + ")"
	default:
		return q.number()
	}
}

// someLabel returns the name of a label, often one that series have.
func (q *queryMaker) someLabel() string {
	return oneOf(q, "job", "job", "instance", "instance", "code", "le", "version", "missing", "__name__")
}

func (q *queryMaker) someLabels() string {
	var names []string
	for range q.IntN(3) {
		names = append(names, q.someLabel())
	}
	return strings.Join(names, ", ")
}

func (q *queryMaker) call(f *parser.Function, depth int) string {
	switch f.Name {
	case "label_replace":
		return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", q.vector(depth), q.someLabel(), oneOf(q, "$1", "x", "", "${1}y"), q.someLabel(), oneOf(q, "(.*)", "(.).*", "1", "a|b"))
	case "label_join":
		return fmt.Sprintf("label_join(%s, %q, \"-\", %q, %q)", q.vector(depth), q.someLabel(), q.someLabel(), q.someLabel())
	case "histogram_quantile", "histogram_fraction", "histogram_quantiles":
		if q.IntN(2) == 0 {
			return q.histogramCall(f.Name, oneOf(q, "latency_bucket", "rate(latency_bucket[5m])", "sum by (le, job) (rate(latency_bucket[2m]))", "native", "rate(native[5m])", `{__name__=~"latency.*"}`))
		}
		return q.histogramCall(f.Name, q.vector(depth))
	case "info":
		return fmt.Sprintf("info(%s%s)", q.vector(depth), oneOf(q, "", `, {version=~".+"}`, `, {__name__="build_info"}`, `, {__name__=~".+_info", version="v1"}`))
	}
	args := make([]string, 0, len(f.ArgTypes))
	for i, t := range f.ArgTypes {
		optional := f.Variadic != 0 && i == len(f.ArgTypes)-1
		if optional && q.IntN(2) == 0 {
			break
		}
		switch t {
		case parser.ValueTypeMatrix:
			args = append(args, q.matrix(depth))
		case parser.ValueTypeVector:
			args = append(args, q.vector(depth))
		case parser.ValueTypeString:
			args = append(args, fmt.Sprintf("%q", q.someLabel()))
		default:
			args = append(args, q.parameter(depth))
		}
	}
	return f.Name + "(" + strings.Join(args, ", ") + ")"
}

func (q *queryMaker) histogramCall(name, operand string) string {
	switch name {
	case "histogram_quantile":
		return fmt.Sprintf("histogram_quantile(%s, %s)", q.parameter(1), operand)
	case "histogram_fraction":
		return fmt.Sprintf("histogram_fraction(%s, %s, %s)", q.parameter(1), q.parameter(1), operand)
	default:
		return fmt.Sprintf("histogram_quantiles(%s, %q, %s, 0.5)", operand, oneOf(q, "quantile", "job"), q.parameter(0))
	}
}

// parameter returns a scalar that is mostly sensible.
func (q *queryMaker) parameter(depth int) string {
	if q.IntN(3) == 0 {
		return q.scalar(depth)
	}
	return oneOf(q, "0.5", "0.9", "0.1", "0.99", "1", "2")
}

func (q *queryMaker) aggregation(depth int) string {
	op := oneOf(q, "sum", "sum", "avg", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio")
	param := ""
	switch op {
	case "topk", "bottomk", "limitk":
		param = oneOf(q, "1", "2", "3", "5", "100", q.scalar(1)) + ", "
	case "quantile":
		param = q.parameter(1) + ", "
	case "limit_ratio":
		param = oneOf(q, "0.5", "-0.5", "0.1", "1", "-1", "2", q.scalar(1)) + ", "
	case "count_values":
		param = `"` + q.someLabel() + `", `
	}
	grouping := ""
	if q.IntN(3) > 0 {
		grouping = oneOf(q, " by (", " without (") + q.someLabels() + ") "
	}
	return op + grouping + "(" + param + q.vector(depth) + ")"
}

func (q *queryMaker) binary(depth int) string {
	left := q.operand(depth)
	if q.IntN(3) == 0 {
		op := oneOf(q, "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool", "</", ">/")
		if q.IntN(2) == 0 {
			return left + " " + op + " " + q.scalar(depth)
		}
		return q.scalar(depth) + " " + op + " " + left
	}
	// Operands of the same metric match more often.
	right := q.operand(depth)
	if q.IntN(3) == 0 {
		right = left
	}
	matching := oneOf(q, "", "", " on (job)", " on (job, instance)", " ignoring (code)", " ignoring (instance)", " on ()")
	if q.IntN(4) == 0 {
		return left + oneOf(q, " and", " or", " unless") + matching + " " + right
	}
	op := oneOf(q, "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool", "</", ">/")
	if matching != "" && q.IntN(2) == 0 {
		matching += oneOf(q, " group_left", " group_right") + oneOf(q, " ()", " (version)", " (code)")
	}
	if q.IntN(6) == 0 {
		matching += oneOf(q, " fill (0)", " fill_left (1)", " fill_right (2)", " fill_left (1) fill_right (3)")
	}
	return left + " " + op + matching + " " + right
}

// randomTimes returns when a query is evaluated; the step is 0 for an instant.
func randomTimes(r *rand.Rand) (start, end time.Time, step time.Duration) {
	at := dataStart - 300_000 + r.Int64N(dataEnd-dataStart+600_000)
	at -= at % []int64{1, 1000, 60_000}[r.IntN(3)]
	start = time.UnixMilli(at)
	if r.IntN(3) == 0 {
		return start, start, 0
	}
	step = []time.Duration{time.Second, 15 * time.Second, time.Minute, 7 * time.Minute, 1234 * time.Millisecond}[r.IntN(5)]
	return start, start.Add(time.Duration(r.IntN(40))*step + time.Duration(r.IntN(1000))*time.Millisecond), step
}
