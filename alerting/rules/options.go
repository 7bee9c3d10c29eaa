package rules

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage"
)

// Defaults of Options and Config.
const (
	DefaultOutageTolerance    = time.Hour
	DefaultForGracePeriod     = 10 * time.Minute
	DefaultResendDelay        = time.Minute
	DefaultMaxConcurrentEvals = 4
	DefaultInterval           = time.Minute
)

// Store is what rules write to and restore from.
type Store interface {
	storage.Writer
	storage.Queryable
}

// NotifyFunc takes over alerts that are to be sent: firing ones and resolved
// ones, of a rule with the given expression. The alerts belong to the callee.
// It must not block on the network: the evaluation waits for it. It is called
// from many goroutines.
type NotifyFunc func(ctx context.Context, expr string, alerts []state.Alert)

// Options are the settings of a Manager for its life.
type Options struct {
	// Query answers the expressions. Required.
	Query alerting.QueryFunc
	// Store takes the results and gives the state of a former process. Required.
	Store Store
	// Notify takes the alerts; nil discards them.
	Notify NotifyFunc
	// ExternalURL is the address of this server for templates; nil is empty.
	ExternalURL *url.URL
	// OutageTolerance is how long ago a former process may have ended for its
	// alerts to be restored; 0 is DefaultOutageTolerance, negative is none.
	OutageTolerance time.Duration
	// ForGracePeriod is how long a restored pending alert waits at least
	// before it fires; 0 is DefaultForGracePeriod, negative is none.
	ForGracePeriod time.Duration
	// ResendDelay is the time between notifications of an alert that goes on;
	// 0 is DefaultResendDelay, negative is none: it is sent after every
	// evaluation.
	ResendDelay time.Duration
	// ConcurrentEvals evaluates rules of a group concurrently if neither
	// depends on the other. At most MaxConcurrentEvals evaluations, over all
	// groups, run in addition to one for each group; 0 is
	// DefaultMaxConcurrentEvals.
	ConcurrentEvals    bool
	MaxConcurrentEvals int
	// Reader reads the rule files.
	Reader Reader
	// Logger gets the events; nil discards them.
	Logger *slog.Logger
	// Registerer gets the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.Notify == nil {
		o.Notify = func(context.Context, string, []state.Alert) {}
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{}
	}
	o.OutageTolerance = max(cmp.Or(o.OutageTolerance, DefaultOutageTolerance), 0)
	o.ForGracePeriod = max(cmp.Or(o.ForGracePeriod, DefaultForGracePeriod), 0)
	o.ResendDelay = max(cmp.Or(o.ResendDelay, DefaultResendDelay), 0)
	if o.MaxConcurrentEvals == 0 {
		o.MaxConcurrentEvals = DefaultMaxConcurrentEvals
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Reader.Logger == nil {
		o.Reader.Logger = o.Logger
	}
	o.Reader = o.Reader.withDefaults()
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Query == nil {
		errs = append(errs, errors.New("option Query is missing"))
	}
	if o.Store == nil {
		errs = append(errs, errors.New("option Store is missing"))
	}
	if o.MaxConcurrentEvals < 0 {
		errs = append(errs, errors.New("option MaxConcurrentEvals must not be negative"))
	}
	return errors.Join(errs...)
}

// Config is what a reload can change.
type Config struct {
	// Files are the patterns of the rule files.
	Files []string
	// Interval is the interval of groups that have none; 0 is DefaultInterval.
	Interval time.Duration
	// QueryOffset is that of groups that have none.
	QueryOffset time.Duration
	// ExternalLabels are seen by templates. They are not added to series here,
	// nor to alerts: the notifier does that.
	ExternalLabels labels.Labels
	// NameValidation is the scheme that names in the rule files follow; unset
	// is that of Options.Reader.
	NameValidation model.ValidationScheme
}

// shared is what all groups of a manager use.
type shared struct {
	Options

	metrics *metrics
	// live is the part of the configuration that takes effect on groups that
	// did not change.
	live atomic.Pointer[liveConfig]
	// slots bounds concurrent evaluations of rules; nil if there are none.
	slots chan struct{}
}

// liveConfig is immutable.
type liveConfig struct {
	queryOffset    time.Duration
	externalLabels map[string]string
}
