package api

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestNotifications(t *testing.T) {
	reg := prometheus.NewRegistry()
	now := at(100)
	n := NewNotifications(NotificationsOptions{MaxSubscribers: 1, Registerer: reg, Now: func() time.Time { return now }})
	n.Withdraw("nothing")
	n.Set("a")
	changes, unsubscribe, ok := n.Subscribe()
	require.True(t, ok)
	_, _, ok = n.Subscribe()
	require.False(t, ok, "one too many")

	now = at(200)
	n.Set("a")
	n.Set("b")
	n.Withdraw("a")
	require.Equal(t, []Notification{{"b", at(200), true}}, n.List())
	for _, want := range []Notification{{"a", at(100), true}, {"a", at(200), true}, {"b", at(200), true}, {"a", at(200), false}} {
		require.Equal(t, want, <-changes)
	}
	unsubscribe()
	n.Set("nobody hears this")
	require.Empty(t, changes)

	changes, unsubscribe, ok = n.Subscribe()
	require.True(t, ok)
	for range 2 * subscriptionQueue {
		n.Set("flood")
	}
	require.Len(t, changes, 2+subscriptionQueue, "what does not fit is dropped")
	n.Close()
	for range changes {
	}
	unsubscribe()
	_, _, ok = n.Subscribe()
	require.False(t, ok, "closed")
	n.Set("after the end")
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP prometheus_api_notification_active_subscribers Live subscriptions to notifications.
# TYPE prometheus_api_notification_active_subscribers gauge
prometheus_api_notification_active_subscribers 0
# HELP prometheus_api_notification_updates_dropped_total Changes of notifications that a subscriber was too slow for.
# TYPE prometheus_api_notification_updates_dropped_total counter
prometheus_api_notification_updates_dropped_total 16
# HELP prometheus_api_notification_updates_sent_total Changes of notifications that were to be sent to subscribers.
# TYPE prometheus_api_notification_updates_sent_total counter
prometheus_api_notification_updates_sent_total 35
`)))
}

// TestNotificationsLive reads server-sent events over a connection.
func TestNotificationsLive(t *testing.T) {
	n := NewNotifications(NotificationsOptions{Now: func() time.Time { return at(100) }})
	server := httptest.NewServer(serveMux(New(Options{Notifications: n})))
	defer server.Close()
	n.Set("first <")

	res, err := http.Get(server.URL + "/api/v1/notifications")
	require.NoError(t, err)
	require.Equal(t, `{"status":"success","data":[{"text":"first \u003c","date":"1970-01-01T00:01:40Z","active":true}]}`, bodyOf(t, res))

	res, err = http.Get(server.URL + "/api/v1/notifications/live")
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	lines := bufio.NewScanner(res.Body)
	next := func() string {
		require.True(t, lines.Scan())
		text := lines.Text()
		require.True(t, lines.Scan())
		require.Empty(t, lines.Text())
		return text
	}
	require.Equal(t, `data: {"text":"first \u003c","date":"1970-01-01T00:01:40Z","active":true}`, next())
	n.Withdraw("first <")
	require.Equal(t, `data: {"text":"first \u003c","date":"1970-01-01T00:01:40Z","active":false}`, next())
	n.Close()
	require.False(t, lines.Scan(), "the stream ends")

	res, err = http.Get(server.URL + "/api/v1/notifications/live")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.NoError(t, res.Body.Close())
}
