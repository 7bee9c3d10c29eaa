package scrape

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	upstream "github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/logging"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
)

// row is what one scrape stored, by series. The times in it are 0.
type row map[string]taped

// rowsOf puts samples into rows by their timestamps, as many as there are
// values of up. Samples between two scrapes have timestamps of their own; they
// are added with their timestamp.
func rowsOf(samples map[string][]taped) []row {
	var rows []row
	at := map[int64]int{}
	for _, s := range samples[up] {
		at[s.t] = len(rows)
		rows = append(rows, row{})
	}
	for series, list := range samples {
		if series == `{__name__="scrape_duration_seconds", instance="a:1", job="test"}` {
			continue
		}
		for _, s := range list {
			t := s.t
			s.t = 0
			if i, ok := at[t]; ok {
				rows[i][series] = s
			} else if len(rows) > 0 {
				rows[0][fmt.Sprintf("%s@%d", series, t)] = s
			}
		}
	}
	return rows
}

// script answers the scrapes of a target one after the other.
type script struct {
	answers []answer
	n       atomic.Int32 // scrapes so far
}

func (s *script) next() answer {
	if n := int(s.n.Add(1)); n <= len(s.answers) {
		return s.answers[n-1]
	}
	return answer{status: http.StatusGone}
}

// features are what the command line turns on for all jobs.
type features struct{ startTimestamps, typeAndUnitLabels, openMetrics2 bool }

// scrapeUpstream lets Prometheus scrape the answers and returns what it stored.
func scrapeUpstream(t *testing.T, yaml string, f features, answers []answer) (rows []row) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: answers}
		dial := serveInMemory(t, func(w http.ResponseWriter, _ *http.Request) {
			a := s.next()
			if w.Header().Set("Content-Type", a.contentType); a.contentType == "" {
				w.Header().Set("Content-Type", plainType)
			}
			w.WriteHeader(max(a.status, http.StatusOK))
			_, _ = w.Write([]byte(a.body))
		})
		opts := &upstream.Options{
			DiscoveryReloadOnStartup: true, AppendMetadata: true,
			ParseST: f.startTimestamps, EnableTypeAndUnitLabels: f.typeAndUnitLabels, EnableOpenMetrics2: f.openMetrics2,
			HTTPClientOptions: []config_util.HTTPClientOption{config_util.WithDialContextFunc(dial)},
		}
		// Otherwise it asks the DNS for the name of the machine.
		setPrivate(opts, "skipJitterOffsetting", true)
		store := teststorage.NewAppendable()
		m, err := upstream.NewManager(opts, slog.New(slog.DiscardHandler),
			func(string) (*logging.JSONFileLogger, error) { return nil, nil }, nil, store, prometheus.NewRegistry())
		require.NoError(t, err)
		require.NoError(t, m.ApplyConfig(loadJobs(t, yaml)))
		groups := make(chan map[string][]*targetgroup.Group)
		var run sync.WaitGroup
		run.Go(func() { _ = m.Run(groups) })
		groups <- oneTarget()
		wait(time.Duration(len(answers))*10*time.Second - 5*time.Second)
		m.Stop()
		run.Wait()
		rows = rowsOf(committed(store))
	})
	return rows
}

// committed returns what a store would have of the samples: of several with the
// same timestamp the first one.
func committed(store *teststorage.Appendable) map[string][]taped {
	tp := newTape()
	for _, s := range store.ResultSamples() {
		series, exemplars := s.L.String(), ""
		for i := range s.ES {
			exemplars += exemplarText(&s.ES[i])
		}
		tp.meta[series] = s.M
		tp.add(series, taped{t: s.T, value: valueBits(s.V, s.H, s.FH), start: s.ST, exemplars: exemplars})
	}
	return tp.samples
}

// setPrivate sets a field of a struct of another package.
func setPrivate(of any, field string, to any) {
	f := reflect.ValueOf(of).Elem().FieldByName(field)
	reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Set(reflect.ValueOf(to))
}

func oneTarget() map[string][]*targetgroup.Group {
	return map[string][]*targetgroup.Group{"test": {{Source: "0", Targets: []model.LabelSet{{model.AddressLabel: "a:1"}}}}}
}

// scrapeOurs is scrapeUpstream with this package.
func scrapeOurs(t *testing.T, yaml string, f features, answers []answer) (rows []row) {
	synctest.Test(t, func(t *testing.T) {
		tp := newTape()
		w := startWith(t, tp, yaml, func(o *Options) {
			o.StartTimestamps, o.TypeAndUnitLabels, o.OpenMetrics2 = f.startTimestamps, f.typeAndUnitLabels, f.openMetrics2
		})
		s := &script{answers: answers}
		w.answer("a:1", func(*http.Request) answer { return s.next() })
		w.groups <- oneTarget()
		// The first slot is within an interval.
		for int(s.n.Load()) < len(answers) {
			wait(time.Second)
		}
		w.stop()
		rows = rowsOf(tp.samples)
	})
	return rows
}

const plainType = "text/plain; version=0.0.4; charset=utf-8"

// serveInMemory starts an HTTP server without a port and returns how to reach
// it.
func serveInMemory(t *testing.T, h http.HandlerFunc) func(context.Context, string, string) (net.Conn, error) {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pipes is a listener for connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// TestStoresWhatPrometheusStores scrapes the same answers with both.
func TestStoresWhatPrometheusStores(t *testing.T) {
	for name, lines := range map[string][]string{
		"plain":             nil,
		"extra":             {"extra_scrape_metrics: true"},
		"honor labels":      {"honor_labels: true"},
		"own timestamps":    {"honor_timestamps: false"},
		"sample limit":      {"sample_limit: 12"},
		"label limit":       {"label_limit: 4"},
		"value limit":       {"label_value_length_limit: 5"},
		"body limit":        {"body_size_limit: 400B", "extra_scrape_metrics: true"},
		"drop":              {"metric_relabel_configs: [{source_labels: [__name__], regex: 'm[0-3].*', action: drop}]"},
		"labeldrop":         {"metric_relabel_configs: [{regex: 'a', action: labeldrop}]"},
		"rename":            {"metric_relabel_configs: [{source_labels: [a], regex: '1', target_label: __name__, replacement: one}]"},
		"no name":           {"metric_relabel_configs: [{source_labels: [a], regex: '3', target_label: __name__, replacement: ''}]"},
		"native":            {"convert_classic_histograms_to_nhcb: true"},
		"native beside":     {"convert_classic_histograms_to_nhcb: true", "always_scrape_classic_histograms: true"},
		"fallback":          {"fallback_scrape_protocol: PrometheusText0.0.4"},
		"legacy validation": {"metric_name_validation_scheme: legacy", "metric_name_escaping_scheme: underscores"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				// Where relabelling merges series, those with timestamps of their
				// own would run into those without, which the store that Prometheus
				// writes to here does not mind.
				answers := randomAnswers(rand.New(rand.NewPCG(seed, 5)), 25, name != "labeldrop" && name != "rename")
				yaml := job(lines...)
				want, got := scrapeUpstream(t, yaml, features{}, answers), scrapeOurs(t, yaml, features{}, answers)
				require.Len(t, want, len(answers))
				require.GreaterOrEqual(t, len(got), len(answers))
				requireSameRows(t, want, got[:len(answers)], answers)
			}
		})
	}
}

// requireSameRows compares rows. If a body is refused after Prometheus has read a
// part of it, Prometheus takes the series of that part for current: it forgets
// their staleness markers and that they are new. Until a body was right again,
// neither is compared.
func requireSameRows(t *testing.T, want, got []row, answers []answer) {
	t.Helper()
	added, scrapedSamples := series("scrape_series_added"), series("scrape_samples_scraped")
	failed := false
	for i := range want {
		refused := want[i][up].value == valueBits(0, nil, nil)
		partly := refused && answers[i].status == 0 && want[i][scrapedSamples].value != valueBits(0, nil, nil)
		if failed = failed || partly; failed {
			for _, r := range []row{want[i], got[i]} {
				delete(r, added)
				maps.DeleteFunc(r, func(_ string, s taped) bool { return s.value == "stale" })
			}
			failed = refused || answers[i].body == ""
		}
		if d := difference(want[i], got[i]); d != "" {
			t.Fatalf("scrape %d differs in%s\n%q\nafter\n%q", i, d, answers[i].body, answers[max(i, 1)-1].body)
		}
	}
}

// difference says in which series two rows differ. Where Prometheus does not tell
// the metadata (it stops at the first series that is not of the announced family,
// like m_created) ours are not compared.
func difference(want, got row) string {
	var b strings.Builder
	for series := range want {
		if want[series].meta == (metadata.Metadata{}) {
			s := got[series]
			s.meta = metadata.Metadata{}
			got[series] = s
		}
		if want[series] != got[series] {
			fmt.Fprintf(&b, "\n%s: want\n\t%+v, got\n\t%+v", series, want[series], got[series])
		}
	}
	for series := range got {
		if _, ok := want[series]; !ok {
			fmt.Fprintf(&b, "\n%s: want none, got %+v", series, got[series])
		}
	}
	return b.String()
}

// randomAnswers returns answers that change a little from one to the next.
func randomAnswers(rng *rand.Rand, n int, timed bool) (answers []answer) {
	present := make([]bool, 40)
	for i := range present {
		present[i] = rng.IntN(4) > 0
	}
	for len(answers) < n {
		for range rng.IntN(4) {
			i := rng.IntN(len(present))
			present[i] = !present[i]
		}
		answers = append(answers, randomAnswer(rng, present, len(answers), timed))
	}
	return answers
}

func randomAnswer(rng *rand.Rand, present []bool, n int, timed bool) answer {
	switch rng.IntN(14) {
	case 0:
		return answer{status: 500}
	case 1:
		return answer{}
	case 2:
		return answer{contentType: "application/x-unknown", body: "m9 1\n"}
	}
	var lines []string
	for i, is := range present {
		if !is {
			continue
		}
		name, label := fmt.Sprintf("m%d", i/6), i%6
		if label == 0 {
			lines = append(lines, fmt.Sprintf("# HELP %s help %d\n# TYPE %s %s", name, rng.IntN(30)/29, name, []string{"counter", "gauge", "untyped"}[i%3]))
		}
		line := fmt.Sprintf("%s{a=%q} %d", name, strings.Repeat(fmt.Sprint(label), 1+label), rng.IntN(5))
		if i%9 == 8 { // with labels that are the target's
			line = fmt.Sprintf("%s{a=%q,job=\"x\",instance=\"y\"} %g", name, fmt.Sprint(label), rng.Float64())
		}
		if timed && i%13 == 12 { // later than all scrapes, and later every time
			line += fmt.Sprint(" ", 946685200123+1000*n)
		}
		lines = append(lines, line)
	}
	if rng.IntN(2) == 0 {
		count := rng.IntN(100)
		lines = append(lines, fmt.Sprintf("# TYPE h histogram\nh_bucket{le=\"1\"} %d\nh_bucket{le=\"+Inf\"} %d\nh_count %d\nh_sum 1.5", count, count+2, count+2))
	}
	if rng.IntN(6) == 0 { // a line twice
		lines = append(lines, lines[rng.IntN(len(lines))])
	}
	if rng.IntN(6) == 0 { // in another order
		rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	}
	if rng.IntN(12) == 0 {
		// At the beginning: see requireSameRows for what Prometheus does with a
		// body that is wrong later.
		lines[0] = []string{"broken{", "m0{a=\"1\" 2", "m0 1 2 3", "# TYPE m0 nothing"}[rng.IntN(4)]
	}
	return answer{body: strings.Join(lines, "\n") + "\n"}
}

func TestAdmissionIsPrometheus(t *testing.T) {
	require.Equal(t, labels.FromStrings("__name__", "up", "instance", "i", "job", "j"),
		syntheticLabels("up", labels.FromStrings("instance", "i", "job", "j")))
}
