package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/features"

	"github.com/gnomonhq/gnomon/web/api"
	"github.com/gnomonhq/gnomon/web/federate"
)

// Defaults of Options.
const (
	DefaultListenAddress   = "127.0.0.1:9090"
	DefaultReadTimeout     = 5 * time.Minute
	DefaultMaxConnections  = 512
	DefaultShutdownTimeout = 5 * time.Second
	DefaultLookbackDelta   = 5 * time.Minute
	DefaultAppName         = "Gnomon"
	DefaultPageTitle       = "Gnomon"
)

// MachinePath is where Options.Machine is served, below the route prefix.
const MachinePath = "/machine/metrics"

// Options are the options of a Server.
type Options struct {
	// API has the parts that answer. The server itself sets its fields Ready,
	// RuntimeInfo, ExternalURL, ListenAddress and, if it is nil, Logger; it
	// drops Admin unless EnableAdminAPI is true, and adds what it can do to
	// Features.
	API api.Options

	// ListenAddresses are the addresses to listen on.
	ListenAddresses []string
	// ExternalURL is where users reach the server; by default it is derived
	// from the host name and the first address.
	ExternalURL *url.URL
	// RoutePrefix is put before all paths; by default it is the path of
	// ExternalURL.
	RoutePrefix string
	// WebConfigFile configures TLS, HTTP headers and basic authentication; it is
	// read again for every connection. "" is none of it.
	WebConfigFile string
	// MaxConnections bounds the connections over all listeners.
	MaxConnections int
	// ReadTimeout bounds the reading of a request, and how long a connection
	// may idle.
	ReadTimeout time.Duration
	// ShutdownTimeout bounds how long Run waits for running requests. They are
	// cut off then.
	ShutdownTimeout time.Duration

	// EnableLifecycle opens /-/reload and /-/quit, EnableAdminAPI the endpoints
	// that change the database.
	EnableLifecycle, EnableAdminAPI bool
	// Reload loads the configuration again. Calls do not overlap.
	Reload func(context.Context) error

	// AppName names the server in /-/healthy and /-/ready, PageTitle in the
	// status page.
	AppName, PageTitle string
	// ExternalLabels are added to federated series.
	ExternalLabels func() labels.Labels
	// LookbackDelta is how far federation looks back for a sample.
	LookbackDelta time.Duration
	// ReadyNote returns what /-/ready says beside that the server is ready; "" and
	// nil are nothing.
	ReadyNote func() string
	// RuntimeState is the part of the runtime information that the server does
	// not know by itself.
	RuntimeState func() RuntimeState

	// Machine serves the metrics of the machine under MachinePath; nil leaves
	// the page out.
	Machine http.Handler

	// Registerer gets the server's metrics; it may be nil. What /metrics shows
	// is API.Gatherer.
	Registerer prometheus.Registerer
	// Logger is also that of the API; the default discards.
	Logger *slog.Logger
}

// RuntimeState is what other rooms know of the state of the process; see
// api.RuntimeInfo.
type RuntimeState struct {
	ReloadConfigSuccess bool
	LastConfigTime      time.Time
	CorruptionCount     int64
	StorageRetention    string
}

func (o Options) withDefaults() Options {
	if len(o.ListenAddresses) == 0 {
		o.ListenAddresses = []string{DefaultListenAddress}
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = DefaultShutdownTimeout
	}
	if o.LookbackDelta == 0 {
		o.LookbackDelta = DefaultLookbackDelta
	}
	if o.AppName == "" {
		o.AppName = DefaultAppName
	}
	if o.PageTitle == "" {
		o.PageTitle = DefaultPageTitle
	}
	if o.ExternalLabels == nil {
		o.ExternalLabels = labels.EmptyLabels
	}
	if o.RuntimeState == nil {
		o.RuntimeState = func() RuntimeState { return RuntimeState{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.API.Logger == nil {
		o.API.Logger = o.Logger
	}
	if o.API.Gatherer == nil {
		o.API.Gatherer = prometheus.NewRegistry()
	}
	if o.API.Features == nil {
		o.API.Features = features.NewRegistry()
	}
	if o.API.Now == nil {
		o.API.Now = time.Now
	}
	return o
}

// validate returns everything that is wrong with the options.
func (o *Options) validate() error {
	var errs []error
	if o.MaxConnections < 0 {
		errs = append(errs, fmt.Errorf("MaxConnections is %d, it must be positive", o.MaxConnections))
	}
	if o.ReadTimeout < 0 {
		errs = append(errs, fmt.Errorf("ReadTimeout is %s, it must be positive", o.ReadTimeout))
	}
	if o.EnableLifecycle && o.Reload == nil {
		errs = append(errs, errors.New("EnableLifecycle needs Reload"))
	}
	for _, address := range o.ListenAddresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, fmt.Errorf("listen address %q: %w", address, err))
		}
	}
	return errors.Join(errs...)
}

// State is how far the server is with starting and stopping.
type State uint32

// The states of a server. It is born NotReady.
const (
	NotReady State = iota
	Ready
	Stopping
)

// Server is the HTTP server.
type Server struct {
	opts    Options
	metrics *metrics
	api     *api.API
	handler http.Handler

	state     atomic.Uint32
	born      time.Time
	cwd       string
	quit      chan struct{}
	quitOnce  sync.Once
	reloading chan struct{} // holds one element while a reload runs

	listeners []net.Listener
}

// New returns a server that does not listen yet.
func New(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("web options: %w", err)
	}
	if opts.ExternalURL == nil {
		u, err := defaultExternalURL(opts.ListenAddresses[0])
		if err != nil {
			return nil, fmt.Errorf("external url: %w", err)
		}
		opts.ExternalURL = u
	}
	opts.RoutePrefix = routePrefix(opts.RoutePrefix, opts.ExternalURL)
	if err := checkPrefix(opts.RoutePrefix); err != nil {
		return nil, fmt.Errorf("web options: %w", err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "<error retrieving current working directory>"
	}
	s := &Server{
		opts:      opts,
		metrics:   newMetrics(opts.Registerer),
		born:      opts.API.Now().UTC(),
		cwd:       cwd,
		quit:      make(chan struct{}),
		reloading: make(chan struct{}, 1),
	}
	s.addFeatures()
	s.api = api.New(s.apiOptions())
	f := federate.New(federate.Options{
		Storage:        opts.API.Storage,
		Parser:         opts.API.Parser,
		ExternalLabels: opts.ExternalLabels,
		LookbackDelta:  opts.LookbackDelta,
		Now:            opts.API.Now,
		Registerer:     opts.Registerer,
		Logger:         opts.Logger,
	})
	s.handler = s.routes(f)
	return s, nil
}

// apiOptions returns the options of the API with what the server sets itself.
func (s *Server) apiOptions() api.Options {
	o := s.opts.API
	o.Ready = s.whenReady
	o.RuntimeInfo = s.runtimeInfo
	o.ExternalURL = s.opts.ExternalURL
	o.ListenAddress = s.opts.ListenAddresses[0]
	if !s.opts.EnableAdminAPI {
		o.Admin = nil
	}
	return o
}

// addFeatures registers what the server can do, under Prometheus's names.
func (s *Server) addFeatures() {
	r := s.opts.API.Features
	r.Set(features.API, "lifecycle", s.opts.EnableLifecycle)
	r.Set(features.API, "admin", s.opts.EnableAdminAPI)
	r.Set(features.API, "remote_write_receiver", s.opts.API.RemoteWrite != nil)
	r.Set(features.API, "otlp_write_receiver", s.opts.API.OTLP != nil)
	for _, name := range []string{
		"label_values_match", "query_warnings", "query_stats",
		"time_range_series", "time_range_labels", "exclude_alerts",
	} {
		r.Enable(features.API, name)
	}
}

// Handler returns the handler of all paths, for a caller with listeners of its
// own. It does without WebConfigFile.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the listeners and checks the web configuration file.
func (s *Server) Listen() error {
	if err := web.Validate(s.opts.WebConfigFile); err != nil {
		return fmt.Errorf("web configuration file %q: %w", s.opts.WebConfigFile, err)
	}
	slots := make(chan struct{}, s.opts.MaxConnections)
	for _, address := range s.opts.ListenAddresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s: %w", address, err), s.closeListeners())
		}
		s.listeners = append(s.listeners, newLimitListener(l, slots, s.metrics.connections))
	}
	return nil
}

// Addresses returns the addresses that Listen opened.
func (s *Server) Addresses() []net.Addr {
	addresses := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addresses[i] = l.Addr()
	}
	return addresses
}

// ExternalURL returns where users reach the server.
func (s *Server) ExternalURL() *url.URL { return s.opts.ExternalURL }

func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.listeners = nil
	return errors.Join(errs...)
}

// Run serves on the listeners, which it opens if Listen was not called, until
// ctx ends or a listener fails. It then refuses new requests, gives running ones
// the shutdown timeout, and returns when all have ended or were cut off. It is
// called once.
func (s *Server) Run(ctx context.Context) error {
	if len(s.listeners) == 0 {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	// Requests live on while the server shuts down, so that their context is not
	// a child of ctx.
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	servers := make([]*http.Server, len(s.listeners))
	done := make(chan error, len(s.listeners))
	for i, l := range s.listeners {
		// Each listener has a server of its own, since the toolkit changes the
		// server that it is given.
		servers[i] = &http.Server{
			Handler:     s.handler,
			ErrorLog:    slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelError),
			ReadTimeout: s.opts.ReadTimeout,
			BaseContext: func(net.Listener) context.Context { return requests },
		}
		go func() {
			err := web.Serve(l, servers[i], &web.FlagConfig{WebConfigFile: &s.opts.WebConfigFile}, s.opts.Logger)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			done <- err
		}()
	}
	var err error
	running := len(servers)
	select {
	case <-ctx.Done():
	case err = <-done:
		running--
	}
	s.shutdown(servers, cancelRequests)
	for range running {
		err = errors.Join(err, <-done)
	}
	// A server that failed before it served has left its listener open; the
	// others are closed, which is no news.
	_ = s.closeListeners()
	return err
}

// shutdown stops the servers, gracefully as long as the shutdown timeout lasts.
func (s *Server) shutdown(servers []*http.Server, cancelRequests func()) {
	if s.opts.API.Notifications != nil {
		s.opts.API.Notifications.Close() // live subscriptions would never end
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ShutdownTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, srv := range servers {
		wg.Go(func() {
			if err := srv.Shutdown(ctx); err != nil {
				s.opts.Logger.Warn("requests were cut off by the shutdown", "err", err)
				cancelRequests()
				if err := srv.Close(); err != nil {
					s.opts.Logger.Error("close http server", "err", err)
				}
			}
		})
	}
	wg.Wait()
}
