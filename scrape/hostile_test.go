package scrape

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// bomb returns size bytes of comments, compressed.
func bomb(t testing.TB, encoding string, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	if encoding == gzipEncoding {
		w, err = gzip.NewWriterLevel(&b, gzip.BestCompression)
	} else {
		w, err = zstd.NewWriter(&b)
	}
	require.NoError(t, err)
	line := []byte("#" + strings.Repeat(" ", 1<<16) + "\n")
	for n := 0; n < size; n += len(line) {
		_, err = w.Write(line)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// TestBombsAreBounded scrapes bodies of kilobytes that become 256 MiB.
func TestBombsAreBounded(t *testing.T) {
	const plain, limit = 256 << 20, 1 << 20
	for _, encoding := range []string{gzipEncoding, zstdEncoding} {
		body := bomb(t, encoding, plain)
		require.Less(t, len(body), limit/2, "the bomb has to get past the limit of the compressed body")
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", encoding)
			_, _ = w.Write(body)
		})
		s := settingsFor(t, job("body_size_limit: 1MB"), model.LabelSet{"__address__": model.LabelValue(address)})
		require.EqualValues(t, limit, s.bodySizeLimit)
		_, _, err := s.fetch(context.Background(), nil) // pools get what they keep
		require.ErrorIs(t, err, errBodySizeLimit)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, _, err := s.fetch(context.Background(), nil)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, errBodySizeLimit, encoding)
		require.LessOrEqual(t, cap(got), 4*limit)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16*limit), "allocated for %s", encoding)
	}
}

// TestDecompressionEndsWithTheScrape has a bomb without a limit of its size.
func TestDecompressionEndsWithTheScrape(t *testing.T) {
	for _, encoding := range []string{gzipEncoding, zstdEncoding} {
		body := bomb(t, encoding, 64<<20)
		ctx, cancel := context.WithCancel(context.Background())
		d := new(decompressor)
		got, err := d.decode(ctx, nil, body, encoding, 0)
		require.NoError(t, err)
		require.Greater(t, len(got), 64<<20)
		cancel()
		_, err = d.decode(ctx, nil, body, encoding, 0)
		require.ErrorIs(t, err, context.Canceled)
		got, err = d.decode(context.Background(), nil, body, encoding, 0)
		require.NoError(t, err, "a decompressor can be used again after an error")
		require.Greater(t, len(got), 64<<20)
	}
}

// hostile are targets that do what they can, with the class that their scrapes
// fail with.
func hostile(t *testing.T) map[string]struct {
	class FailureClass
	serve http.HandlerFunc
} {
	encoded := func(encoding string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", encoding)
			_, _ = w.Write(body)
		}
	}
	plain := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body)
		}
	}
	trickle := func(encoding, text string, pause time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", encoding)
			for {
				if _, err := io.WriteString(w, text); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(pause):
				}
			}
		}
	}
	var wide bytes.Buffer
	z, err := zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20))
	require.NoError(t, err)
	for range 100 { // more than one block, so that the frame says its window
		_, _ = z.Write(bytes.Repeat([]byte("# x\n"), 1<<14))
		_ = z.Flush()
	}
	require.NoError(t, z.Close())
	return map[string]struct {
		class FailureClass
		serve http.HandlerFunc
	}{
		"gzip bomb":     {FailureBodySize, encoded(gzipEncoding, bomb(t, gzipEncoding, 64<<20))},
		"zstd bomb":     {FailureBodySize, encoded(zstdEncoding, bomb(t, zstdEncoding, 64<<20))},
		"zstd window":   {FailureEncoding, encoded(zstdEncoding, wide.Bytes())},
		"no gzip":       {FailureEncoding, encoded(gzipEncoding, []byte("x 1\n"))},
		"no zstd":       {FailureEncoding, encoded(zstdEncoding, []byte("x 1\n"))},
		"endless":       {FailureBodySize, trickle("", strings.Repeat("# nothing\n", 1000), 0)},
		"endless gzip":  {FailureBodySize, trickle(gzipEncoding, strings.Repeat("\x1f\x8b", 1000), 0)},
		"slow":          {FailureTimeout, trickle("", "x", 20*time.Millisecond)},
		"slow gzip":     {FailureTimeout, trickle(gzipEncoding, "x", 20*time.Millisecond)},
		"content type":  {FailureParse, plain("text/html", "x 1\n")},
		"invalid UTF-8": {FailureParse, plain("text/plain", "x{a=\"\xff\"} 1\n")},
		"one long line": {FailureParse, plain("text/plain", strings.Repeat("x", 500_000))},
		"redirects":     {FailureConnect, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }},
		"status":        {FailureStatus, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }},
		"hangs up":      {FailureConnect, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"shorter": {FailureConnect, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			_, _ = io.WriteString(w, "x 1\n")
			panic(http.ErrAbortHandler)
		}},
	}
}

// TestHostileTargetsLeaveOthersAlone scrapes a good target among hostile ones.
func TestHostileTargetsLeaveOthersAlone(t *testing.T) {
	bad := hostile(t)
	quiet := func(server *httptest.Server) {
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	}
	groups := map[string][]*targetgroup.Group{"plain": nil, "tls": nil}
	add := func(job, name, address string) {
		groups[job] = append(groups[job], &targetgroup.Group{Source: name, Targets: []model.LabelSet{{"__address__": model.LabelValue(address), "instance": model.LabelValue(name)}}})
	}
	for name, target := range bad {
		server := httptest.NewUnstartedServer(target.serve)
		quiet(server)
		server.Start()
		t.Cleanup(server.Close)
		add("plain", name, server.Listener.Addr().String())
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	quiet(secure)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	add("tls", "unknown authority", secure.Listener.Addr().String())
	good := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "x 1\n")
	})
	add("plain", "good", good)
	add("tls", "no TLS", good)

	store := storagetest.NewModel(0)
	m, err := New(Options{ReloadInterval: time.Nanosecond}, store)
	require.NoError(t, err)
	cfg := loadJobs(t, "global: {scrape_interval: 200ms, scrape_timeout: 150ms, body_size_limit: 1MB}\n"+
		"scrape_configs: [{job_name: plain}, {job_name: tls, scheme: https}]")
	require.NoError(t, m.ApplyConfig(cfg, SeriesLimits{}))
	ctx, cancel := context.WithCancel(context.Background())
	updates := make(chan map[string][]*targetgroup.Group)
	var run sync.WaitGroup
	run.Go(func() { require.NoError(t, m.Run(ctx, updates)) })
	updates <- groups

	targets := func() map[string]*Target {
		all := map[string]*Target{}
		for _, list := range m.TargetsActive() {
			for _, target := range list {
				all[target.Labels().Get(model.InstanceLabel)] = target
			}
		}
		return all
	}
	var found map[string]*Target
	const scrapes = 5
	require.Eventually(t, func() bool {
		found = targets()
		for _, target := range found {
			if len(target.Records()) < scrapes {
				return false
			}
		}
		return len(found) == len(bad)+3
	}, 30*time.Second, 20*time.Millisecond)
	cancel()
	run.Wait()

	want := map[string]FailureClass{"good": NoFailure, "unknown authority": FailureTLS, "no TLS": FailureTLS}
	for name, target := range bad {
		want[name] = target.class
	}
	for name, class := range want {
		for _, r := range found[name].Records() {
			require.Equal(t, class.String(), r.Class.String(), "%s: %v", name, r.Err)
			require.Equal(t, class == NoFailure, r.Err == nil, name)
			require.Less(t, r.Duration, 5*time.Second, name)
		}
	}
	content := storagetest.ReadAll(t, store)
	for name := range bad {
		require.NotEmpty(t, content[fmt.Sprintf(`{__name__="up", instance=%q, job="plain"}`, name)], name)
		require.Empty(t, content[fmt.Sprintf(`{__name__="x", instance=%q, job="plain"}`, name)], name)
	}
	require.GreaterOrEqual(t, len(content[`{__name__="x", instance="good", job="plain"}`]), scrapes)
}
