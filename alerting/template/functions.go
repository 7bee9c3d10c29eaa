package template

import (
	"context"
	"errors"
	"fmt"
	html "html/template"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/prometheus/common/helpers/templates"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/util/strutil"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// sample is an element of a query's result in the form templates work with.
type sample struct {
	Labels map[string]string
	Value  any
}

// queryResult is what the function query returns.
type queryResult []*sample

// functions holds what the functions of one template refer to.
type functions struct {
	ctx   context.Context //nolint:containedctx // The arguments of a template function come from the template.
	scope Scope
}

// table returns the functions by name.
func (f *functions) table() template.FuncMap {
	return template.FuncMap{
		// Queries and their results.
		"query":       f.query,
		"first":       first,
		"label":       func(name string, s *sample) string { return s.Labels[name] },
		"value":       func(s *sample) any { return s.Value },
		"strvalue":    func(s *sample) string { return s.Labels["__value__"] },
		"sortByLabel": sortByLabel,
		// Numbers.
		"humanize":           humanize,
		"humanize1024":       humanize1024,
		"humanizeDuration":   templates.HumanizeDuration,
		"humanizePercentage": humanizePercentage,
		"humanizeTimestamp":  templates.HumanizeTimestamp,
		"parseDuration":      parseDuration,
		"toDuration":         toDuration,
		"toTime":             toTime,
		"now":                func() float64 { return float64(f.scope.Now.UnixMilli()) / 1000 },
		// Strings.
		"title":          func(s string) string { return cases.Title(language.AmericanEnglish, cases.NoLower).String(s) },
		"toUpper":        strings.ToUpper,
		"toLower":        strings.ToLower,
		"match":          regexp.MatchString,
		"reReplaceAll":   reReplaceAll,
		"stripPort":      stripPort,
		"stripDomain":    stripDomain,
		"urlQueryEscape": url.QueryEscape,
		"safeHtml":       func(s string) html.HTML { return html.HTML(s) },
		// Addresses of this server.
		"graphLink":   strutil.GraphLinkForExpression,
		"tableLink":   strutil.TableLinkForExpression,
		"pathPrefix":  func() string { return f.scope.ExternalURL.Path },
		"externalURL": func() string { return f.scope.ExternalURL.String() },
		// Arguments of nested templates.
		"args": arguments,
	}
}

// query evaluates an expression at the time of the evaluation.
func (f *functions) query(expr string) (queryResult, error) {
	vector, err := f.scope.Query(f.ctx, expr, f.scope.Now)
	if err != nil {
		return nil, err
	}
	result := make(queryResult, len(vector))
	for i, v := range vector {
		result[i] = &sample{Labels: v.Labels.Map(), Value: v.V}
		if v.H != nil {
			result[i].Value = v.H
		}
	}
	return result, nil
}

func first(v queryResult) (*sample, error) {
	if len(v) == 0 {
		return nil, errors.New("first() called on vector with no elements")
	}
	return v[0], nil
}

// sortByLabel sorts v in place by the value of a label and returns it.
func sortByLabel(label string, v queryResult) queryResult {
	slices.SortStableFunc(v, func(a, b *sample) int {
		return strings.Compare(a.Labels[label], b.Labels[label])
	})
	return v
}

// arguments makes the data of a nested template: arg0, arg1 and so on.
func arguments(args ...any) map[string]any {
	named := make(map[string]any, len(args))
	for i, a := range args {
		named[fmt.Sprintf("arg%d", i)] = a
	}
	return named
}

func reReplaceAll(pattern, repl, text string) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		// The wording of regexp.MustCompile, which is what people know.
		return "", fmt.Errorf("regexp: Compile(%s): %w", quoted(pattern), err)
	}
	return re.ReplaceAllString(text, repl), nil
}

// quoted quotes a pattern, with backquotes if it can be.
func quoted(s string) string {
	if strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

// stripPort removes the port of an address, if it has one.
func stripPort(hostPort string) string {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return hostPort
	}
	return host
}

// stripDomain removes the domain of a host name and keeps the port. An IP
// address stays as it is.
func stripDomain(hostPort string) string {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	if net.ParseIP(host) != nil {
		return hostPort
	}
	host, _, _ = strings.Cut(host, ".")
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// parseDuration returns the seconds of a duration in PromQL's notation.
func parseDuration(s string) (float64, error) {
	d, err := model.ParseDurationAllowNegative(s)
	if err != nil {
		return 0, err
	}
	return time.Duration(d).Seconds(), nil
}

// toDuration makes a Go duration of a number of seconds.
func toDuration(v any) (*time.Duration, error) {
	f, err := templates.ConvertToFloat(v)
	if err != nil {
		return nil, err
	}
	d := time.Duration(f * float64(time.Second))
	return &d, nil
}

// toTime makes a time in UTC of a Unix timestamp in seconds.
func toTime(v any) (*time.Time, error) {
	f, err := templates.ConvertToFloat(v)
	if err != nil {
		return nil, err
	}
	return templates.FloatToTime(f)
}
