package scrape

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/version"
)

// Options are the options of a Manager. The zero value is usable.
type Options struct {
	// Logger gets the logs; nil discards them.
	Logger *slog.Logger
	// Registerer gets the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// UserAgent is sent with every scrape. Default: Gnomon/<version>.
	UserAgent string
	// Hostname seeds the offsets of targets, together with the external labels.
	// Default: the name of the machine.
	Hostname string
	// TimestampTolerance is how far from its slot a scrape may begin and still
	// have the slot as its timestamp; more than 1 % of the interval is never
	// tolerated. Negative turns alignment off. Default: 2 ms.
	TimestampTolerance time.Duration
	// ReloadInterval is the least time between two updates of the targets from
	// discovery. Default: 5 s.
	ReloadInterval time.Duration
	// StartTimestamps reads start timestamps from OpenMetrics and protobuf. The
	// _created series of OpenMetrics are then not stored as series.
	StartTimestamps bool
	// TypeAndUnitLabels adds the labels __type__ and __unit__ to series.
	TypeAndUnitLabels bool
	// OpenMetrics2 accepts OpenMetrics 2.0.
	OpenMetrics2 bool
	// HTTPClientOptions are applied to the HTTP clients of all jobs.
	HTTPClientOptions []config_util.HTTPClientOption

	// transport takes the place of the network in tests.
	transport http.RoundTripper
}

const (
	defaultTolerance      = 2 * time.Millisecond
	defaultReloadInterval = 5 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.UserAgent == "" {
		o.UserAgent = "Gnomon/" + version.Version
	}
	if o.Hostname == "" {
		// Without a name the external labels alone seed the offsets.
		o.Hostname, _ = os.Hostname()
	}
	if o.TimestampTolerance == 0 {
		o.TimestampTolerance = defaultTolerance
	}
	if o.ReloadInterval == 0 {
		o.ReloadInterval = defaultReloadInterval
	}
	return o
}

func (o Options) validate() error {
	if o.ReloadInterval < 0 {
		return errors.New("the reload interval of targets is negative")
	}
	return nil
}
