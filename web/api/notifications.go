package api

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// defaultSubscribers is the default of --web.max-notifications-subscribers.
	defaultSubscribers = 16
	// subscriptionQueue is how many notifications a slow subscriber may lag
	// behind before it loses some.
	subscriptionQueue = 16
)

// Notification tells a person about the state of the server.
type Notification struct {
	Text string
	// Date is when it was last set.
	Date time.Time
	// Active is false only in what a subscriber gets when it was withdrawn.
	Active bool
}

// NotificationsOptions are the options of Notifications.
type NotificationsOptions struct {
	// MaxSubscribers bounds the live subscriptions; the default is 16, a
	// negative number admits none.
	MaxSubscribers int
	// Registerer gets the metrics; it may be nil.
	Registerer prometheus.Registerer
	// Now is the clock; the default is time.Now.
	Now func() time.Time
}

// Notifications holds the notifications in force and passes changes on to
// subscribers. It can be used by any number of goroutines.
type Notifications struct {
	maxSubscribers int
	now            func() time.Time

	subscribers   prometheus.Gauge
	sent, dropped prometheus.Counter

	mu struct {
		sync.Mutex
		closed bool
		list   []Notification
		subs   map[chan Notification]struct{}
	}
}

// NewNotifications returns an empty set of notifications.
func NewNotifications(opts NotificationsOptions) *Notifications {
	n := &Notifications{
		maxSubscribers: opts.MaxSubscribers,
		now:            opts.Now,
		subscribers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prometheus_api_notification_active_subscribers",
			Help: "Live subscriptions to notifications.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_api_notification_updates_sent_total",
			Help: "Changes of notifications that were to be sent to subscribers.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_api_notification_updates_dropped_total",
			Help: "Changes of notifications that a subscriber was too slow for.",
		}),
	}
	if n.maxSubscribers == 0 {
		n.maxSubscribers = defaultSubscribers
	}
	if n.now == nil {
		n.now = time.Now
	}
	n.mu.subs = map[chan Notification]struct{}{}
	if opts.Registerer != nil {
		opts.Registerer.MustRegister(n.subscribers, n.sent, n.dropped)
	}
	return n
}

// Set puts a notification in force, or gives it the current date if it is.
func (n *Notifications) Set(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed := Notification{Text: text, Date: n.now(), Active: true}
	if i := n.indexLocked(text); i >= 0 {
		n.mu.list[i] = changed
	} else {
		n.mu.list = append(n.mu.list, changed)
	}
	n.publishLocked(changed)
}

// Withdraw ends a notification. It does nothing if that is not in force.
func (n *Notifications) Withdraw(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.indexLocked(text)
	if i < 0 {
		return
	}
	withdrawn := n.mu.list[i]
	withdrawn.Active = false
	n.mu.list = slices.Delete(n.mu.list, i, i+1)
	n.publishLocked(withdrawn)
}

func (n *Notifications) indexLocked(text string) int {
	return slices.IndexFunc(n.mu.list, func(x Notification) bool { return x.Text == text })
}

// publishLocked passes a change on without waiting for anyone.
func (n *Notifications) publishLocked(changed Notification) {
	for sub := range n.mu.subs {
		n.sent.Inc()
		select {
		case sub <- changed:
		default:
			n.dropped.Inc()
		}
	}
}

// List returns the notifications in force.
func (n *Notifications) List() []Notification {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.mu.list)
}

// Subscribe returns a channel that yields the notifications in force and then
// every change, and a function that ends the subscription. The channel is
// closed when Close is called. It returns false if there are too many
// subscribers.
func (n *Notifications) Subscribe() (<-chan Notification, func(), bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed || len(n.mu.subs) >= n.maxSubscribers {
		return nil, nil, false
	}
	sub := make(chan Notification, len(n.mu.list)+subscriptionQueue)
	for _, x := range n.mu.list {
		sub <- x
	}
	n.mu.subs[sub] = struct{}{}
	n.subscribers.Set(float64(len(n.mu.subs)))
	return sub, func() { n.unsubscribe(sub) }, true
}

func (n *Notifications) unsubscribe(sub chan Notification) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.subs, sub)
	n.subscribers.Set(float64(len(n.mu.subs)))
}

// Close ends every subscription and refuses new ones.
func (n *Notifications) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.closed = true
	for sub := range n.mu.subs {
		close(sub)
	}
	clear(n.mu.subs)
	n.subscribers.Set(0)
}

// notifications serves /notifications.
func (a *API) notifications(*http.Request) (response, error) {
	var list []Notification
	if a.opts.Notifications != nil {
		list = a.opts.Notifications.List()
	}
	return response{data: func(e *encoder) {
		e.rawByte('[')
		for i := range list {
			e.comma(i)
			e.notification(&list[i])
		}
		e.rawByte(']')
	}}, nil
}

func (e *encoder) notification(n *Notification) {
	e.raw(`{"text":`)
	e.str(n.Text)
	e.raw(`,"date":`)
	e.time(n.Date)
	e.raw(`,"active":`)
	e.boolean(n.Active)
	e.rawByte('}')
}

// notificationsLive serves /notifications/live: the notifications in force and
// every change, as server-sent events.
func (a *API) notificationsLive(w http.ResponseWriter, r *http.Request) {
	a.setCORS(w, r)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Connection", "keep-alive")
	if a.opts.Notifications == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	changes, unsubscribe, ok := a.opts.Notifications.Subscribe()
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	defer unsubscribe()
	// The client learns that it is connected before anything happens.
	controller := http.NewResponseController(w)
	if err := controller.Flush(); err != nil {
		http.Error(w, "Streaming unsupported", http.StatusInternalServerError)
		return
	}
	e := newEncoder(nil)
	defer e.free()
	for {
		select {
		case <-r.Context().Done():
			return
		case n, ok := <-changes:
			if !ok {
				return
			}
			e.flush()
			e.notification(&n)
			if _, err := fmt.Fprintf(w, "data: %s\n\n", e.buf); err != nil {
				return
			}
			if err := controller.Flush(); err != nil {
				return
			}
		}
	}
}
