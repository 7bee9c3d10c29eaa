package kubernetes

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// health is what is known of a watch's connection. Safe for concurrent use.
type health struct {
	metrics                     *metrics
	logger                      *slog.Logger
	server, resource, namespace string
	selector                    selector

	mu struct {
		sync.Mutex
		// streams counts the connections that events come over: one, or two for a moment.
		streams     int
		lastContact time.Time
		err         error
	}
}

// listed notes the outcome of a request for all objects.
func (h *health) listed(ctx context.Context, err error) {
	h.metrics.lists.WithLabelValues(h.resource).Inc()
	if err != nil {
		h.failed(ctx, err)
		return
	}
	h.contact()
}

func (h *health) contact() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.lastContact = time.Now()
}

// ended notes what client-go has to say at the end of an attempt to list and watch. That
// the connection has ended is no failure, as the server ends each after some minutes, nor
// that the server's history does not go back far enough; client-go lists anew.
func (h *health) ended(ctx context.Context, err error) {
	h.metrics.failures.Inc() // as upstream counts
	h.mu.Lock()
	known := h.mu.err != nil
	h.mu.Unlock()
	if known || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	h.failed(ctx, err)
}

// failed notes that objects could not be listed or watched, and reports it unless that is
// known already. A watch that is being ended, which is when ctx is over, does not fail.
func (h *health) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	// Without the request, whose address has another timeout each time and says nothing that
	// is not known.
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
	}
	h.mu.Lock()
	news := h.mu.err == nil || h.mu.err.Error() != err.Error()
	h.mu.err = err
	since := "never"
	if !h.mu.lastContact.IsZero() {
		since = h.mu.lastContact.UTC().Format(time.RFC3339)
	}
	h.mu.Unlock()
	if news {
		h.logger.Warn("Kubernetes objects cannot be followed; targets stay as they are until they can", "last_contact", since, "err", err)
	}
}

// connected notes that a watch was opened, disconnected that it was closed.
func (h *health) connected() {
	h.metrics.watches.WithLabelValues(h.resource).Inc()
	h.mu.Lock()
	h.mu.streams++
	h.mu.lastContact = time.Now()
	err := h.mu.err
	h.mu.err = nil
	h.mu.Unlock()
	if err != nil {
		h.logger.Info("Kubernetes objects are followed again")
	}
}

func (h *health) disconnected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.streams--
}

// state is whether the watch is connected, when the server was last heard of, and what
// failed since.
func (h *health) state() (up bool, lastContact time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.streams > 0, h.mu.lastContact, h.mu.err
}

// observe passes a watch's events on and notes each, the bookmarks included that the server
// sends about every minute when there is nothing to tell.
func (h *health) observe(events apiwatch.Interface) apiwatch.Interface {
	h.connected()
	o := &observed{Interface: events, out: make(chan apiwatch.Event), stopped: make(chan struct{})}
	go func() {
		defer h.disconnected()
		defer close(o.out)
		for e := range events.ResultChan() {
			h.contact()
			select {
			case o.out <- e:
			case <-o.stopped:
				return
			}
		}
	}()
	return o
}

// observed is a watch whose events go through observe.
type observed struct {
	apiwatch.Interface
	out     chan apiwatch.Event
	once    sync.Once
	stopped chan struct{}
}

// ResultChan implements watch.Interface.
func (o *observed) ResultChan() <-chan apiwatch.Event { return o.out }

// Stop implements watch.Interface.
func (o *observed) Stop() {
	o.once.Do(func() { close(o.stopped) })
	o.Interface.Stop()
}
