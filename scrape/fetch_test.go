package scrape

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// settingsFor returns the settings of a target of a job.
func settingsFor(t *testing.T, yaml string, target model.LabelSet, change ...func(*Options)) *settings {
	t.Helper()
	cfg := scrapeConfig(t, yaml)
	var opts Options
	for _, f := range change {
		f(&opts)
	}
	m, err := New(opts, nil)
	require.NoError(t, err)
	c, err := newClients(cfg, &m.opts)
	require.NoError(t, err)
	t.Cleanup(c.closeIdle)
	targets, failures := targetsFromGroup(&targetgroup.Group{Targets: []model.LabelSet{target}}, cfg, labels.NewBuilder(labels.EmptyLabels()))
	require.Empty(t, failures)
	return m.newPool(t.Context(), cfg, c).newSettings(targets[0])
}

func TestRequest(t *testing.T) {
	for _, c := range []struct {
		yaml, accept, encoding string
	}{
		{job(),
			"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3", "zstd,gzip"},
		{job("scrape_protocols: [PrometheusText0.0.4]", "enable_compression: false"), "text/plain;version=0.0.4;q=0.7,*/*;q=0.6", "identity"},
		{job("scrape_protocols: [PrometheusProto, PrometheusText1.0.0]", "metric_name_validation_scheme: legacy"),
			"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5", "zstd,gzip"},
	} {
		s := settingsFor(t, c.yaml, model.LabelSet{"__address__": "a:1"})
		require.Equal(t, c.accept, s.request.Header.Get("Accept"))
		require.Equal(t, c.encoding, s.request.Header.Get("Accept-Encoding"))
		require.Equal(t, "5", s.request.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"))
		require.True(t, strings.HasPrefix(s.request.Header.Get("User-Agent"), "Gnomon/"))
	}
	s := settingsFor(t, job(), model.LabelSet{"__address__": "a:1"}, func(o *Options) { o.UserAgent = "me" })
	require.Equal(t, "me", s.request.Header.Get("User-Agent"))
}

// serve starts a server on the loopback and returns its address.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func fetch(t *testing.T, s *settings) (string, error) {
	t.Helper()
	body, contentType, err := s.fetch(context.Background(), nil)
	if err == nil {
		require.Equal(t, "text/plain", contentType)
		require.Greater(t, cap(body), len(body))
	}
	return string(body), err
}

func TestFetch(t *testing.T) {
	text := strings.Repeat("some_metric{a=\"b\"} 1\n", 3000)
	var zipped, zstdBody bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(text))
	require.NoError(t, z.Close())
	zw, err := zstd.NewWriter(&zstdBody)
	require.NoError(t, err)
	_, _ = zw.Write([]byte(text))
	require.NoError(t, zw.Close())
	bodies := map[string]string{"": text, "gzip": zipped.String(), "zstd": zstdBody.String()}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		encoding := r.URL.Query().Get("encoding")
		if encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		body := bodies[encoding]
		if r.URL.Query().Get("cut") != "" {
			body = body[:len(body)/2]
		}
		_, _ = w.Write([]byte(body))
	})
	target := func(params ...string) model.LabelSet {
		ls := model.LabelSet{"__address__": model.LabelValue(address)}
		for i := 0; i < len(params); i += 2 {
			ls[model.LabelName("__param_"+params[i])] = model.LabelValue(params[i+1])
		}
		return ls
	}
	for _, encoding := range []string{"", "gzip", "zstd"} {
		s := settingsFor(t, job(), target("encoding", encoding))
		for range 3 { // with a reader that was used before
			body, err := fetch(t, s)
			require.NoError(t, err)
			require.Equal(t, text, body)
		}
		if encoding != "" {
			_, err := fetch(t, settingsFor(t, job(), target("encoding", encoding, "cut", "1")))
			require.Error(t, err)
		}
	}
	_, err = fetch(t, settingsFor(t, job("enable_compression: false"), target("encoding", "zstd")))
	require.ErrorIs(t, err, errZstdNotAsked)

	size := len(text)
	for limit, want := range map[int]error{size + 1: nil, size: errBodySizeLimit, 100: errBodySizeLimit} {
		s := settingsFor(t, job(), target("encoding", "gzip"))
		s.bodySizeLimit = int64(limit)
		_, err := fetch(t, s)
		require.ErrorIs(t, err, want, "limit %d", limit)
	}
}

func TestFetchTakesCredentialsNowhereElse(t *testing.T) {
	var got []string
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "text/plain")
	})
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		// Another name of the same machine is another host.
		http.Redirect(w, r, "http://"+strings.Replace(other, "127.0.0.1", "localhost", 1)+"/", http.StatusFound)
	})
	s := settingsFor(t, job("authorization: {credentials: secret}"), model.LabelSet{"__address__": model.LabelValue(address)})
	_, err := fetch(t, s)
	require.NoError(t, err)
	require.Equal(t, []string{"Bearer secret", ""}, got)
	s = settingsFor(t, job("follow_redirects: false"), model.LabelSet{"__address__": model.LabelValue(address)})
	_, err = fetch(t, s)
	require.EqualError(t, err, "server returned HTTP status 302 Found")
}

func TestFetchOverUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("x 1\n"))
	}), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	body, err := fetch(t, settingsFor(t, job(), model.LabelSet{"__address__": "nobody.invalid:1", "__unix_socket__": model.LabelValue(path)}))
	require.NoError(t, err)
	require.Equal(t, "x 1\n", body)
}

func TestFetchTimesOut(t *testing.T) {
	release := make(chan struct{})
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	s := settingsFor(t, job(), model.LabelSet{"__address__": model.LabelValue(address), "__scrape_timeout__": "20ms"})
	_, err := fetch(t, s)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestReadAll(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	for _, buf := range [][]byte{nil, make([]byte, 0, 1), make([]byte, 0, len(text)), make([]byte, 0, 2*len(text))} {
		body, err := readAll(buf, iotest.HalfReader(strings.NewReader(text)), 0)
		require.NoError(t, err)
		require.Equal(t, text, string(body))
		require.Greater(t, cap(body), len(body))
	}
	_, err := readAll(nil, iotest.TimeoutReader(strings.NewReader(text)), 0)
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

func TestBodyBuffers(t *testing.T) {
	for _, size := range []int{0, 1, minBody, minBody + 1, 100_000, 3 << 20, 1 << 30} {
		class := bodyClass(size)
		require.True(t, class == bodyClasses-1 || minBody<<class >= size, size)
		if size > 1<<24 {
			continue
		}
		for range 3 {
			b := getBody(size)
			require.GreaterOrEqual(t, cap(*b), min(size, minBody<<class))
			require.Empty(t, *b)
			putBody(b)
		}
	}
}
