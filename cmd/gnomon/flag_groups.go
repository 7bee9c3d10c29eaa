package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/gnomonhq/gnomon/alerting/notify"
)

// defaultConfigFile is read if it exists and no other is given.
const defaultConfigFile = "prometheus.yml"

// registerConfig declares the flags about the configuration file.
func (o *options) registerConfig(app *kingpin.Application) {
	app.Flag("config.file", "Configuration file. If the flag is not given and "+defaultConfigFile+" does not exist, the server watches itself and the machine it runs on.").
		Default(defaultConfigFile).StringVar(&o.config.file)
	app.Flag("config.auto-reload", "Reload the configuration when one of its files changes.").
		Default("false").BoolVar(&o.config.autoReload)
	duration(app.Flag("config.auto-reload-interval", "Time between two looks at the files for --config.auto-reload, at least 1s.").
		Default("30s"), &o.config.autoReloadInterval)
}

// registerWeb declares the flags about the HTTP server.
func (o *options) registerWeb(app *kingpin.Application) {
	w := &o.web
	app.Flag("web.listen-address", "Address to serve the UI, the API and metrics on. Can be repeated. Unlike Prometheus, the default admits this machine only; use 0.0.0.0:9090 for all.").
		Default("127.0.0.1:9090").StringsVar(&w.listenAddresses)
	app.Flag("web.config.file", "File that enables TLS or authentication.").
		Default("").StringVar(&w.configFile)
	duration(app.Flag("web.read-timeout", "Time to read a request, and to keep an idle connection.").
		Default("5m"), &w.readTimeout)
	app.Flag("web.max-connections", "Largest number of connections at once, over all addresses.").
		Default("512").IntVar(&w.maxConnections)
	app.Flag("web.max-notifications-subscribers", "Largest number of subscribers to live notifications; more are turned away.").
		Default("16").IntVar(&w.maxNotificationsSubscribers)
	app.Flag("web.external-url", "URL under which users reach the server, for links to it. Its path prefixes all endpoints. By default it is made of the host's name and the first listen address.").
		PlaceHolder("<URL>").StringVar(&w.givenExternalURL)
	app.Flag("web.route-prefix", "Prefix of the endpoints, if it is not the path of --web.external-url.").
		PlaceHolder("<path>").StringVar(&w.routePrefix)
	app.Flag("web.enable-lifecycle", "Allow to reload and to stop the server by HTTP request.").
		Default("false").BoolVar(&w.enableLifecycle)
	app.Flag("web.enable-admin-api", "Allow to delete series and to take snapshots by HTTP request.").
		Default("false").BoolVar(&w.enableAdminAPI)
	app.Flag("web.page-title", "Title of the pages of the UI.").
		Default("Gnomon").StringVar(&w.pageTitle)
	app.Flag("web.cors.origin", `Regular expression for the origins that browsers may call the API from, anchored. Example: 'https?://(domain1|domain2)\.com'`).
		Default(".*").StringVar(&w.givenCORSOrigin)
}

// registerStorage declares the flags about the database.
func (o *options) registerStorage(app *kingpin.Application) {
	s := &o.storage
	app.Flag("storage.tsdb.path", "Folder of the data.").
		Default("data/").StringVar(&s.path)
	duration(app.Flag("storage.tsdb.retention.time", "How long samples are kept, if the configuration file has no storage.tsdb.retention. 15d if neither this nor a size is given. Units: y, w, d, h, m, s, ms."), &s.retentionTime)
	app.Flag("storage.tsdb.retention.size", "Largest size of the data, if the configuration file has no storage.tsdb.retention. Units: B, KB, MB, GB, TB, PB, EB, in powers of 1024.").
		BytesVar(&s.retentionBytes)
	app.Flag("storage.tsdb.wal-sync", "When the write-ahead log is forced to the disk: always (before a write is acknowledged), a time between two forcings, or never (left to the operating system). Only a loss of power can cost what was not forced.").
		Default("1s").SetValue((*walSyncValue)(&s.walSync))
	app.Flag("storage.tsdb.wal-checkpoint-size", "How much is written to the write-ahead log, at least, until what memory has of it is written anew, so that a restart reads less. 1GB if it is not given.").
		PlaceHolder("<bytes>").BytesVar(&s.walCheckpointBytes)
	app.Flag("storage.tsdb.reserved-space", "How much of the disk has to be free for samples to be taken, at most a twentieth of the disk: what makes room needs some. 256MB if it is not given.").
		PlaceHolder("<bytes>").BytesVar(&s.reservedBytes)
	app.Flag("storage.tsdb.wal-compression", "Compress the records of the write-ahead log that get a quarter smaller by it.").
		Hidden().Default("true").BoolVar(&s.walCompression)
	app.Flag("storage.tsdb.no-lockfile", "Do not lock the folder of the data against other processes.").
		Default("false").BoolVar(&s.noLockfile)
	duration(app.Flag("storage.tsdb.min-block-duration", "Time range of the first block of a sample.").
		Hidden().Default("2h"), &s.minBlockDuration)
	duration(app.Flag("storage.tsdb.max-block-duration", "Largest time range of a compacted block. By default a tenth of the retention.").
		Hidden().PlaceHolder("<duration>"), &s.maxBlockDuration)
	app.Flag("storage.tsdb.wal-segment-size", "Size of a segment of the write-ahead log. Example: 100MB").
		Hidden().PlaceHolder("<bytes>").BytesVar(&s.walSegmentBytes)
}

// registerRules declares the flags about rules and the delivery of alerts.
func (o *options) registerRules(app *kingpin.Application) {
	duration(app.Flag("rules.alert.for-outage-tolerance", "Longest outage over which the \"for\" state of alerts is restored.").
		Default("1h"), &o.rules.outageTolerance)
	duration(app.Flag("rules.alert.for-grace-period", "Shortest time between a restart and the firing of an alert whose \"for\" state was restored. Only for alerts with a longer \"for\".").
		Default("10m"), &o.rules.forGracePeriod)
	duration(app.Flag("rules.alert.resend-delay", "Shortest time before an alert is sent to an Alertmanager again.").
		Default("1m"), &o.rules.resendDelay)
	app.Flag("rules.max-concurrent-evals", "Largest number of independent rules that are evaluated at once, with the feature concurrent-rule-eval.").
		Default("4").Int64Var(&o.rules.maxConcurrentEvals)
	app.Flag("alertmanager.notification-queue-capacity", "How many alerts wait for an Alertmanager at most.").
		Default(strconv.Itoa(notify.DefaultQueueCapacity)).IntVar(&o.notify.queueCapacity)
	app.Flag("alertmanager.notification-batch-size", "How many alerts are sent to an Alertmanager in one request at most.").
		Default(strconv.Itoa(notify.DefaultMaxBatchSize)).IntVar(&o.notify.batchSize)
	app.Flag("alertmanager.drain-notification-queue-on-shutdown", "Send waiting alerts before the server stops.").
		Default("true").BoolVar(&o.notify.drainOnShutdown)
}

// registerQuery declares the flags about queries and discovery.
func (o *options) registerQuery(app *kingpin.Application) {
	q := &o.query
	duration(app.Flag("query.lookback-delta", "How far back the value of a series is looked for.").
		Default("5m"), &q.lookbackDelta)
	duration(app.Flag("query.timeout", "Time after which a query is aborted.").
		Default("2m"), &q.timeout)
	app.Flag("query.max-concurrency", "Largest number of queries at once.").
		Default("20").IntVar(&q.maxConcurrency)
	app.Flag("query.max-samples", "Largest number of samples a query may hold in memory; it fails beyond.").
		Default("50000000").IntVar(&q.maxSamples)
	app.Flag("query.max-waiting", "Largest number of queries that wait because as many as may run; more are refused. Rules go before dashboards, and those before others.").
		Default("1024").IntVar(&q.maxWaiting)
	app.Flag("query.max-memory", "Largest memory of a query; it fails beyond. Half of --query.max-memory-total if it is not given. Units: B, KB, MB, GB, TB, PB, EB, in powers of 1024.").
		PlaceHolder("<bytes>").BytesVar(&q.maxMemory)
	app.Flag("query.max-memory-total", "Largest memory of all queries together; what needs more than is left fails. A quarter of GOMEMLIMIT, or of the machine's memory, if it is not given.").
		PlaceHolder("<bytes>").BytesVar(&q.maxMemoryTotal)
	app.Flag("query.result-cache-size", "Memory for the results of range queries, of which the same query takes what still holds when it is asked again; 0 keeps none. The parameter nocache=1 passes it by.").
		Default("64MB").BytesVar(&q.resultCache)
	duration(app.Flag("scrape.discovery-reload-interval", "Longest time for which changes of targets are gathered.").
		Hidden().Default("5s"), &o.discovery.updateInterval)
	app.Flag("scrape.adjust-timestamps", "Move the timestamp of a scrape to its slot in the schedule if it began close to it.").
		Hidden().Default("true").BoolVar(&o.scrape.adjustTimestamps)
	app.Flag("scrape.timestamp-tolerance", "How far from its slot a scrape may begin and still get the slot's timestamp; never more than 1 % of the interval.").
		Hidden().Default("2ms").DurationVar(&o.scrape.tolerance)
}

// registerRuntime declares the flags about the Go runtime.
func (o *options) registerRuntime(app *kingpin.Application) {
	r := &o.runtime
	app.Flag("auto-gomaxprocs", "Set GOMAXPROCS to the CPU quota of the container.").
		Default("true").BoolVar(&r.autoMaxProcs)
	app.Flag("auto-gomemlimit", "Set GOMEMLIMIT from the memory limit of the container or the memory of the machine.").
		Default("true").BoolVar(&r.autoMemLimit)
	app.Flag("auto-gomemlimit.ratio", "Part of the detected memory that becomes GOMEMLIMIT, above 0 and at most 1.").
		Default("0.9").FloatVar(&r.memLimitRatio)
	duration(app.Flag("auto-gomemlimit.refresh-interval", "Time between two detections of the limit; 0 detects it once.").
		Default("0s"), &r.memLimitRefresh)
}

// validate checks the values.
func (r *runtimeFlags) validate() error {
	if !(r.memLimitRatio > 0 && r.memLimitRatio <= 1) {
		return fmt.Errorf("--auto-gomemlimit.ratio: %v is not above 0 and at most 1", r.memLimitRatio)
	}
	return nil
}

// resolve derives URL, prefix and origins.
func (w *webFlags) resolve() error {
	for _, address := range w.listenAddresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("--web.listen-address: %w", err)
		}
	}
	var err error
	if w.externalURL, err = externalURL(w.givenExternalURL, w.listenAddresses[0]); err != nil {
		return fmt.Errorf("--web.external-url: %w", err)
	}
	if w.routePrefix == "" {
		w.routePrefix = w.externalURL.Path
	}
	w.routePrefix = "/" + strings.Trim(w.routePrefix, "/")
	// Compiled by itself first, so that the error shows what the user wrote.
	if _, err := regexp.Compile(w.givenCORSOrigin); err != nil {
		return fmt.Errorf("--web.cors.origin: %w", err)
	}
	w.corsOrigin, err = regexp.Compile("^(?s:" + w.givenCORSOrigin + ")$")
	if err != nil {
		return fmt.Errorf("--web.cors.origin: %w", err)
	}
	return nil
}

// externalURL returns the URL that users reach the server under: the given
// one, or one made of the listen address. A loopback address is kept, because
// the host's name would lead nowhere.
func externalURL(given, listen string) (*url.URL, error) {
	if given == "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, err
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			if host, err = os.Hostname(); err != nil {
				return nil, err
			}
		}
		given = "http://" + net.JoinHostPort(host, port) + "/"
	}
	if strings.ContainsAny(given[:1]+given[len(given)-1:], `"'`) {
		return nil, fmt.Errorf("%s begins or ends with a quote", given)
	}
	u, err := url.Parse(given)
	if err != nil {
		return nil, err
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path != "" && u.Path[0] != '/' {
		u.Path = "/" + u.Path
	}
	return u, nil
}
