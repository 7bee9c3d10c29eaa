package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// maxPoints is the greatest number of steps of a range query: one minute over a
// week and one hour over a year are below it.
const maxPoints = 11000

var (
	errStep       = errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer")
	errResolution = errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
)

// dashboardHeader is what Grafana sends with the queries of a dashboard.
const dashboardHeader = "X-Dashboard-Uid"

// query serves /query.
func (a *API) query(r *http.Request) (response, error) {
	limit, err := limitParam(r)
	if err != nil {
		return response{}, err
	}
	t, err := timeParam(r, "time", a.opts.Now())
	if err != nil {
		return response{}, err
	}
	ctx, cancel, opts, err := queryRequest(r)
	if err != nil {
		return response{}, err
	}
	defer cancel()
	return a.answerQuery(r, limit, func(expr string) (*Result, error) {
		return a.opts.Engine.Instant(ctx, expr, t, opts)
	})
}

// queryRange serves /query_range.
func (a *API) queryRange(r *http.Request) (response, error) {
	limit, err := limitParam(r)
	if err != nil {
		return response{}, err
	}
	start, end, step, err := stepParams(r)
	if err != nil {
		return response{}, err
	}
	ctx, cancel, opts, err := queryRequest(r)
	if err != nil {
		return response{}, err
	}
	defer cancel()
	return a.answerQuery(r, limit, func(expr string) (*Result, error) {
		opts.Dashboard = true
		return a.opts.Engine.Range(ctx, expr, start, end, step, opts)
	})
}

// stepParams returns start, end and step, which a range query must have.
func stepParams(r *http.Request) (start, end time.Time, step time.Duration, err error) {
	if start, err = parseTime(r.Form.Get("start")); err != nil {
		return start, end, 0, invalidParam("start", err)
	}
	if end, err = parseTime(r.Form.Get("end")); err != nil {
		return start, end, 0, invalidParam("end", err)
	}
	if end.Before(start) {
		return start, end, 0, invalidParam("end", errors.New("end timestamp must not be before start time"))
	}
	if step, err = parseDuration(r.Form.Get("step")); err != nil {
		return start, end, 0, invalidParam("step", err)
	}
	if step < time.Millisecond {
		return start, end, 0, invalidParam("step", errStep)
	}
	// In milliseconds, since the distance of two times can be more than a
	// duration can hold. The difference of two int64 always fits into an uint64.
	if span := uint64(milliseconds(end)) - uint64(milliseconds(start)); span/uint64(step.Milliseconds()) > maxPoints {
		return start, end, 0, badData(errResolution)
	}
	return start, end, step, nil
}

// queryRequest returns what a request says of how its query is to be run. The
// context is to be cancelled.
func queryRequest(r *http.Request) (context.Context, context.CancelFunc, QueryOptions, error) {
	ctx, cancel, err := queryContext(r)
	if err != nil {
		return nil, nil, QueryOptions{}, err
	}
	opts, err := queryOptions(r)
	if err != nil {
		cancel()
	}
	return ctx, cancel, opts, err
}

// queryContext returns the context of the request with the parameter timeout
// applied.
func queryContext(r *http.Request) (context.Context, context.CancelFunc, error) {
	s := r.Form.Get("timeout")
	if s == "" {
		return r.Context(), func() {}, nil
	}
	timeout, err := parseDuration(s)
	if err != nil {
		return nil, nil, invalidParam("timeout", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	return ctx, cancel, nil
}

func queryOptions(r *http.Request) (QueryOptions, error) {
	opts := QueryOptions{PerStepStats: r.Form.Get("stats") == "all", Origin: origin(r), Dashboard: r.Header.Get(dashboardHeader) != ""}
	if s := r.Form.Get("nocache"); s != "" {
		var err error
		if opts.NoCache, err = strconv.ParseBool(s); err != nil {
			return opts, invalidParam("nocache", fmt.Errorf("unable to parse boolean: %w", err))
		}
	}
	if s := r.Form.Get("lookback_delta"); s != "" {
		d, err := parseDuration(s)
		if err != nil {
			return opts, badData(fmt.Errorf("error parsing lookback delta duration: %w", err))
		}
		opts.LookbackDelta = d
	}
	return opts, nil
}

// origin returns where a query came from.
func origin(r *http.Request) Origin {
	o := Origin{Method: r.Method, Path: r.URL.Path}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		o.ClientIP = host
	}
	return o
}

// answerQuery evaluates the expression of the request and answers with the
// result.
func (a *API) answerQuery(r *http.Request, limit int, evaluate func(expr string) (*Result, error)) (response, error) {
	if a.opts.Engine == nil {
		return response{}, unavailable("query engine")
	}
	expr := r.Form.Get("query")
	if err := checkExpr(expr); err != nil {
		return response{}, invalidParam("query", err)
	}
	res, err := evaluate(expr)
	if err != nil {
		return response{}, queryError(err)
	}
	notes := res.Annotations
	if limit > 0 && truncate(res, limit) {
		notes.Add(errTruncated)
	}
	stats := r.Form.Get("stats")
	addStatsWarning(&notes, stats)
	return response{
		data:        func(e *encoder) { e.result(res, stats != "") },
		annotations: notes,
		release:     res.Release,
	}, nil
}

// truncate cuts a vector or matrix down to limit elements and reports whether
// it had more.
func truncate(res *Result, limit int) bool {
	switch {
	case res.Type == parser.ValueTypeVector && len(res.Vector) > limit:
		res.Vector = res.Vector[:limit]
	case res.Type == parser.ValueTypeMatrix && len(res.Matrix) > limit:
		res.Matrix = res.Matrix[:limit]
	default:
		return false
	}
	return true
}

// addStatsWarning warns of values of the parameter stats that are not meant to
// be used.
func addStatsWarning(notes *annotations.Annotations, stats string) {
	switch stats {
	case "", "true", "all":
	default:
		notes.Add(fmt.Errorf("value %q for parameter \"stats\" is deprecated and will be rejected in the next major release, use %q or %q", stats, "true", "all"))
	}
}

// result appends the data of a query's response.
func (e *encoder) result(res *Result, withStats bool) {
	e.raw(`{"resultType":`)
	e.str(string(res.Type))
	e.raw(`,"result":`)
	switch res.Type {
	case parser.ValueTypeVector:
		e.vector(res.Vector)
	case parser.ValueTypeMatrix:
		e.matrix(res.Matrix)
	case parser.ValueTypeScalar:
		e.scalar(res.Scalar)
	case parser.ValueTypeString:
		e.stringPoint(res.String)
	default:
		e.raw("null")
	}
	if withStats && res.Stats != nil {
		e.raw(`,"stats":`)
		e.stats(res.Stats)
	}
	e.rawByte('}')
}

func (e *encoder) vector(vector []Sample) {
	e.rawByte('[')
	for i := range vector {
		s := &vector[i]
		e.comma(i)
		e.raw(`{"metric":`)
		e.labels(s.Metric)
		if s.H == nil {
			e.raw(`,"value":`)
			e.floatPoint(FloatPoint{T: s.T, F: s.F})
		} else {
			e.raw(`,"histogram":`)
			e.histogramPoint(HistogramPoint{T: s.T, H: s.H})
		}
		e.rawByte('}')
		e.spill()
	}
	e.rawByte(']')
}

func (e *encoder) matrix(matrix []Series) {
	e.rawByte('[')
	for i := range matrix {
		s := &matrix[i]
		e.comma(i)
		e.raw(`{"metric":`)
		e.labels(s.Metric)
		if len(s.Floats) > 0 {
			e.raw(`,"values":[`)
			for j, p := range s.Floats {
				e.comma(j)
				e.floatPoint(p)
				e.spill()
			}
			e.rawByte(']')
		}
		if len(s.Histograms) > 0 {
			e.raw(`,"histograms":[`)
			for j, p := range s.Histograms {
				e.comma(j)
				e.histogramPoint(p)
				e.spill()
			}
			e.rawByte(']')
		}
		e.rawByte('}')
		e.spill()
	}
	e.rawByte(']')
}

func (e *encoder) floatPoint(p FloatPoint) {
	e.rawByte('[')
	e.timestamp(p.T)
	e.rawByte(',')
	e.sampleValue(p.F)
	e.rawByte(']')
}

func (e *encoder) histogramPoint(p HistogramPoint) {
	e.rawByte('[')
	e.timestamp(p.T)
	e.rawByte(',')
	e.histogram(p.H)
	e.rawByte(']')
}

// scalar never writes an exponent, unlike floatPoint.
func (e *encoder) scalar(p FloatPoint) {
	e.rawByte('[')
	e.float(float64(p.T) / 1000)
	e.raw(`,"`)
	e.buf = strconv.AppendFloat(e.buf, p.F, 'f', -1, 64)
	e.raw(`"]`)
}

// stringPoint differs from other strings in how some control characters are
// escaped.
func (e *encoder) stringPoint(p StringPoint) {
	e.rawByte('[')
	e.float(float64(p.T) / 1000)
	e.rawByte(',')
	text, err := json.Marshal(p.V)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	e.buf = append(e.buf, text...)
	e.rawByte(']')
}

func (e *encoder) stats(s *QueryStats) {
	e.raw(`{"timings":{"evalTotalTime":`)
	e.seconds(s.EvalTotal)
	e.raw(`,"resultSortTime":`)
	e.seconds(s.ResultSort)
	e.raw(`,"queryPreparationTime":`)
	e.seconds(s.QueryPreparation)
	e.raw(`,"innerEvalTime":`)
	e.seconds(s.InnerEval)
	e.raw(`,"execQueueTime":`)
	e.seconds(s.ExecQueue)
	e.raw(`,"execTotalTime":`)
	e.seconds(s.ExecTotal)
	e.rawByte('}')
	if c := s.Samples; c != nil {
		e.raw(`,"samples":{`)
		if len(c.TotalQueryablePerStep) > 0 {
			e.raw(`"totalQueryableSamplesPerStep":`)
			e.stepStats(c.TotalQueryablePerStep)
			e.rawByte(',')
		}
		e.raw(`"totalQueryableSamples":`)
		e.integer(c.TotalQueryable)
		if len(c.ReadPerStep) > 0 {
			e.raw(`,"samplesReadPerStep":`)
			e.stepStats(c.ReadPerStep)
		}
		e.raw(`,"samplesRead":`)
		e.integer(c.Read)
		e.raw(`,"peakSamples":`)
		e.integer(c.Peak)
		e.rawByte('}')
	}
	e.rawByte('}')
}

func (e *encoder) stepStats(stats []StepStat) {
	e.rawByte('[')
	for i, s := range stats {
		e.comma(i)
		e.rawByte('[')
		e.float(float64(s.T) / 1000)
		e.rawByte(',')
		e.integer(s.V)
		e.rawByte(']')
	}
	e.rawByte(']')
}

// Evaluate evaluates an expression for the request r outside of the API, within
// the timeout. It refuses what the API refuses.
func (a *API) Evaluate(r *http.Request, expr string, t time.Time, timeout time.Duration) (*Result, error) {
	if a.opts.Engine == nil {
		return nil, unavailable("query engine")
	}
	if err := checkExpr(expr); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	return a.opts.Engine.Instant(ctx, expr, t, QueryOptions{Origin: origin(r)})
}
