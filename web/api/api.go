package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/features"

	"github.com/gnomonhq/gnomon/storage"
)

// Options are the parts that the API answers from. Parts that are nil make the
// endpoints that need them answer that they are unavailable.
type Options struct {
	// Engine evaluates queries.
	Engine Engine
	// Storage answers for series, labels, exemplars and metadata.
	Storage storage.Queryable
	// Parser parses expressions and selectors; the default has no experimental
	// features. It should be the one that the engine uses.
	Parser parser.Parser
	// Targets, Rules and Alertmanagers answer for the endpoints of their names.
	Targets       Targets
	Rules         Rules
	Alertmanagers Alertmanagers
	// ScrapeHistory has the last scrapes of targets.
	ScrapeHistory ScrapeHistory
	// DiscoverySources returns what targets are discovered from.
	DiscoverySources func() []DiscoverySource
	// OperatorObjects returns the Prometheus Operator's objects that are selected.
	OperatorObjects func() []OperatorObject
	// Queries lists the running queries and cancels them.
	Queries Queries
	// Plans explains queries.
	Plans Plans
	// TSDB answers for the state of the database.
	TSDB TSDB
	// Admin changes the database. nil means that the admin API is disabled.
	Admin TSDBAdmin
	// Notifications are what a person should know; nil means that there are
	// none.
	Notifications *Notifications
	// Features lists what the server can do.
	Features features.Collector
	// Gatherer has the server's own metrics.
	Gatherer prometheus.Gatherer

	// Config returns the configuration in force as YAML without secrets.
	Config func() string
	// Flags are the values of the command line flags by their names.
	Flags map[string]string
	// BuildInfo says how the binary was built.
	BuildInfo BuildInfo
	// RuntimeInfo says how the process is doing.
	RuntimeInfo func() (RuntimeInfo, error)

	// RemoteWrite, RemoteRead and OTLP take over /write, /read and
	// /otlp/v1/metrics. nil means that they are disabled.
	RemoteWrite, RemoteRead, OTLP http.Handler

	// CORSOrigin matches the origins that browsers may call from; the default
	// is all of them. It should be anchored.
	CORSOrigin *regexp.Regexp
	// ExternalURL is where users reach the server, ListenAddress where it
	// listens. With both, the URLs of targets on this machine are rewritten to
	// ones that are reachable from elsewhere.
	ExternalURL   *url.URL
	ListenAddress string

	// Ready wraps the handlers that need the storage. It answers by itself as
	// long as the server is not ready. The default lets everything through.
	Ready func(http.Handler) http.Handler
	// Now is the clock; the default is time.Now.
	Now func() time.Time
	// Logger gets what goes wrong on our side; the default discards it.
	Logger *slog.Logger
}

// withDefaults returns the options with the zero ones replaced.
func (o Options) withDefaults() Options {
	if o.Parser == nil {
		o.Parser = parser.NewParser(parser.Options{})
	}
	if o.CORSOrigin == nil {
		o.CORSOrigin = anyOrigin
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{}
	}
	if o.Ready == nil {
		o.Ready = func(h http.Handler) http.Handler { return h }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// API has the handlers of the HTTP API.
type API struct {
	opts Options
}

// New returns the API over the parts in opts.
func New(opts Options) *API {
	return &API{opts: opts.withDefaults()}
}

// Registrar gets the endpoints of the API: the method, the pattern below
// /api/v1 as net/http.ServeMux writes it, the name of the handler in metrics,
// and the handler itself.
type Registrar func(method, pattern, name string, h http.Handler)

// endpoint is an endpoint that answers with the envelope.
type endpoint struct {
	pattern string
	// name is the pattern as upstream's router writes it, if it differs.
	name    string
	methods []string
	serve   handlerFunc
	// early endpoints answer while the server is not ready.
	early bool
}

var (
	get     = []string{http.MethodGet}
	getPost = []string{http.MethodGet, http.MethodPost}
	postPut = []string{http.MethodPost, http.MethodPut}
)

// endpoints lists the endpoints that answer with the envelope.
func (a *API) endpoints() []endpoint {
	return []endpoint{
		{pattern: "/query", methods: getPost, serve: a.query},
		{pattern: "/query_range", methods: getPost, serve: a.queryRange},
		{pattern: "/explain", methods: getPost, serve: a.explain},
		{pattern: "/analyze", methods: getPost, serve: a.analyze},
		{pattern: "/queries", methods: get, serve: a.queries},
		{pattern: "/queries/{id}/cancel", name: "/queries/:id/cancel", methods: postPut, serve: a.cancelQuery},
		{pattern: "/query_exemplars", methods: getPost, serve: a.queryExemplars},
		{pattern: "/format_query", methods: getPost, serve: a.formatQuery},
		{pattern: "/parse_query", methods: getPost, serve: a.parseQuery},
		{pattern: "/labels", methods: getPost, serve: a.labelNames},
		{pattern: "/label/{name}/values", name: "/label/:name/values", methods: get, serve: a.labelValues},
		{pattern: "/series", methods: getPost, serve: a.series},
		{pattern: "/metadata", methods: get, serve: a.metricMetadata},
		{pattern: "/scrape_pools", methods: get, serve: a.scrapePools},
		{pattern: "/scrape_pools/config", methods: get, serve: a.scrapePoolConfig},
		{pattern: "/targets", methods: get, serve: a.targets},
		{pattern: "/targets/metadata", methods: get, serve: a.targetMetadata},
		{pattern: "/targets/scrapes", methods: get, serve: a.targetScrapes},
		{pattern: "/targets/relabel_steps", methods: get, serve: a.targetRelabelSteps},
		{pattern: "/rules", methods: get, serve: a.rules},
		{pattern: "/alerts", methods: get, serve: a.alerts},
		{pattern: "/alertmanagers", methods: get, serve: a.alertmanagers},
		{pattern: "/status/config", methods: get, serve: a.statusConfig},
		{pattern: "/status/flags", methods: get, serve: a.statusFlags},
		{pattern: "/status/runtimeinfo", methods: get, serve: a.statusRuntimeInfo},
		{pattern: "/status/buildinfo", methods: get, serve: a.statusBuildInfo},
		{pattern: "/status/tsdb", methods: get, serve: a.statusTSDB},
		{pattern: "/status/tsdb/blocks", methods: get, serve: a.statusTSDBBlocks},
		{pattern: "/status/discovery", methods: get, serve: a.discoverySources},
		{pattern: "/status/operator", methods: get, serve: a.operatorObjects},
		{pattern: "/status/walreplay", methods: get, serve: a.statusWALReplay, early: true},
		{pattern: "/status/self_metrics", methods: get, serve: a.selfMetrics},
		{pattern: "/features", methods: get, serve: a.features},
		{pattern: "/notifications", methods: get, serve: a.notifications, early: true},
		{pattern: "/admin/tsdb/delete_series", methods: postPut, serve: a.deleteSeries},
		{pattern: "/admin/tsdb/clean_tombstones", methods: postPut, serve: a.cleanTombstones},
		{pattern: "/admin/tsdb/snapshot", methods: postPut, serve: a.snapshot},
	}
}

// Register hands every endpoint to register.
func (a *API) Register(register Registrar) {
	for _, e := range a.endpoints() {
		name := e.name
		if name == "" {
			name = e.pattern
		}
		h := a.envelope(e.serve)
		if !e.early {
			h = a.opts.Ready(h)
		}
		for _, method := range e.methods {
			register(method, e.pattern, name, h)
		}
	}
	register(http.MethodOptions, "/{path...}", "/*path", a.opts.Ready(a.envelope(preflight)))
	register(http.MethodGet, "/notifications/live", "/notifications/live", http.HandlerFunc(a.notificationsLive))
	for _, i := range []struct {
		pattern string
		handler http.Handler
		off     string
	}{
		{"/read", a.opts.RemoteRead, "not found"},
		{"/write", a.opts.RemoteWrite, "remote write receiver needs to be enabled with --web.enable-remote-write-receiver"},
		{"/otlp/v1/metrics", a.opts.OTLP, "otlp write receiver needs to be enabled with --web.enable-otlp-receiver"},
	} {
		h := i.handler
		if h == nil {
			h = disabled(i.off)
		}
		register(http.MethodPost, i.pattern, i.pattern, a.opts.Ready(h))
	}
}

// disabled answers that an endpoint is off, in plain text.
func disabled(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, text, http.StatusNotFound)
	})
}
