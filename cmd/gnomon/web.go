package main

import (
	"net/http"
	"strconv"

	"github.com/alecthomas/units"

	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/web"
	"github.com/gnomonhq/gnomon/web/api"
)

func (s *server) buildWeb() (err error) {
	f := &s.opts.web
	s.parser().RegisterFeatures(s.features)
	opts := web.Options{
		API: api.Options{
			Engine: apiEngine{s.engine}, Queries: apiQueries{s.engine}, Plans: apiPlans{s.engine}, Storage: s.store, Parser: s.parser(),
			Targets: apiTargets{s.scraper}, ScrapeHistory: apiTargets{s.scraper}.ScrapeHistory, DiscoverySources: discoverySources(s.mechanisms), OperatorObjects: s.operator.shown, Rules: apiRules{s.rules}, Alertmanagers: apiAlertmanagers{s.notifier},
			TSDB: s.store, Admin: s.store, Notifications: s.notes, Features: s.features, Gatherer: s.registry,
			Config: func() string { return s.reloader.current.Load().String() },
			Flags:  s.opts.status(),
			BuildInfo: api.BuildInfo{
				Version: version.Version, Revision: version.GetRevision(), Branch: version.Branch,
				BuildUser: version.BuildUser, BuildDate: version.BuildDate, GoVersion: version.GoVersion,
			},
			CORSOrigin: f.corsOrigin,
		},
		ListenAddresses: f.listenAddresses, ExternalURL: f.externalURL, RoutePrefix: f.routePrefix,
		WebConfigFile: f.configFile, MaxConnections: f.maxConnections, ReadTimeout: f.readTimeout,
		EnableLifecycle: f.enableLifecycle, EnableAdminAPI: f.enableAdminAPI,
		Reload: s.reloader.reload, PageTitle: f.pageTitle,
		ExternalLabels: func() labels.Labels { return s.reloader.current.Load().Prometheus.GlobalConfig.ExternalLabels },
		LookbackDelta:  s.opts.query.lookbackDelta,
		ReadyNote:      s.store.readyNote,
		RuntimeState:   s.runtimeState, Machine: s.machineHandler(),
		Registerer: s.registry, Logger: s.component("web"),
	}
	s.web, err = web.New(opts)
	return err
}

func (s *server) machineHandler() http.Handler {
	if s.machine == nil {
		return nil
	}
	return s.machine.Handler()
}

// runtimeState is what the status API shows and the web server does not know.
func (s *server) runtimeState() web.RuntimeState {
	state := s.reloader.state.Load()
	out := web.RuntimeState{ReloadConfigSuccess: state.ok, LastConfigTime: state.at}
	out.StorageRetention = retentionText(reloadableStorage(s.reloader.current.Load()))
	out.CorruptionCount = int64(s.counted("prometheus_tsdb_wal_corruptions_total"))
	return out
}

// counted returns the value of one of the server's own counters, 0 if it has
// not been registered yet.
func (s *server) counted(name string) float64 {
	families, err := s.registry.Gather()
	if err != nil {
		s.logger.Warn("own metrics are incomplete", "err", err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// retentionText is such as "15d or 10GiB".
func retentionText(r tsdb.Reloadable) string {
	out := ""
	if r.Retention >= 0 {
		if r.Retention == 0 {
			r.Retention = tsdb.DefaultRetention
		}
		out = durationText(r.Retention)
	}
	if r.RetentionBytes > 0 {
		if out != "" {
			out += " or "
		}
		out += units.Base2Bytes(r.RetentionBytes).String()
	}
	if r.RetentionPercentage > 0 {
		if out != "" {
			out += " or "
		}
		out += strconv.FormatFloat(r.RetentionPercentage, 'g', -1, 64) + "%"
	}
	return out
}
