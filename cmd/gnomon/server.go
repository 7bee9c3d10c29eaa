package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/promql/parser"
	featurelist "github.com/prometheus/prometheus/util/features"

	"github.com/gnomonhq/gnomon/alerting/notify"
	"github.com/gnomonhq/gnomon/alerting/rules"
	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/discovery"
	"github.com/gnomonhq/gnomon/discovery/plugins"
	"github.com/gnomonhq/gnomon/internal/machine"
	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/promql"
	"github.com/gnomonhq/gnomon/scrape"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/tsdb/inspect"
	"github.com/gnomonhq/gnomon/web"
	"github.com/gnomonhq/gnomon/web/api"
)

// server is the whole of the product: every room, built and connected, but not
// running.
type server struct {
	opts     *options
	logger   *slog.Logger
	terminal io.Writer
	registry *prometheus.Registry

	// notes are what a person should know now.
	notes *api.Notifications

	store *lateStore
	// opened is closed when the database can be used, replayed when it has read all
	// of its log.
	opened, replayed chan struct{}
	// fs holds the data folder; nil is the machine's.
	fs vfs.FS

	reloader *reloader
	watcher  *config.Watcher // nil without --config.auto-reload
	// features are those that the API lists.
	features        featurelist.Collector
	targetDiscovery *discovery.Manager
	alertDiscovery  *discovery.Manager
	mechanisms      []discovery.Mechanism // shared by both
	operator        *operatorObjects
	statusWrites    *prometheus.CounterVec // of objects
	scraper         *scrape.Manager
	engine          *promql.Engine
	rules           *rules.Manager
	notifier        *notify.Manager
	machine         *machine.Machine
	web             *web.Server
}

// newServer builds the server and loads its configuration. terminal gets the
// few lines for the person who started it.
func newServer(opts *options, terminal io.Writer) (*server, error) {
	s := &server{
		opts: opts, logger: promslog.New(&opts.log), terminal: terminal,
		registry: prometheus.NewRegistry(), features: featurelist.NewRegistry(), store: &lateStore{}, opened: make(chan struct{}), replayed: make(chan struct{}),
	}
	s.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("prometheus"),
		versioncollector.NewCollector(appName),
	)
	s.notes = api.NewNotifications(api.NotificationsOptions{
		MaxSubscribers: opts.web.maxNotificationsSubscribers, Registerer: s.registry,
	})
	opts.warn(s.component("flags"))
	tuneRuntime(opts.runtime, s.component("runtime"))
	for _, build := range []func() error{s.buildDiscovery, s.buildQueries, s.buildAlerting, s.buildScraper, s.buildMachine, s.buildReloader, s.buildWeb} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	// Whatever is wrong with the configuration or the address is said before
	// any data is touched.
	if err := s.reloader.reload(context.Background()); err != nil {
		return nil, err
	}
	if err := s.buildWatcher(); err != nil {
		return nil, err
	}
	return s, s.web.Listen()
}

func (s *server) component(name string) *slog.Logger { return s.logger.With("component", name) }

func (s *server) buildDiscovery() error {
	metrics, err := discovery.NewMetrics(s.registry)
	if err != nil {
		return err
	}
	if s.mechanisms, err = plugins.Mechanisms(s.registry, s.component("discovery")); err != nil {
		return err
	}
	build := func(name string) (*discovery.Manager, error) {
		return discovery.New(discovery.Options{
			Name: name, Logger: s.component("discovery manager " + name),
			Registerer: s.registry, Metrics: metrics, Mechanisms: s.mechanisms, UpdateInterval: s.opts.discovery.updateInterval,
			Features: s.features,
		})
	}
	if s.targetDiscovery, err = build("scrape"); err != nil {
		return err
	}
	s.alertDiscovery, err = build("notify")
	return err
}

func (s *server) parser() parser.Parser { return parser.NewParser(s.opts.features.parserOptions()) }

func (s *server) buildQueries() error {
	perQuery, total := s.opts.query.memory()
	s.engine = promql.New(promql.Options{
		Logger: s.component("query engine"), Registerer: s.registry, Parser: s.parser(),
		LookbackDelta: s.opts.query.lookbackDelta, Timeout: s.opts.query.timeout,
		MaxSamples: s.opts.query.maxSamples, MaxConcurrency: s.opts.query.maxConcurrency, MaxWaiting: s.opts.query.maxWaiting,
		MaxMemory: perQuery, MaxMemoryTotal: total, ResultCacheBytes: int64(s.opts.query.resultCache),
		DefaultSubqueryInterval: func(int64) int64 {
			return time.Duration(s.reloader.current.Load().Prometheus.GlobalConfig.EvaluationInterval).Milliseconds()
		},
		PerStepStats: s.opts.features.perStepStats, DelayedNameRemoval: s.opts.features.delayedNameRemoval,
		UseStartTimestamps: s.opts.features.useStartTimestamps, TypeAndUnitLabels: s.opts.features.typeAndUnitLabels,
	}, s.store)
	return nil
}

func (s *server) buildAlerting() (err error) {
	s.notifier, err = notify.New(notify.Options{
		ExternalURL: s.opts.web.externalURL, QueueCapacity: s.opts.notify.queueCapacity,
		MaxBatchSize: s.opts.notify.batchSize, DiscardOnShutdown: !s.opts.notify.drainOnShutdown,
		Logger: s.component("notifier"), Registerer: s.registry,
	})
	if err != nil {
		return err
	}
	s.rules, err = rules.New(rules.Options{
		Query: ruleQuery(s.engine), Store: s.store, Notify: s.notifier.Notify,
		ExternalURL:     s.opts.web.externalURL,
		OutageTolerance: orNone(s.opts.rules.outageTolerance), ForGracePeriod: orNone(s.opts.rules.forGracePeriod),
		ResendDelay: orNone(s.opts.rules.resendDelay), ConcurrentEvals: s.opts.features.concurrentRuleEval,
		MaxConcurrentEvals: int(s.opts.rules.maxConcurrentEvals),
		Reader:             rules.Reader{Parser: s.parser()},
		Logger:             s.component("rule manager"), Registerer: s.registry,
	})
	return err
}

// orNone returns a duration that means none at all for a flag that is 0: the
// rooms take 0 for their default.
func orNone(d time.Duration) time.Duration { return max(d, time.Nanosecond) }

func (s *server) buildScraper() (err error) {
	tolerance := s.opts.scrape.tolerance
	if !s.opts.scrape.adjustTimestamps {
		tolerance = -1
	}
	s.scraper, err = scrape.New(scrape.Options{
		Logger: s.component("scrape manager"), Registerer: s.registry,
		// The discovery paces its deliveries itself; each is to take effect at once.
		TimestampTolerance: tolerance, ReloadInterval: time.Nanosecond,
		StartTimestamps: s.opts.features.startTimestamps, TypeAndUnitLabels: s.opts.features.typeAndUnitLabels,
		OpenMetrics2: s.opts.features.openMetrics2,
	}, s.store)
	return err
}

func (s *server) buildMachine() (err error) {
	if machine.Available {
		s.machine, err = machine.New(machine.Options{Logger: s.component("machine")})
	}
	return err
}

func (s *server) buildReloader() error {
	source := config.Source{Path: s.opts.config.file}
	if !s.opts.config.given {
		text, err := config.Default(s.defaults())
		if err != nil {
			return err
		}
		source.Fallback = text
	}
	s.buildOperator()
	logger := s.component("configuration")
	s.reloader = newReloader(source, s.opts.loadOptions(logger), s.notes, s.registry, logger)
	s.reloader.check = func(c *config.Config) error {
		return errors.Join(s.rules.Check(c.RuleFiles), s.operator.check(c))
	}
	inert := &inertWarner{logger: logger, said: map[string]bool{}}
	s.reloader.appliers = []applier{
		{"the runtime", s.applyRuntime},
		{"the log", func(c *config.Config) error { inert.warn(c.Prometheus); return nil }},
		{"the query log", s.applyQueryLog},
		{"the database", s.applyStorage},
		{"the objects of the Prometheus Operator", s.operator.apply},
		{partScraper, s.applyScrape},
		{partTargetDiscovery, s.applyTargetDiscovery},
		{"the notifier", func(c *config.Config) error { return s.notifier.ApplyConfig(c.Prometheus) }},
		{"the discovery of Alertmanagers", s.applyAlertDiscovery},
		{"the rules", s.applyRules},
	}
	return nil
}

// buildOperator makes what follows the Operator's objects.
func (s *server) buildOperator() {
	s.operator = newOperatorObjects(s.registry, s.component("operator"))
	s.operator.follow = s.followObjects
	s.operator.parser, s.operator.parse = s.parser(), s.rules.Parse
	s.operator.changed = func() error {
		s.rules.SetParsed(s.operator.ruleFiles())
		return s.reloader.reapply(partScraper, partTargetDiscovery)
	}
	s.statusWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gnomon_operator_status_writes_total",
		Help: "Statuses of the Prometheus Operator's objects that were written, by outcome.",
	}, []string{"kind", "result"})
	s.registry.MustRegister(s.statusWrites)
}

// buildWatcher makes the watcher of the configuration's files, if one is wanted.
func (s *server) buildWatcher() (err error) {
	if !s.opts.config.autoReload {
		return nil
	}
	s.watcher, err = config.NewWatcher(config.WatcherOptions{
		Source: s.reloader.source, Interval: s.opts.config.autoReloadInterval,
		Checksum: s.reloader.current.Load().Checksum, Reload: s.reloader.load,
		Logger: s.component("configuration"),
	})
	if err != nil {
		return err
	}
	s.reloader.applied = s.watcher.Applied
	return nil
}

// run runs every part until a signal, a request to quit or a failure, then
// stops them in order.
func (s *server) run(ctx context.Context) error {
	var g run.Group
	addStage(&g, ctx, "signals", s.waitForEnd)
	addStage(&g, ctx, "reloads", s.reloadOnHangup)
	if s.watcher != nil {
		addStage(&g, ctx, "configuration watcher", s.watcher.Run)
	}
	addStage(&g, ctx, "memory limit", func(ctx context.Context) error {
		return refreshMemLimit(ctx, s.opts.runtime, s.component("runtime"))
	})
	addStage(&g, ctx, "objects of the Prometheus Operator", s.operator.run)
	addStage(&g, ctx, "discovery of targets", s.targetDiscovery.Run)
	addStage(&g, ctx, "scraper", after(s.opened, func(ctx context.Context) error {
		return s.scraper.Run(ctx, s.targetDiscovery.SyncCh())
	}))
	// A rule that misses samples which are still being read would fire, or resolve,
	// without reason; and alerts take up their state from old samples.
	addStage(&g, ctx, "rules", after(s.replayed, s.rules.Run))
	addStage(&g, ctx, "discovery of Alertmanagers", s.alertDiscovery.Run)
	addStage(&g, ctx, "notifier", func(ctx context.Context) error {
		return s.notifier.Run(ctx, s.alertDiscovery.SyncCh())
	})
	// Queries that run are cut off when the web server stops, which has to
	// come before the database closes under them.
	addStage(&g, ctx, "web server", s.web.Run)
	addStage(&g, ctx, "database", s.runDatabase)
	err := g.Run()
	return errors.Join(err, s.engine.Close())
}

// after delays work until a channel is closed.
func after(begin <-chan struct{}, work func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-begin:
			return work(ctx)
		}
	}
}

// waitForEnd returns when the server is told to end.
func (s *server) waitForEnd(ctx context.Context) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	select {
	case sig := <-signals:
		s.logger.Info("stopping", "signal", sig.String())
	case <-s.web.Quit():
		s.logger.Info("stopping", "reason", "asked to by request")
	case <-ctx.Done():
	}
	s.web.SetReady(web.Stopping)
	s.notes.Set("Gnomon is shutting down and gracefully stopping all operations.")
	return nil
}

// reloadOnHangup reloads the configuration on SIGHUP.
func (s *server) reloadOnHangup(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			_ = s.reloader.reload(ctx) // logged there; the old configuration stays
		}
	}
}

// runDatabase opens the database, says that the server is ready, and closes the
// database when ctx ends. Reading the log goes on in the background: the server is
// ready for new samples, and queries say so if old ones may be missing.
func (s *server) runDatabase(ctx context.Context) error {
	const starting = "Gnomon is starting and replaying the write-ahead log."
	s.notes.Set(starting)
	defer s.notes.Withdraw(starting)
	if inspect.OfPrometheus(vfs.OS{}, s.opts.storage.path) {
		s.logger.Warn("the data folder has the data of a Prometheus, which is not read: import it into another folder and start with that",
			"folder", s.opts.storage.path, "command", "gnomon tsdb import prometheus "+s.opts.storage.path+" --storage.tsdb.path=<other folder>")
	}
	db, err := tsdb.Open(ctx, s.opts.storage.path, s.storageOptions())
	if ctx.Err() != nil && err != nil {
		return nil // told to end while it was opening
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", s.opts.storage.path, err)
	}
	// Only now does the folder belong to this process.
	if err := s.engine.TrackQueries(s.opts.storage.path); err != nil {
		return errors.Join(err, db.Close())
	}
	s.store.set(db)
	close(s.opened)
	if ctx.Err() == nil {
		s.web.SetReady(web.Ready)
		s.greet()
	}
	if err := db.WaitReplayed(ctx); err == nil {
		close(s.replayed)
		s.notes.Withdraw(starting)
	}
	<-ctx.Done()
	return db.Close()
}
