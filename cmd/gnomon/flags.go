package main

import (
	"errors"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	promconfig "github.com/prometheus/prometheus/config"

	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/tsdb"
)

// options is the parsed command line: one group of fields per room. Flags that
// have no effect yet are not in it; warnings names those that the user gave.
type options struct {
	config        configFlags
	web           webFlags
	storage       storageFlags
	rules         rulesFlags
	notify        notifyFlags
	discovery     discoveryFlags
	scrape        scrapeFlags
	query         queryFlags
	runtime       runtimeFlags
	features      featureSet
	log           promslog.Config
	warnings      []string
	statusByName  map[string]string
	agentMode     bool
	featureLists  []string
	documentation bool
}

type configFlags struct {
	// file is the path of the configuration file; given says that the user
	// chose it, and then it has to exist.
	file  string
	given bool
	// autoReload polls the files every autoReloadInterval, which is at least a
	// second.
	autoReload         bool
	autoReloadInterval time.Duration
}

type webFlags struct {
	// listenAddresses has at least one host:port.
	listenAddresses []string
	// configFile enables TLS and authentication; "" means neither.
	configFile string
	// externalURL is where users reach the server; its path has no slash at
	// the end. routePrefix begins with a slash and ends without one, except
	// for "/" itself.
	externalURL *url.URL
	routePrefix string

	readTimeout                 time.Duration
	maxConnections              int
	maxNotificationsSubscribers int
	enableLifecycle             bool
	enableAdminAPI              bool
	pageTitle                   string
	// corsOrigin is anchored.
	corsOrigin *regexp.Regexp

	givenExternalURL string
	givenCORSOrigin  string
}

type storageFlags struct {
	path       string
	noLockfile bool
	// retention is the default for configurations without a section of that
	// name. Both values zero mean the database's default.
	retentionTime  time.Duration
	retentionBytes units.Base2Bytes
	// The durations and bytes that follow are zero for the database's default.
	minBlockDuration time.Duration
	maxBlockDuration time.Duration
	walSegmentBytes  units.Base2Bytes
	// walCheckpointBytes and reservedBytes as well.
	walCheckpointBytes, reservedBytes units.Base2Bytes

	walSync        tsdb.WALSync
	walCompression bool
}

type rulesFlags struct {
	outageTolerance    time.Duration
	forGracePeriod     time.Duration
	resendDelay        time.Duration
	maxConcurrentEvals int64
}

type notifyFlags struct {
	queueCapacity   int
	batchSize       int
	drainOnShutdown bool
}

type discoveryFlags struct {
	// updateInterval is the longest time that changes of targets are gathered.
	updateInterval time.Duration
}

type scrapeFlags struct {
	// adjustTimestamps moves the timestamp of a scrape to its slot if it began
	// within tolerance.
	adjustTimestamps bool
	tolerance        time.Duration
}

type queryFlags struct {
	lookbackDelta  time.Duration
	timeout        time.Duration
	maxConcurrency int
	maxWaiting     int
	maxSamples     int
	// maxMemory and maxMemoryTotal are 0 if they are not given.
	maxMemory, maxMemoryTotal units.Base2Bytes
	// resultCache is how much of results is kept.
	resultCache units.Base2Bytes
}

type runtimeFlags struct {
	autoMaxProcs bool
	autoMemLimit bool
	// memLimitRatio is in (0, 1]. memLimitRefresh of 0 means that the limit is
	// detected once.
	memLimitRatio   float64
	memLimitRefresh time.Duration
}

// errInformed is returned by parseFlags after a flag such as --help or
// --version has printed what it was asked for: there is nothing to run.
var errInformed = errors.New("command line only asked for information")

// appName is the name of the program in usage and version.
const appName = "gnomon"

// parseFlags parses the arguments after the program's name. What --help and
// the like print goes to out; the error is errInformed then. Any other error
// is the user's, to be shown with a hint at --help.
func parseFlags(args []string, out io.Writer) (*options, error) {
	o := &options{}
	informed := false
	app := kingpin.New(appName, "The Gnomon monitoring server. Without a configuration file it watches itself and the machine it runs on. The commands for data folders, such as taking over that of a Prometheus, are behind 'gnomon tsdb': see 'gnomon tsdb --help'; that which registers targets in etcd is behind 'gnomon etcd'.").
		UsageWriter(out).ErrorWriter(out).
		Terminate(func(int) { informed = true })
	app.HelpFlag.Short('h')
	app.Version(version.Print(appName))
	given := map[string]bool{}
	app.PreAction(func(ctx *kingpin.ParseContext) error {
		for _, element := range ctx.Elements {
			if flag, ok := element.Clause.(*kingpin.FlagClause); ok {
				given[flag.Model().Name] = true
			}
		}
		return nil
	})
	o.register(app)
	_, err := app.Parse(args)
	switch {
	case informed:
		return nil, errInformed
	case err != nil:
		return nil, err
	case o.documentation:
		if err := writeFlagDocumentation(out, app.Model()); err != nil {
			return nil, err
		}
		return nil, errInformed
	}
	o.statusByName = statusOf(app)
	if err := o.resolve(given); err != nil {
		return nil, err
	}
	return o, nil
}

// register declares every flag.
func (o *options) register(app *kingpin.Application) {
	o.registerConfig(app)
	o.registerWeb(app)
	o.registerStorage(app)
	o.registerRules(app)
	o.registerQuery(app)
	o.registerRuntime(app)
	registerInert(app)
	promslogflag.AddFlags(app, &o.log)
	app.Flag("enable-feature", "Names of features to enable, separated by commas. Can be repeated. Unknown names are warned about. Known are: "+knownFeatures()+".").
		StringsVar(&o.featureLists)
	app.Flag("agent", "Accepted to say clearly that it is not supported: there is no agent mode.").BoolVar(&o.agentMode)
	app.Flag("write-documentation", "Print the reference of all flags as Markdown and exit.").Hidden().BoolVar(&o.documentation)
}

// resolve derives what is not simply a flag's value, and checks what the
// flags' types do not. It returns all errors at once.
func (o *options) resolve(given map[string]bool) error {
	if o.agentMode {
		return errors.New("--agent: there is no agent mode, a server that neither stores nor answers queries; start without the flag")
	}
	o.config.given = given["config.file"]
	o.config.autoReloadInterval = max(o.config.autoReloadInterval, time.Second)
	errs := []error{o.web.resolve(), o.runtime.validate()}
	o.warnings = append(o.warnings, inertWarnings(given)...)
	features, warnings, err := parseFeatures(o.featureLists)
	o.features = features
	o.warnings = append(o.warnings, warnings...)
	errs = append(errs, err)
	if o.features.autoReloadConfig {
		o.config.autoReload = true
	}
	return errors.Join(errs...)
}

// warn logs what of the command line has no effect, once per flag or feature.
func (o *options) warn(logger *slog.Logger) {
	for _, w := range o.warnings {
		logger.Warn(w)
	}
}

// loadOptions are the values that the command line lends to configurations
// which leave them out.
func (o *options) loadOptions(logger *slog.Logger) config.Options {
	return config.Options{
		Logger: logger,
		Retention: promconfig.TSDBRetentionConfig{
			Time: model.Duration(o.storage.retentionTime),
			Size: o.storage.retentionBytes,
		},
		LogLevel:           o.log.Level.String(),
		ExtraScrapeMetrics: o.features.extraScrapeMetrics,
	}
}

// status returns the value of every flag by its name, as the status API shows
// it. The caller must not change it.
func (o *options) status() map[string]string { return o.statusByName }

// statusOf returns the values of the flags that are not kingpin's own.
func statusOf(app *kingpin.Application) map[string]string {
	values := map[string]string{}
	for _, flag := range app.Model().Flags {
		if !ofKingpin(flag.Name) {
			values[flag.Name] = flag.Value.String()
		}
	}
	return values
}
