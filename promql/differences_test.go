package promql

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
)

// Differences from upstream's engine that we accept, each with its reason. Most
// are in texts.

// withoutSeries cuts off which of several series an error names: in upstream's
// engine the order of a map decides.
func withoutSeries(text string) string {
	for _, prefix := range []string{
		"found duplicate series for the match group", "multiple matches for labels", "found duplicate series for info metric",
	} {
		if strings.HasPrefix(text, prefix) {
			return prefix
		}
	}
	return text
}

// earlyError is an error that our planner reports before anything is evaluated;
// upstream's engine may come to another error of the same query first.
var earlyError = regexp.MustCompile(`^(anchored|smoothed) modifier can only be used with`)

// tooManySamples is an error to which upstream's engine may come first, because
// it holds all results of the steps before the one that fails in another way; or ours,
// because it holds the steps after that one.
const tooManySamples = "query processing would load too many samples into memory in query execution"

// sameError reports whether our error and upstream's say the same.
func sameError(ours, theirs string) bool {
	return ours != "" && theirs != "" && (withoutSeries(ours) == withoutSeries(theirs) || earlyError.MatchString(ours) || ours == tooManySamples || theirs == tooManySamples)
}

// forgottenOffset is timestamp() of a selector with both offset and @: upstream's
// engine sets the offset to what @ takes and forgets the other, but selects the
// samples with it, so that it finds none or the wrong ones.
var forgottenOffset = regexp.MustCompile(`timestamp\(.*( offset .* @ | @ .* offset )`)

// forcedSamples is how many samples histogram_quantile had to force into
// monotonicity. Upstream's engine merges the annotation of all steps so far into
// itself at each step, and so doubles the number.
var forcedSamples = regexp.MustCompile(`over -?\d+ samples from`)

// acceptedNote returns an annotation without what may differ.
func acceptedNote(text string) string {
	return forcedSamples.ReplaceAllLiteralString(text, "over some samples from")
}

// overrun is a subquery with @ in a call that depends on the step. Upstream's
// engine evaluates it beyond the time of @ by the length of the query, where no
// window reaches, and tells what it comes across there, or fails because of it.
var overrun = regexp.MustCompile(`(predict_linear|quantile_over_time|double_exponential_smoothing)\(.*\[[^]]*:[^]]*\].* @ `)

// unmoved is a selector with @ in a subquery with @. Upstream's engine sets the offset of
// the selector for a subquery that begins elsewhere, and sets it right only where that
// does begin elsewhere: if its first step happens to be that of the query, the samples
// are those of another time, mostly none.
var unmoved = regexp.MustCompile(` @ .*\[[^]]*:[^]]*\].* @ `)

// movingParameter reports whether the parameter of an aggregation has a selector with @.
// Upstream's engine fixes no part of a parameter, so that the selector moves with the
// steps all the same, from where it belongs at the first one on.
func movingParameter(expr string) bool {
	if !strings.Contains(expr, "@") {
		return false
	}
	e, err := scriptOptions().Parser.ParseExpr(expr)
	if err != nil {
		return false
	}
	moving := false
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok && a.Param != nil {
			moving = moving || strings.Contains(a.Param.String(), "@")
		}
		return nil
	})
	return moving
}

// withoutNotReset takes from a histogram of an answer that it does not come after a
// reset. A store does not know that of the first one that it reads, and engines read
// more or less before the first step, or before a subquery.
func withoutNotReset(h string) string {
	if rest, ok := strings.CutPrefix(h, fmt.Sprintf("hint=%d ", histogram.NotCounterReset)); ok {
		return fmt.Sprintf("hint=%d ", histogram.UnknownCounterReset) + rest
	}
	return h
}

// disordered are the aggregations of which the rounding depends on the order of the
// series, which in upstream's engine is that of a map behind most functions.
var disordered = regexp.MustCompile(`\b(stddev|stdvar) ?(by|without)?[ (]`)

// unread reports whether a difference may be due to series that we do not read, since
// they match nothing of the other side of an operator: there are no annotations of
// them, it is no error if two of them become the same when the labels of type and
// unit go with the name, and they do not count. An engine that reads them has to agree.
func unread(what string) bool {
	return strings.HasPrefix(what, "annotations") || strings.HasPrefix(what, fmt.Sprintf("error \"\", want %q", tooManySamples)) ||
		strings.HasPrefix(what, `error "", want "vector cannot contain metrics with the same labelset"`)
}

// acceptedDifference reports whether what two answers to a query differ in is one
// of the above.
func acceptedDifference(expr, what string) bool {
	return forgottenOffset.MatchString(expr) || unmoved.MatchString(expr) || movingParameter(expr) ||
		overrun.MatchString(expr) && (strings.HasPrefix(what, "annotations") || strings.HasPrefix(what, `error "", want`))
}
