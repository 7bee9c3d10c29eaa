package web

import (
	"maps"
	"net/http"
	"net/http/pprof"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gnomonhq/gnomon/web/api"
)

const apiPrefix = "/api/v1"

// methods answers for one path. HEAD is GET without the body.
type methods map[string]http.Handler

// ServeHTTP answers 404 for a path that only takes OPTIONS, since there is
// nothing but the catch-all of the API, and 405 for a method that others of the
// path's methods exist beside.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil && r.Method == http.MethodHead {
		h = m[http.MethodGet]
	}
	if h != nil {
		h.ServeHTTP(w, r)
		return
	}
	allowed := slices.Sorted(maps.Keys(m))
	if len(allowed) == 1 && allowed[0] == http.MethodOptions {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// router gathers the handlers of each path. http.ServeMux alone would answer 405
// instead of 404 for every unknown path of the API, since that takes OPTIONS.
type router struct {
	server *Server
	paths  map[string]methods // by pattern
}

// handle adds a handler for a pattern below the route prefix; name is that of
// its metrics.
func (rt *router) handle(method, pattern, name string, h http.Handler) {
	pattern = rt.server.opts.RoutePrefix + pattern
	if rt.paths[pattern] == nil {
		rt.paths[pattern] = methods{}
	}
	rt.paths[pattern][method] = rt.server.metrics.instrument(name, rt.server.recovered(name, h))
}

// get adds a handler of GET that is named like its pattern.
func (rt *router) get(pattern string, h http.HandlerFunc) {
	rt.handle(http.MethodGet, pattern, pattern, h)
}

// mux returns the handler of all paths.
func (rt *router) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, m := range rt.paths {
		mux.Handle(pattern, m)
	}
	return mux
}

// routes returns the handler of all paths.
func (s *Server) routes(federation http.Handler) http.Handler {
	rt := &router{server: s, paths: map[string]methods{}}
	s.routeAPI(rt)
	s.routeLifecycle(rt)
	s.routePages(rt)
	rt.get("/version", s.versionHandler)
	rt.handle(http.MethodGet, "/metrics", "/metrics", s.ownMetrics())
	if s.opts.Machine != nil {
		rt.handle(http.MethodGet, MachinePath, MachinePath, s.opts.Machine)
	}
	rt.handle(http.MethodGet, "/federate", "/federate", s.whenReady(api.Compressed(federation)))
	rt.get("/-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, s.opts.AppName+" is Healthy.\n")
	})
	rt.handle(http.MethodGet, "/-/ready", "/-/ready", s.whenReady(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			writeText(w, s.opts.AppName+" is Ready.\n")
			if s.opts.ReadyNote == nil {
				return
			}
			if note := s.opts.ReadyNote(); note != "" {
				writeText(w, note+"\n")
			}
		})))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		rt.handle(method, "/debug/{path...}", "/debug/*subpath", http.HandlerFunc(debugHandler))
	}
	mux := rt.mux()
	if prefix := s.opts.RoutePrefix; prefix != "" {
		mux.Handle("/{$}", http.RedirectHandler(prefix+"/", http.StatusFound))
	}
	return mux
}

func (s *Server) routeAPI(rt *router) {
	s.api.Register(func(method, pattern, name string, h http.Handler) {
		rt.handle(method, apiPrefix+pattern, apiPrefix+name, h)
	})
	// Every path of the API answers a browser's preflight like the catch-all.
	below := s.opts.RoutePrefix + apiPrefix + "/"
	preflight := rt.paths[below+"{path...}"][http.MethodOptions]
	for pattern, m := range rt.paths {
		if strings.HasPrefix(pattern, below) {
			m[http.MethodOptions] = preflight
		}
	}
}

func (s *Server) routeLifecycle(rt *router) {
	quit, reload := http.HandlerFunc(s.quitHandler), http.HandlerFunc(s.reloadHandler)
	if !s.opts.EnableLifecycle {
		quit, reload = forbiddenHandler, forbiddenHandler
	}
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		rt.handle(method, "/-/quit", "/-/quit", quit)
		rt.handle(method, "/-/reload", "/-/reload", reload)
	}
	rt.get("/-/quit", wrongMethodHandler)
	rt.get("/-/reload", wrongMethodHandler)
}

// routePages adds the status page. The paths of Prometheus's user interface lead
// to the part of it that comes closest, so that bookmarks and the links in
// alerts do not end nowhere.
func (s *Server) routePages(rt *router) {
	home := path.Join("/", s.opts.ExternalURL.Path, "/status")
	redirect := func(pattern, fragment string) {
		rt.get(pattern, func(w http.ResponseWriter, r *http.Request) {
			to := url.URL{Path: home, Fragment: fragment}
			http.Redirect(w, r, to.String(), http.StatusFound)
		})
	}
	rt.get("/status", s.statusPage)
	redirect("/{$}", "")
	for page, fragment := range map[string]string{
		"/targets":                "targets",
		"/service-discovery":      "targets",
		"/alerts":                 "alerts",
		"/rules":                  "rules",
		"/alertmanager-discovery": "alertmanagers",
		"/tsdb-status":            "storage",
		"/config":                 "configuration",
		"/flags":                  "configuration",
	} {
		redirect(page, fragment)
	}
	rt.handle(http.MethodGet, "/query", "/query", s.whenReady(http.HandlerFunc(s.queryPage)))
	rt.get("/graph", func(w http.ResponseWriter, r *http.Request) {
		to := url.URL{Path: path.Join("/", s.opts.ExternalURL.Path, "/query"), RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusFound)
	})
}

// versionHandler serves /version.
func (s *Server) versionHandler(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	writeText(w, string(s.opts.API.BuildInfo.JSON())+"\n")
}

// ownMetrics returns the handler of /metrics.
func (s *Server) ownMetrics() http.Handler {
	h := promhttp.HandlerFor(s.opts.API.Gatherer, promhttp.HandlerOpts{})
	var r prometheus.Registerer = prometheus.NewRegistry()
	if s.opts.Registerer != nil {
		r = s.opts.Registerer
	}
	return promhttp.InstrumentMetricHandler(r, h)
}

// debugHandler serves /debug/pprof/ and what is below it.
func debugHandler(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.PathValue("path"), "pprof/")
	switch {
	case r.PathValue("path") == "pprof":
		http.Redirect(w, r, r.URL.Path+"/", http.StatusMovedPermanently)
	case !ok:
		http.NotFound(w, r)
	case name == "cmdline":
		pprof.Cmdline(w, r)
	case name == "profile":
		pprof.Profile(w, r)
	case name == "symbol":
		pprof.Symbol(w, r)
	case name == "trace":
		pprof.Trace(w, r)
	default:
		// The index takes the name of the profile from the path, in which it
		// knows nothing of the route prefix.
		r = r.Clone(r.Context())
		r.URL.Path = "/debug/pprof/" + name
		pprof.Index(w, r)
	}
}
