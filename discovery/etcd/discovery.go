package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxLoggedBadValues bounds the refused values that one update logs one by one.
const maxLoggedBadValues = 10

// tuning holds what is not worth a setting. Tests change it.
type tuning struct {
	// pageSize is the number of keys that are read in one request.
	pageSize int64
	// maxMessage is the size in bytes of the largest message that is received, and so
	// bounds what a page or a batch of changes may occupy.
	maxMessage int
	// probeInterval is the time between requests that show whether etcd is there.
	probeInterval time.Duration
	// minBackoff and maxBackoff bound the time between attempts to reach etcd.
	minBackoff, maxBackoff time.Duration
}

var defaultTuning = tuning{
	pageSize:      500,
	maxMessage:    16 << 20,
	probeInterval: 15 * time.Second,
	minBackoff:    time.Second,
	maxBackoff:    30 * time.Second,
}

// Discovery follows the keys under one prefix of one etcd cluster and sends the target
// groups that changed. It is created by New and runs once, in the goroutine that calls
// Run.
type Discovery struct {
	cfg       *SDConfig
	endpoints []string
	logger    *slog.Logger
	metrics   *metrics
	gauges    *gauges
	tuning    tuning

	state *state
	// cluster is the identity of the cluster that state comes from.
	cluster uint64
	// listed is when state was last read as a whole.
	listed time.Time
	// mustList is the reason why all keys have to be read next; "" to go on from the
	// revision of state.
	mustList string
	// healthy is set once a connection has proved to work; it resets the backoff.
	healthy bool
	// sent is set once the first update was sent.
	sent bool
}

var _ discovery.Discoverer = (*Discovery)(nil)

// New creates a discovery from a valid configuration, which it retains. It opens no
// connection and no file. The metrics must come from the configuration's
// NewDiscovererMetrics.
func New(cfg *SDConfig, opts discovery.DiscovererOptions) (*Discovery, error) {
	m, ok := opts.Metrics.(*metrics)
	if !ok {
		return nil, fmt.Errorf("etcd discovery: metrics are %T, not those of etcd discovery", opts.Metrics)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	endpoints, err := cfg.endpointURLs()
	if err != nil {
		return nil, err
	}
	template, err := ParseTemplate(cfg.KeyTemplate)
	if err != nil {
		return nil, err
	}
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	_, host, _ := strings.Cut(endpoints[0], "://")
	p := &parser{
		template:     template,
		source:       mechanism + "/" + host + ":",
		maxValueSize: int(cfg.MaxValueSize),
	}
	tuning := defaultTuning
	// Whatever is too large to be received is then larger than max_value_size, too.
	tuning.maxMessage = max(tuning.maxMessage, 2*int(cfg.MaxValueSize))
	return &Discovery{
		cfg:       cfg,
		endpoints: endpoints,
		logger:    logger.With("endpoints", strings.Join(endpoints, ","), "prefix", cfg.selection()),
		metrics:   m,
		gauges:    &gauges{config: opts.SetName, prefix: cfg.selection()},
		tuning:    tuning,
		state:     newState(p, cfg.MaxKeys),
		mustList:  relistStart,
	}, nil
}

// Run implements discovery.Discoverer: it follows etcd until ctx ends and sends every
// change to up. The first update holds all targets, even if there are none. Whatever
// happens to etcd, Run goes on trying, and targets that were sent stay.
func (d *Discovery) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	d.metrics.begin(d.gauges)
	defer d.metrics.end(d.gauges)

	backoff := d.tuning.minBackoff
	for {
		d.healthy = false
		err := d.session(ctx, up)
		d.gauges.up.Store(false)
		if ctx.Err() != nil {
			return
		}
		if d.healthy {
			backoff = d.tuning.minBackoff
		}
		wait := jitter(backoff)
		backoff = min(2*backoff, d.tuning.maxBackoff)
		d.report(err, wait)

		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		d.metrics.reconnects.WithLabelValues(d.gauges.config).Inc()
	}
}

// jitter returns a time between half of d and d, so that servers which lost the same
// etcd do not return to it at the same instant.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// report logs and counts the end of a session.
func (d *Discovery) report(err error, wait time.Duration) {
	switch {
	case errors.Is(err, errCompacted), errors.Is(err, errHistory), errors.Is(err, errTooLarge):
		// Not a failure: etcd is there and wants its keys to be read again.
		d.logger.Info("etcd discovery reads all keys again", "reason", err, "in", wait)
	default:
		d.logger.Warn("etcd discovery is interrupted, targets stay as they are",
			"err", err, "retry_in", wait, "keys", len(d.state.keys))
		d.metrics.failed(d.gauges.config)
	}
}

// session connects and follows etcd until something goes wrong, which it returns.
func (d *Discovery) session(ctx context.Context, up chan<- []*targetgroup.Group) error {
	client, err := d.connect(ctx)
	if err != nil {
		return err
	}
	// Nothing is left to lose on a connection that is given up.
	defer func() { _ = client.Close() }()

	if d.mustList == "" && time.Since(d.listed) >= time.Duration(d.cfg.RefreshInterval) {
		d.mustList = relistRefresh
	}
	if d.mustList == "" {
		if err := d.probe(ctx, client); errors.Is(err, errHistory) {
			d.mustList = relistHistory
		} else if err != nil {
			return err
		}
	}
	for {
		if d.mustList != "" {
			if err := d.list(ctx, client, up); err != nil {
				return err
			}
		}
		if err := d.watch(ctx, client, up); err != nil {
			return err
		}
	}
}

// probe asks etcd for its present revision, through the leader, and thereby whether it
// is there and has gone on from where the state is.
func (d *Discovery) probe(ctx context.Context, client *clientv3.Client) error {
	ctx, done := bound(ctx, time.Duration(d.cfg.DialTimeout))
	start, _ := d.cfg.keyRange()
	resp, err := client.Get(ctx, start, clientv3.WithKeysOnly())
	if err := done(err); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if resp.Header.ClusterId != d.cluster {
		return fmt.Errorf("%w: cluster %x took the place of %x", errHistory, resp.Header.ClusterId, d.cluster)
	}
	if resp.Header.Revision < d.state.rev {
		return fmt.Errorf("%w: its revision %d is before %d", errHistory, resp.Header.Revision, d.state.rev)
	}
	return nil
}

// publish shows the state in the metrics, reports what was refused and sends what
// changed. It returns an error only if ctx ends.
func (d *Discovery) publish(ctx context.Context, up chan<- []*targetgroup.Group, changed delta) error {
	d.gauges.keys.Store(int64(len(d.state.keys)))
	d.gauges.badKeys.Store(int64(d.state.badKeys))
	d.gauges.refusedKeys.Store(int64(d.state.overLimit))
	d.gauges.revision.Store(d.state.rev)
	d.gauges.updated.Store(time.Now().UnixNano())
	d.reportBad(changed)

	if len(changed.groups) == 0 && d.sent {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case up <- changed.groups:
		d.sent = true
		return nil
	}
}

// reportBad logs and counts the values that were refused.
func (d *Discovery) reportBad(changed delta) {
	for i, b := range changed.bad {
		d.metrics.badValues.WithLabelValues(d.gauges.config, b.err.reason).Inc()
		if i < maxLoggedBadValues {
			d.logger.Warn("value in etcd refused", "key", b.key, "revision", b.rev,
				"err", b.err, "earlier_targets_stay", b.kept)
		}
	}
	if more := len(changed.bad) - maxLoggedBadValues; more > 0 {
		d.logger.Warn("further values in etcd refused", "values", more)
	}
	if n := changed.overLimit; n > 0 {
		d.metrics.badValues.WithLabelValues(d.gauges.config, reasonLimit).Add(float64(n))
		d.logger.Warn("keys in etcd refused because of max_keys", "max_keys", d.cfg.MaxKeys,
			"keys", n, "first", changed.firstOver)
	}
}
