package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/util/strutil"

	"github.com/gnomonhq/gnomon/alerting/state"
)

// Defaults of Options.
const (
	DefaultQueueCapacity = 10000
	DefaultMaxBatchSize  = notifier.DefaultMaxBatchSize
	DefaultDrainTimeout  = 30 * time.Second
)

// DoFunc performs a request; it is http.Client.Do.
type DoFunc func(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, error)

// Options are the settings of a Manager.
type Options struct {
	// ExternalURL is the address of this server, which links in notifications
	// begin with.
	ExternalURL *url.URL
	// QueueCapacity is how many alerts wait for each Alertmanager at most; the
	// oldest are dropped. 0 is DefaultQueueCapacity.
	QueueCapacity int
	// MaxBatchSize is how many alerts a request has at most; 0 is
	// DefaultMaxBatchSize.
	MaxBatchSize int
	// DiscardOnShutdown drops what is queued when Run ends instead of
	// delivering it.
	DiscardOnShutdown bool
	// DrainTimeout bounds the delivery of what is queued when Run ends; 0 is
	// DefaultDrainTimeout.
	DrainTimeout time.Duration
	// NameValidation is the scheme for names of labels; the default is UTF-8.
	NameValidation model.ValidationScheme
	// Do replaces the HTTP client, for tests.
	Do DoFunc
	// Logger gets the events; nil discards them.
	Logger *slog.Logger
	// Registerer gets the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{}
	}
	o.QueueCapacity = cmp.Or(o.QueueCapacity, DefaultQueueCapacity)
	o.MaxBatchSize = cmp.Or(o.MaxBatchSize, DefaultMaxBatchSize)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, DefaultDrainTimeout)
	if o.NameValidation == model.UnsetValidation {
		o.NameValidation = model.UTF8Validation
	}
	if o.Do == nil {
		o.Do = func(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, error) {
			return client.Do(req.WithContext(ctx))
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	if o.QueueCapacity < 0 || o.MaxBatchSize < 0 || o.DrainTimeout < 0 {
		return errors.New("options QueueCapacity, MaxBatchSize and DrainTimeout must not be negative")
	}
	return nil
}

// Manager delivers alerts.
type Manager struct {
	opts     Options
	upstream *notifier.Manager
	// requests ends all requests once the time for draining is over.
	requests context.Context //nolint:containedctx // The lifetime of the component.
	giveUp   context.CancelFunc

	mu struct {
		sync.Mutex
		// running counts the requests whose response was not closed yet.
		running int
		// idle is closed when there is none, if somebody waits for that.
		idle chan struct{}
	}
}

// New returns a manager without Alertmanagers.
func New(opts Options) (*Manager, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("notifier: %w", err)
	}
	m := &Manager{opts: opts}
	m.requests, m.giveUp = context.WithCancel(context.Background())
	m.upstream = notifier.NewManager(&notifier.Options{
		QueueCapacity:   opts.QueueCapacity,
		MaxBatchSize:    opts.MaxBatchSize,
		DrainOnShutdown: !opts.DiscardOnShutdown,
		Do:              m.do,
		Registerer:      opts.Registerer,
	}, opts.NameValidation, opts.Logger)
	return m, nil
}

// do performs a request that also ends when the manager gives up.
func (m *Manager) do(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.mu.running++
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(m.requests, cancel)
	done := sync.OnceFunc(func() {
		stop()
		cancel()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.mu.running--; m.mu.running == 0 && m.mu.idle != nil {
			close(m.mu.idle)
			m.mu.idle = nil
		}
	})
	resp, err := m.opts.Do(ctx, client, req)
	if err != nil {
		done()
		return nil, err
	}
	// The context must outlive the reading of the body.
	resp.Body = &body{ReadCloser: resp.Body, done: done}
	return resp, nil
}

// body tells when it is closed.
type body struct {
	io.ReadCloser
	done func()
}

// Close closes the body.
func (b *body) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

// ApplyConfig applies the alerting section and the external labels of a
// configuration. Alertmanagers of sections that did not change stay known and
// keep what is queued for them.
func (m *Manager) ApplyConfig(c *config.Config) error {
	if err := m.upstream.ApplyConfig(c); err != nil {
		return fmt.Errorf("apply alerting configuration: %w", err)
	}
	return nil
}

// Run delivers alerts to the Alertmanagers that targets tells of, by the key of
// their section ("config-0" is the first), until ctx ends. Then it delivers
// what is queued, for no longer than the drain timeout, and returns nil. It is
// called once.
func (m *Manager) Run(ctx context.Context, targets <-chan map[string][]*targetgroup.Group) error {
	drained := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		m.upstream.Stop()
		timer := time.NewTimer(m.opts.DrainTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			m.opts.Logger.Warn("giving up on queued alerts", "after", m.opts.DrainTimeout)
		case <-drained:
		}
		m.giveUp()
	})
	m.upstream.Run(targets)
	// A request that was under way when the queues were stopped is not waited
	// for by upstream.
	m.waitIdle()
	close(drained)
	wg.Wait()
	return nil
}

// waitIdle waits until no request is under way. It is called once.
func (m *Manager) waitIdle() {
	m.mu.Lock()
	if m.mu.running == 0 {
		m.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	m.mu.idle = idle
	m.mu.Unlock()
	<-idle
}

// Notify queues alerts of a rule with the given expression for every
// Alertmanager. It does not wait for deliveries, and after Run has ended it
// does nothing. It is a rules.NotifyFunc.
func (m *Manager) Notify(_ context.Context, expr string, alerts []state.Alert) {
	if len(alerts) == 0 {
		return
	}
	generator := m.opts.ExternalURL.String() + strutil.TableLinkForExpression(expr)
	out := make([]*notifier.Alert, len(alerts))
	for i := range alerts {
		a := &alerts[i]
		out[i] = &notifier.Alert{
			Labels:       a.Labels,
			Annotations:  a.Annotations,
			StartsAt:     a.FiredAt,
			EndsAt:       a.ValidUntil,
			GeneratorURL: generator,
		}
		if !a.ResolvedAt.IsZero() {
			out[i].EndsAt = a.ResolvedAt
		}
	}
	m.upstream.Send(out...)
}

// Alertmanagers returns the addresses that alerts are posted to, in ascending
// order.
func (m *Manager) Alertmanagers() []*url.URL { return sorted(m.upstream.Alertmanagers()) }

// DroppedAlertmanagers returns the addresses that relabelling dropped, in
// ascending order.
func (m *Manager) DroppedAlertmanagers() []*url.URL { return sorted(m.upstream.DroppedAlertmanagers()) }

func sorted(urls []*url.URL) []*url.URL {
	slices.SortFunc(urls, func(a, b *url.URL) int { return cmp.Compare(a.String(), b.String()) })
	return urls
}
