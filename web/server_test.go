package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage/storagetest"
	"github.com/gnomonhq/gnomon/web/api"
)

// running is a server that serves.
type running struct {
	*Server
	url  string
	log  *logBuffer
	stop func() error
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server on the loopback interface until the test ends.
func start(t *testing.T, opts Options) *running {
	t.Helper()
	r := &running{log: &logBuffer{}}
	opts.ListenAddresses = []string{"127.0.0.1:0", "127.0.0.1:0"}
	opts.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	if opts.ExternalURL == nil {
		opts.ExternalURL = &url.URL{Scheme: "http", Host: "prom.example"}
	}
	if opts.API.Storage == nil {
		opts.API.Storage = storagetest.NewModel(0)
	}
	var err error
	r.Server, err = New(opts)
	require.NoError(t, err)
	require.NoError(t, r.Listen())
	r.url = "http://" + r.Addresses()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { require.NoError(t, r.stop()) })
	return r
}

// client does not keep connections, so that a server can shut down at once, and
// does not follow redirects.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

func TestReadiness(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, Options{Registerer: reg, API: api.Options{TSDB: &fakeTSDB{}, Gatherer: reg}})
	waiting := []string{"/-/ready", "/federate", "/query", "/api/v1/query?query=1", "/api/v1/labels", "/api/v1/targets", "/api/v1/status/config"}
	always := []string{"/-/healthy", "/metrics", "/version", "/status", "/debug/pprof/cmdline", "/api/v1/status/walreplay", "/api/v1/notifications"}
	for state, stopping := range map[State]string{NotReady: "false", Stopping: "true"} {
		s.SetReady(state)
		for _, path := range waiting {
			got := ask(t, "GET", s.url+path)
			require.Equal(t, http.StatusServiceUnavailable, got.status, path)
			require.Equal(t, "Service Unavailable", got.body)
			require.Equal(t, stopping, got.header.Get("X-Prometheus-Stopping"))
		}
		for _, path := range always {
			require.Equal(t, http.StatusOK, ask(t, "GET", s.url+path).status, path)
		}
		require.Contains(t, ask(t, "GET", s.url+"/metrics").body, "\nprometheus_ready 0\n")
	}
	s.SetReady(Ready)
	require.Equal(t, "Gnomon is Ready.\n", ask(t, "GET", s.url+"/-/ready").body)
	require.Equal(t, "Gnomon is Healthy.\n", ask(t, "GET", s.url+"/-/healthy").body)
	for _, path := range []string{"/-/ready", "/-/healthy"} {
		got := ask(t, "HEAD", s.url+path)
		require.Equal(t, http.StatusOK, got.status)
		require.Empty(t, got.body)
	}
	require.Contains(t, ask(t, "GET", s.url+"/metrics").body, "\nprometheus_ready 1\n")
	require.Equal(t, `{"status":"success","data":[]}`, ask(t, "GET", s.url+"/api/v1/labels").body)
}

func TestLifecycleDisabled(t *testing.T) {
	s := start(t, Options{})
	for _, path := range []string{"/-/quit", "/-/reload"} {
		for _, method := range []string{"POST", "PUT"} {
			got := ask(t, method, s.url+path)
			require.Equal(t, http.StatusForbidden, got.status)
			require.Equal(t, "Lifecycle API is not enabled.", got.body)
		}
		got := ask(t, "GET", s.url+path)
		require.Equal(t, http.StatusMethodNotAllowed, got.status)
		require.Equal(t, "Only POST or PUT requests allowed", got.body)
	}
}

func TestLifecycle(t *testing.T) {
	var fail error
	reloads := 0
	s := start(t, Options{EnableLifecycle: true, Reload: func(context.Context) error {
		reloads++
		return fail
	}})
	got := ask(t, "POST", s.url+"/-/reload")
	require.Equal(t, http.StatusOK, got.status)
	require.Empty(t, got.body)
	fail = errors.New("prometheus.yml:3: unknown field \"x\"")
	got = ask(t, "PUT", s.url+"/-/reload")
	require.Equal(t, http.StatusInternalServerError, got.status)
	require.Equal(t, "failed to reload config: prometheus.yml:3: unknown field \"x\"\n", got.body)
	require.Equal(t, 2, reloads)

	select {
	case <-s.Quit():
		t.Fatal("nobody asked")
	default:
	}
	require.Equal(t, "Requesting termination... Goodbye!", ask(t, "POST", s.url+"/-/quit").body)
	<-s.Quit()
	require.Equal(t, "Termination already in progress.", ask(t, "PUT", s.url+"/-/quit").body)
}

// TestPaths asks for paths in and outside of a route prefix.
func TestPaths(t *testing.T) {
	s := start(t, Options{
		ExternalURL: &url.URL{Scheme: "https", Host: "prom.example", Path: "/mon/"},
		Machine:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, "node_load1 1\n") }),
		API: api.Options{
			BuildInfo: api.BuildInfo{Version: "3.15.0", GoVersion: "go1"},
			Engine:    engineFunc(func() (*api.Result, error) { return &api.Result{Type: parser.ValueTypeScalar}, nil }),
		},
	})
	s.SetReady(Ready)
	for _, c := range []struct {
		method, path string
		status       int
		header, body string
	}{
		{"GET", "/", 302, "/mon/", ""},
		{"GET", "/mon", 307, "/mon/", ""},
		{"GET", "/mon/", 302, "/mon/status", ""},
		{"GET", "/mon/graph?g0.expr=up&g0.tab=1", 302, "/mon/query?g0.expr=up&g0.tab=1", ""},
		{"GET", "/mon/targets", 302, "/mon/status#targets", ""},
		{"GET", "/mon/alerts", 302, "/mon/status#alerts", ""},
		{"GET", "/mon/version", 200, "", `{"version":"3.15.0","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":"go1"}` + "\n"},
		{"GET", "/version", 404, "", "404 page not found\n"},
		{"GET", "/mon/machine/metrics", 200, "", "node_load1 1\n"},
		{"GET", "/mon/nothing", 404, "", "404 page not found\n"},
		{"GET", "/mon/api/v1/nothing", 404, "", "404 page not found\n"},
		{"POST", "/mon/api/v1/nothing", 404, "", "404 page not found\n"},
		{"OPTIONS", "/mon/api/v1/nothing", 204, "", ""},
		{"OPTIONS", "/mon/api/v1/query", 204, "", ""},
		{"POST", "/mon/api/v1/targets", 405, "GET, OPTIONS", "Method Not Allowed\n"},
		{"DELETE", "/mon/api/v1/query", 405, "GET, OPTIONS, POST", "Method Not Allowed\n"},
		{"GET", "/mon/api/v1/query?query=1", 200, "", `{"status":"success","data":{"resultType":"scalar","result":[0,"0"]}}`},
		{"HEAD", "/mon/api/v1/query?query=1", 200, "", ""},
		{"GET", "/mon/api/v1/label/a%2Fb/values", 200, "", `{"status":"success","data":[]}`},
		{"GET", "/api/v1/query?query=1", 404, "", "404 page not found\n"},
		{"GET", "/mon/debug/pprof", 301, "/mon/debug/pprof/", ""},
		{"GET", "/mon/debug/other", 404, "", "404 page not found\n"},
		{"GET", "/mon/debug/pprof/nothing", 404, "", "Unknown profile\n"},
	} {
		got := ask(t, c.method, s.url+c.path)
		require.Equal(t, c.status, got.status, "%s %s", c.method, c.path)
		if c.status/100 == 3 {
			require.Equal(t, c.header, got.header.Get("Location"), c.path)
			continue
		}
		require.Equal(t, c.header, got.header.Get("Allow"), c.path)
		require.Equal(t, c.body, got.body, c.path)
	}
	require.Contains(t, ask(t, "GET", s.url+"/mon/debug/pprof/").body, "goroutine")
	require.Contains(t, ask(t, "GET", s.url+"/mon/debug/pprof/goroutine?debug=1").body, "goroutine profile")
	require.Contains(t, ask(t, "GET", s.url+"/mon/api/v1/features").body, `"lifecycle":false`)
	require.Contains(t, ask(t, "GET", s.url+"/mon/api/v1/status/runtimeinfo").body, `"GOMAXPROCS":`)
}

// engineFunc is an engine that answers every query alike.
type engineFunc func() (*api.Result, error)

func (f engineFunc) Instant(context.Context, string, time.Time, api.QueryOptions) (*api.Result, error) {
	return f()
}

func (f engineFunc) Range(context.Context, string, time.Time, time.Time, time.Duration, api.QueryOptions) (*api.Result, error) {
	return f()
}

// TestPanics: a handler that panics costs its request only.
func TestPanics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, Options{Registerer: reg, API: api.Options{Engine: engineFunc(func() (*api.Result, error) { panic("the engine is broken") })}})
	s.SetReady(Ready)
	got := ask(t, "GET", s.url+"/api/v1/query?query=1")
	require.Equal(t, http.StatusInternalServerError, got.status)
	require.Equal(t, "internal server error, see the log of the server\n", got.body)
	require.Contains(t, s.log.String(), "the engine is broken")
	require.Contains(t, s.log.String(), "answerQuery", "the stack")
	require.EqualValues(t, 1, testutil.ToFloat64(s.metrics.panics.WithLabelValues("/api/v1/query")))
	require.EqualValues(t, 1, testutil.ToFloat64(s.metrics.requests.WithLabelValues("/api/v1/query", "500")))

	// A panic within the response: the client must notice.
	late := s.recovered("late", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, strings.Repeat("x", 10_000))
		panic("too late")
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: late}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	res, err := client.Get("http://" + l.Addr().String())
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	require.Error(t, err)
	require.NoError(t, srv.Close())
	require.ErrorIs(t, <-done, http.ErrServerClosed)
}

func TestRequestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, Options{Registerer: reg, API: api.Options{Gatherer: reg}})
	s.SetReady(Ready)
	ask(t, "GET", s.url+"/api/v1/label/job/values")
	ask(t, "GET", s.url+"/api/v1/label/bad/values?limit=x")
	body := ask(t, "GET", s.url+"/metrics").body
	for _, line := range []string{
		`prometheus_http_requests_total{code="200",handler="/api/v1/label/:name/values"} 1`,
		`prometheus_http_requests_total{code="400",handler="/api/v1/label/:name/values"} 1`,
		`prometheus_http_requests_total{code="200",handler="/api/v1/query_range"} 0`,
		`prometheus_http_request_duration_seconds_count{handler="/api/v1/label/:name/values"} 2`,
		`prometheus_http_response_size_bytes_count{handler="/api/v1/label/:name/values"} 2`,
		"# TYPE gnomon_http_connections gauge",
		`promhttp_metric_handler_requests_in_flight 1`,
		`prometheus_web_federation_errors_total 0`,
	} {
		require.Contains(t, body, line+"\n")
	}
}

// TestConnectionLimit opens more connections than are allowed, over both
// listeners.
func TestConnectionLimit(t *testing.T) {
	s := start(t, Options{MaxConnections: 2})
	var open []net.Conn
	get := func(c net.Conn) error {
		require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		_, err := io.WriteString(c, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		return err
	}
	for i := range 2 {
		c, err := net.Dial("tcp", s.Addresses()[i].String())
		require.NoError(t, err)
		open = append(open, c)
		require.NoError(t, get(c))
	}
	third, err := net.Dial("tcp", s.Addresses()[0].String())
	require.NoError(t, err) // the kernel accepts it, the server does not
	defer third.Close()
	_, err = io.WriteString(third, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.EqualValues(t, 2, testutil.ToFloat64(s.metrics.connections))
	require.NoError(t, third.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = third.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "the third connection waits")

	require.NoError(t, open[1].Close())
	defer open[0].Close()
	require.NoError(t, third.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = third.Read(make([]byte, 1))
	require.NoError(t, err)
}

// TestShutdown: a running request is finished, a live subscription is ended.
func TestShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := start(t, Options{
		ShutdownTimeout: time.Minute,
		EnableLifecycle: true,
		Reload: func(context.Context) error {
			close(entered)
			<-leave
			return nil
		},
		API: api.Options{Notifications: api.NewNotifications(api.NotificationsOptions{})},
	})
	live, err := client.Get(s.url + "/api/v1/notifications/live")
	require.NoError(t, err)
	defer live.Body.Close()
	reloaded := make(chan error, 1)
	go func() {
		res, err := client.Post(s.url+"/-/reload", "", nil)
		if err == nil {
			err = res.Body.Close()
		}
		reloaded <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	_, err = io.ReadAll(live.Body)
	require.NoError(t, err)
	select {
	case <-stopped:
		t.Fatal("a request still runs")
	default:
	}
	close(leave)
	require.NoError(t, <-reloaded)
	require.NoError(t, <-stopped)
}

// TestShutdownCutsOff: a request that does not end in time is canceled.
func TestShutdownCutsOff(t *testing.T) {
	entered := make(chan struct{})
	s := start(t, Options{
		ShutdownTimeout: time.Millisecond,
		API:             api.Options{Engine: blockingEngine{entered}},
	})
	s.SetReady(Ready)
	done := make(chan error, 1)
	go func() {
		res, err := client.Get(s.url + "/api/v1/query?query=1")
		if err == nil {
			err = res.Body.Close()
		}
		done <- err
	}()
	<-entered
	require.NoError(t, s.stop())
	require.Error(t, <-done)
	require.Contains(t, s.log.String(), "requests were cut off by the shutdown")
}

// blockingEngine waits for the end of the request.
type blockingEngine struct{ entered chan struct{} }

func (b blockingEngine) Instant(ctx context.Context, _ string, _ time.Time, _ api.QueryOptions) (*api.Result, error) {
	close(b.entered)
	<-ctx.Done()
	return nil, ctx.Err()
}

func (b blockingEngine) Range(ctx context.Context, expr string, start, _ time.Time, _ time.Duration, opts api.QueryOptions) (*api.Result, error) {
	return b.Instant(ctx, expr, start, opts)
}

func TestBadOptions(t *testing.T) {
	for text, opts := range map[string]Options{
		"MaxConnections is -1":                    {MaxConnections: -1},
		"ReadTimeout is -1s":                      {ReadTimeout: -time.Second},
		"EnableLifecycle needs Reload":            {EnableLifecycle: true},
		`listen address "nowhere": address`:       {ListenAddresses: []string{"nowhere"}},
		`route prefix "/a{b": '{' is not allowed`: {RoutePrefix: "a{b"},
	} {
		_, err := New(opts)
		require.ErrorContains(t, err, text)
	}
	s, err := New(Options{MaxConnections: -1, ReadTimeout: -1})
	require.Nil(t, s)
	require.ErrorContains(t, err, "MaxConnections")
	require.ErrorContains(t, err, "ReadTimeout", "all at once")
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	s, err := New(Options{ListenAddresses: []string{"127.0.0.1:0", taken.Addr().String()}})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "listen on "+taken.Addr().String())
	require.Empty(t, s.Addresses())

	s, err = New(Options{WebConfigFile: t.TempDir() + "/missing.yml"})
	require.NoError(t, err)
	require.ErrorContains(t, s.Listen(), "missing.yml")
}

func TestDefaultExternalURL(t *testing.T) {
	s, err := New(Options{ListenAddresses: []string{"127.0.0.1:1234"}})
	require.NoError(t, err)
	require.Equal(t, "1234", s.ExternalURL().Port())
	for prefix, want := range map[string]string{"": "/x/y", "/": "", "a": "/a", "/a/b/": "/a/b"} {
		require.Equal(t, want, routePrefix(prefix, &url.URL{Path: "/x/y/"}))
	}
}
