package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// stubEngine answers every query with what it is told.
type stubEngine struct {
	result *Result
	err    error
	// asked are the options of the last query, timeout whether it had a
	// deadline.
	asked   QueryOptions
	timeout bool
	step    time.Duration
}

func (s *stubEngine) Instant(ctx context.Context, _ string, _ time.Time, opts QueryOptions) (*Result, error) {
	_, s.timeout = ctx.Deadline()
	s.asked = opts
	return s.result, s.err
}

func (s *stubEngine) Range(ctx context.Context, expr string, start, _ time.Time, step time.Duration, opts QueryOptions) (*Result, error) {
	s.step = step
	return s.Instant(ctx, expr, start, opts)
}

func request(h http.Handler, method, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const form = "application/x-www-form-urlencoded"

func scalar() *Result {
	return &Result{Type: parser.ValueTypeScalar, Scalar: FloatPoint{T: 1000, F: 1}}
}

func TestErrorsOfTheEngine(t *testing.T) {
	cause := errors.New("it broke <here>")
	for _, c := range []struct {
		err    error
		status int
		typ    string
		text   string
	}{
		{&QueryError{QueryFailed, cause}, 422, "execution", "it broke <here>"},
		{&QueryError{QueryInvalid, cause}, 400, "bad_data", `invalid parameter "query": it broke <here>`},
		{&QueryError{QueryTimedOut, cause}, 503, "timeout", "it broke <here>"},
		{&QueryError{QueryCanceled, cause}, 499, "canceled", "it broke <here>"},
		{&QueryError{QueryStorageFailed, cause}, 500, "internal", "it broke <here>"},
		{&QueryError{QueryRefused, cause}, 503, "refused", "it broke <here>"},
		{cause, 422, "execution", "it broke <here>"},
		{context.Canceled, 499, "canceled", "context canceled"},
		{storage.ErrClosed, 500, "unavailable", "already closed"},
	} {
		h := serveMux(New(Options{Engine: &stubEngine{err: c.err}}))
		for _, path := range []string{"/query?query=x", "/query_range?query=x&start=0&end=1&step=1"} {
			w := request(h, "GET", path, "", "")
			require.Equal(t, c.status, w.Code)
			var got struct{ Status, ErrorType, Error string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			require.Equal(t, "error", got.Status)
			require.Equal(t, c.typ, got.ErrorType)
			require.Equal(t, c.text, got.Error)
		}
	}
}

func TestOptionsReachTheEngine(t *testing.T) {
	released := 0
	engine := &stubEngine{}
	h := serveMux(New(Options{Engine: engine}))
	engine.result = scalar()
	engine.result.Release = func() { released++ }
	w := request(h, "POST", "/query_range", form, "query=x&start=0&end=1&step=0.5&stats=all&lookback_delta=7m&timeout=3s")
	require.Equal(t, 200, w.Code)
	require.Equal(t, QueryOptions{
		LookbackDelta: 7 * time.Minute, PerStepStats: true, Dashboard: true,
		Origin: Origin{ClientIP: "192.0.2.1", Method: "POST", Path: "/api/v1/query_range"},
	}, engine.asked)
	require.True(t, engine.timeout)
	require.Equal(t, 500*time.Millisecond, engine.step)
	require.Equal(t, 1, released)
	require.Equal(t, 200, request(h, "GET", "/query?query=x", "", "").Code)
	require.False(t, engine.timeout)
	require.Equal(t, 2, released)
}

// TestAnnotationsAreBounded: ten of each kind, sorted, and how many are missing.
func TestAnnotationsAreBounded(t *testing.T) {
	res := scalar()
	for i := range 25 {
		res.Annotations.Add(errors.New("warning " + string(rune('z'-i))))
	}
	res.Annotations.Add(annotations.PromQLInfo)
	h := serveMux(New(Options{Engine: &stubEngine{result: res}}))
	var got struct{ Warnings, Infos []string }
	require.NoError(t, json.Unmarshal(request(h, "GET", "/query?query=x", "", "").Body.Bytes(), &got))
	require.Len(t, got.Warnings, 11)
	require.Equal(t, "warning b", got.Warnings[0])
	require.Equal(t, "15 more warning annotations omitted", got.Warnings[10])
	require.Equal(t, []string{"PromQL info"}, got.Infos)
}

func TestBodiesAreBounded(t *testing.T) {
	h := serveMux(New(Options{Engine: &stubEngine{result: scalar()}}))
	fits := "query=" + strings.Repeat("1", maxFormBytes-len("query="))
	w := request(h, "POST", "/query", form, fits)
	require.Equal(t, 200, w.Code, w.Body.String())
	w = request(h, "POST", "/query", form, fits+"1")
	require.Equal(t, 400, w.Code)
	require.JSONEq(t, `{"status":"error","errorType":"bad_data","error":"error parsing form values: http: request body too large"}`, w.Body.String())

	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	require.NoError(t, m.WriteField("query", "up"))
	require.NoError(t, m.Close())
	require.Equal(t, 200, request(h, "POST", "/query", m.FormDataContentType(), b.String()).Code)
	large := strings.Replace(b.String(), "up", fits, 1)
	require.Equal(t, 400, request(h, "POST", "/query", m.FormDataContentType(), large).Code)
	require.Equal(t, 400, request(h, "POST", "/query", m.FormDataContentType(), "no multipart").Code)
}

// TestExpressionsAreBounded sends expressions that would overflow the stack of
// a parser or engine that recurses.
func TestExpressionsAreBounded(t *testing.T) {
	h := serveMux(New(Options{Engine: &stubEngine{result: scalar()}, Storage: storagetest.NewModel(0)}))
	const text = "expression has more than 50000 tokens"
	for _, expr := range []string{
		strings.Repeat("(", 1<<17), strings.Repeat("-", 1<<17) + "1", strings.Repeat("1+", 1<<16) + "1",
		strings.Repeat("abs(", 1<<16), strings.Repeat("sum by (a) ", 1<<16),
	} {
		for _, path := range []string{"/query", "/query_range", "/format_query", "/parse_query", "/query_exemplars"} {
			w := request(h, "POST", path, form, url.Values{"query": {expr}, "start": {"0"}, "end": {"1"}, "step": {"1"}}.Encode())
			require.Equal(t, 400, w.Code)
			require.Contains(t, w.Body.String(), text)
		}
	}
	// One long string is one token, however long.
	w := request(h, "POST", "/format_query", form, url.Values{"query": {`up{a="` + strings.Repeat("x|", 1<<16) + `"}`}}.Encode())
	require.Equal(t, 200, w.Code)
	deep := strings.Repeat("(", 10_000) + "1" + strings.Repeat(")", 10_000)
	require.Equal(t, 200, request(h, "POST", "/parse_query", form, url.Values{"query": {deep}}.Encode()).Code)
}

// TestSelectorsAreBounded: each match[] is a look-up of its own. The bound is
// that of package net/url.
func TestSelectorsAreBounded(t *testing.T) {
	h := serveMux(New(Options{Storage: storagetest.NewModel(0)}))
	for _, path := range []string{"/series", "/labels", "/admin/tsdb/delete_series"} {
		w := request(h, "POST", path, form, strings.Repeat("&match[]=up", 10_001)[1:])
		require.Equal(t, 400, w.Code)
		require.Contains(t, w.Body.String(), "error parsing form values: number of URL query parameters exceeded limit")
	}
}

// TestNothingWired asks an API without any part: it answers, it does not panic.
func TestNothingWired(t *testing.T) {
	a := New(Options{})
	h := serveMux(a)
	for _, e := range a.endpoints() {
		path := strings.ReplaceAll(e.pattern, "{name}", "job") + "?query=up&start=0&end=1&step=1&match[]=up&scrapePool=x&labels={}"
		w := request(h, e.methods[0], path, "", "")
		require.Contains(t, []int{200, 204, 422, 500}, w.Code, path)
		if w.Code != 204 {
			require.True(t, json.Valid(w.Body.Bytes()), path)
		}
	}
}

func TestDisabledReceivers(t *testing.T) {
	h := serveMux(New(Options{}))
	for path, text := range map[string]string{
		"/write":           "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
		"/otlp/v1/metrics": "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n",
		"/read":            "not found\n",
	} {
		w := request(h, "POST", path, "", "x")
		require.Equal(t, 404, w.Code)
		require.Equal(t, text, w.Body.String())
	}
	on := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	h = serveMux(New(Options{RemoteRead: on, RemoteWrite: on, OTLP: on}))
	for _, path := range []string{"/write", "/read", "/otlp/v1/metrics"} {
		require.Equal(t, http.StatusAccepted, request(h, "POST", path, "", "").Code)
	}
}

func TestAdminDisabled(t *testing.T) {
	h := serveMux(New(Options{}))
	for _, path := range []string{"delete_series?match[]=up", "clean_tombstones", "snapshot"} {
		w := request(h, "POST", "/admin/tsdb/"+path, "", "")
		require.Equal(t, 500, w.Code)
		require.Equal(t, `{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}`, w.Body.String())
	}
}

// TestDeleteIsAllOrNothing: a broken selector must not leave half of the others
// deleted.
func TestDeleteIsAllOrNothing(t *testing.T) {
	admin := &adminLog{}
	h := serveMux(New(Options{Admin: admin}))
	require.Equal(t, 400, request(h, "POST", "/admin/tsdb/delete_series?match[]=up&match[]=x{", "", "").Code)
	require.Empty(t, admin.deleted)
}

// failingStorage opens queriers whose every call fails.
type failingStorage struct{}

type failingQuerier struct{ storage.Querier }

var errRead = errors.New("chunk 7 is damaged")

func (failingStorage) Querier(int64, int64) (storage.Querier, error) { return failingQuerier{}, nil }

func (failingQuerier) Close() error { return nil }
func (failingQuerier) Select(context.Context, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return failingSet{}
}
func (failingQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errRead
}
func (failingQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errRead
}

type failingSet struct{ storage.SeriesSet }

func (failingSet) Next() bool                        { return false }
func (failingSet) Err() error                        { return errRead }
func (failingSet) Warnings() annotations.Annotations { return nil }

func TestErrorsOfTheStorage(t *testing.T) {
	h := serveMux(New(Options{Storage: failingStorage{}}))
	for _, path := range []string{"/series?match[]=up", "/labels", "/label/job/values"} {
		w := request(h, "GET", path, "", "")
		require.Equal(t, 422, w.Code)
		require.Equal(t, `{"status":"error","errorType":"execution","error":"chunk 7 is damaged"}`, w.Body.String())
	}
	closed := storagetest.NewModel(0)
	require.NoError(t, closed.Close())
	w := request(serveMux(New(Options{Storage: closed})), "GET", "/labels", "", "")
	require.Equal(t, 500, w.Code)
	require.Contains(t, w.Body.String(), `"errorType":"unavailable"`)
}

func TestCanceledRequest(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("GET", "/api/v1/series?match[]=up", nil).WithContext(ctx)
	w := httptest.NewRecorder()
	f.handler(nil).ServeHTTP(w, r)
	require.Equal(t, 499, w.Code)
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"", "0", "1.5", "-1", "1e400", "NaN", "Inf", "0x1p10", "2015-07-01T20:10:51.781Z", minTimeText, maxTimeText, "9223372036854775", "-9223372036854776", "1_000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseTime(s)
		if err != nil {
			require.Contains(t, err.Error(), "to a valid timestamp")
			return
		}
		ms := milliseconds(parsed)
		require.Equal(t, parsed.Unix() < 0, ms < 0, "milliseconds overflow")
		if d, err := parseDuration(s); err == nil {
			require.LessOrEqual(t, math.Abs(d.Seconds()), float64(math.MaxInt64)/1e9)
		}
	})
}

// FuzzRequest sends any query string to any endpoint: the answer is always one
// of the API's, and JSON.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/*.script")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		for line := range strings.SplitSeq(string(text), "\n") {
			if rest, ok := strings.CutPrefix(line, "GET "); ok && !strings.HasSuffix(rest, "/live") {
				path, query, _ := strings.Cut(rest, "?")
				f.Add(path, query)
			}
		}
	}
	fix := newFixture(f)
	h := fix.handler(nil)
	f.Fuzz(func(t *testing.T, path, query string) {
		r := &http.Request{
			Method: "GET", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
			URL: &url.URL{Path: "/api/v1" + path, RawQuery: query}, RemoteAddr: "127.0.0.1:1",
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Header().Get("Content-Type") != "application/json" {
			require.Contains(t, []int{204, 301, 307, 404, 405}, w.Code)
			return
		}
		require.Contains(t, []int{200, 400, 422, 499, 500, 503}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()) && utf8.Valid(w.Body.Bytes()), "%q", w.Body)
	})
}
