package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

func TestAFailureIsReportedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m, err := newMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	h := &health{metrics: m, logger: slog.New(slog.NewTextHandler(&log, nil)), resource: "pods"}
	refused := func(timeout string) error {
		return &url.Error{Op: "Get", URL: "http://server.example/api/v1/pods?timeout=" + timeout, Err: errors.New("connection refused")}
	}
	lines := func() int { return strings.Count(log.String(), "\n") }
	h.failed(t.Context(), refused("7m"))
	h.failed(t.Context(), refused("8m"))
	h.ended(t.Context(), refused("9m"))
	require.Equal(t, 1, lines(), log.String())
	require.Contains(t, log.String(), "last_contact=never")
	require.Contains(t, log.String(), `err="connection refused"`)
	_, _, err = h.state()
	require.EqualError(t, err, "connection refused")

	watch := apiwatch.NewFake()
	observed := h.observe(watch)
	require.Equal(t, 2, lines(), "it is followed again")
	observed.Stop()
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, apierrors.NewResourceExpired("gone")} {
		h.ended(t.Context(), err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	h.failed(over, context.Canceled)
	require.Equal(t, 2, lines(), "none of these is a failure")
	h.failed(t.Context(), refused("7m"))
	require.Equal(t, 3, lines())
	require.NotContains(t, strings.Split(log.String(), "\n")[2], "never")
}
