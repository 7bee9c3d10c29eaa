package api

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// maxFormBytes bounds the body of a form, as net/http does by default for
	// one of its two kinds.
	maxFormBytes = 10 << 20
	// maxExprTokens bounds the tokens of an expression. The parser and the
	// engine recurse as deep as the expression is nested, and running out of
	// stack ends the process.
	maxExprTokens = 50_000
)

var (
	// minTime and maxTime are the defaults of start and end. Prometheus formats
	// them into the URLs that it makes, so clients send them back.
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()

	minTimeText = minTime.Format(time.RFC3339Nano)
	maxTimeText = maxTime.Format(time.RFC3339Nano)
)

var errNotSelective = errors.New("match[] must contain at least one non-empty matcher")

// maxSeconds is the largest time that still fits into milliseconds.
const maxSeconds = math.MaxInt64 / 1000

// parseForm parses the query string and a body of up to maxFormBytes.
func parseForm(w http.ResponseWriter, r *http.Request) error {
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	}
	err := r.ParseForm()
	if err == nil {
		if ct, _, ctErr := mime.ParseMediaType(r.Header.Get("Content-Type")); ctErr == nil && ct == "multipart/form-data" {
			err = r.ParseMultipartForm(maxFormBytes)
		}
	}
	if err != nil {
		return badData(fmt.Errorf("error parsing form values: %w", err))
	}
	return nil
}

// milliseconds returns t in milliseconds since the Unix epoch.
func milliseconds(t time.Time) int64 {
	return t.Unix()*1000 + int64(t.Nanosecond())/int64(time.Millisecond)
}

// timeParam returns the time in a parameter, or otherwise if it is not there.
func timeParam(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return time.Time{}, invalidParam(name, fmt.Errorf("invalid time value for '%s': %w", name, err))
	}
	return t, nil
}

// rangeParams returns start and end, everything by default, in milliseconds.
func rangeParams(r *http.Request) (mint, maxt int64, err error) {
	start, err := timeParam(r, "start", minTime)
	if err != nil {
		return 0, 0, err
	}
	end, err := timeParam(r, "end", maxTime)
	if err != nil {
		return 0, 0, err
	}
	return milliseconds(start), milliseconds(end), nil
}

// parseTime reads a Unix time in seconds, rounded to milliseconds, or a time in
// the form of RFC 3339.
func parseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		whole, fraction := math.Modf(f)
		// The comparison is false for NaN too.
		if !(math.Abs(whole) < maxSeconds) {
			return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
		}
		fraction = math.Round(fraction*1000) / 1000
		return time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	// Years of more than four digits are beyond time.Parse.
	switch s {
	case minTimeText:
		return minTime, nil
	case maxTimeText:
		return maxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
}

// parseDuration reads a number of seconds or a Prometheus duration.
func parseDuration(s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		ns := f * float64(time.Second)
		if math.IsNaN(ns) {
			return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
		}
		// float64(math.MaxInt64) is 2^63, one more than a duration can be.
		if ns >= math.MaxInt64 || ns < math.MinInt64 {
			return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", s)
		}
		return time.Duration(ns), nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
}

// limitParam returns the parameter limit; 0 is no limit.
func limitParam(r *http.Request) (int, error) {
	s := r.Form.Get("limit")
	if s == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(s)
	if err != nil {
		return 0, invalidParam("limit", err)
	}
	if limit < 0 {
		return 0, invalidParam("limit", errors.New("limit must be non-negative"))
	}
	return limit, nil
}

// hintLimit is one more than limit, so that the handler can tell that there was
// more.
func hintLimit(limit int) int {
	if limit > 0 && limit < math.MaxInt {
		return limit + 1
	}
	return limit
}

// countParam returns a parameter that is a number, or otherwise if it is not
// there.
func countParam(r *http.Request, name string, otherwise int) (int, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, badData(fmt.Errorf("%s must be a number", name))
	}
	return n, nil
}

// matcherSets parses the parameter match[]. Each of them must have a matcher
// that does not match the empty string.
func (a *API) matcherSets(r *http.Request) ([][]*labels.Matcher, error) {
	sets, err := a.opts.Parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if !selective(set) {
			return nil, errNotSelective
		}
	}
	return sets, nil
}

// selective reports whether a matcher does not match the empty string.
func selective(set []*labels.Matcher) bool {
	for _, m := range set {
		if m != nil && !m.Matches("") {
			return true
		}
	}
	return false
}

// matches reports whether all of the matchers match the labels.
func matches(ls labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

// parseExpr parses an expression of a bounded size.
func (a *API) parseExpr(expr string) (parser.Expr, error) {
	if err := checkExpr(expr); err != nil {
		return nil, err
	}
	return a.opts.Parser.ParseExpr(expr)
}

// checkExpr refuses an expression of too many tokens.
func checkExpr(expr string) error {
	if len(expr) <= maxExprTokens {
		return nil // a token has at least one byte
	}
	l := parser.Lex(expr)
	var item parser.Item
	for tokens := 0; ; tokens++ {
		l.NextItem(&item)
		if item.Typ == parser.EOF || item.Typ == parser.ERROR {
			return nil // the parser has a better message
		}
		if tokens >= maxExprTokens {
			return fmt.Errorf("expression has more than %d tokens", maxExprTokens)
		}
	}
}
