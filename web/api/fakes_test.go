package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
)

// upstreamFakes shows the fixture in the shapes that upstream's API wants.
type upstreamFakes struct{ *fixture }

func (f *upstreamFakes) ScrapePools() []string { return slices.Collect(maps.Keys(f.pools)) }

func (f *upstreamFakes) TargetsActive() map[string][]*scrape.Target  { return f.targets }
func (f *upstreamFakes) TargetsDropped() map[string][]*scrape.Target { return f.dropped }
func (f *upstreamFakes) TargetsDroppedCounts() map[string]int {
	return map[string]int{"node": 1, "api": 3}
}
func (f *upstreamFakes) ScrapePoolConfig(pool string) (*config.ScrapeConfig, error) {
	c, ok := f.pools[pool]
	if !ok {
		return nil, fmt.Errorf("scrape pool %q not found", pool)
	}
	return c, nil
}
func (f *upstreamFakes) Alertmanagers() []*url.URL {
	return []*url.URL{{Scheme: "http", Host: "am:9093", Path: "/api/v2/alerts"}}
}
func (f *upstreamFakes) DroppedAlertmanagers() []*url.URL {
	return []*url.URL{{Scheme: "http", Host: "old:9093", Path: "/a", RawQuery: "b=1&c=2"}}
}
func (f *upstreamFakes) RuleGroups() []*rules.Group { return f.groups }
func (f *upstreamFakes) AlertingRules() (list []*rules.AlertingRule) {
	for _, g := range f.groups {
		list = append(list, g.AlertingRules()...)
	}
	return list
}

var errTombstones = errors.New("clean tombstones: block <x> is broken")

func (f *upstreamFakes) CleanTombstones() error { return errTombstones }
func (f *upstreamFakes) Delete(context.Context, int64, int64, ...*labels.Matcher) error {
	return nil
}
func (f *upstreamFakes) Snapshot(string, bool) error { return errors.New("no space") }
func (f *upstreamFakes) Stats(_ string, limit int) (*tsdb.Stats, error) {
	return &tsdb.Stats{NumSeries: 20, MinTime: -1, MaxTime: 600000, IndexPostingStats: &index.PostingsStats{
		CardinalityMetricsStats: []index.Stat{{Name: "up", Count: 2}, {Name: "<odd>", Count: 1}}[:min(2, limit)],
		CardinalityLabelStats:   []index.Stat{{Name: "job", Count: 3}},
		NumLabelPairs:           33,
	}}, nil
}
func (f *upstreamFakes) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{Min: 1, Max: 9, Current: 4}, nil
}
func (f *upstreamFakes) BlockMetas() ([]tsdb.BlockMeta, error) { return fixtureBlocks, nil }

// handler returns our API over the fixture. change may change its options.
func (f *fixture) handler(change func(*Options)) http.Handler {
	fakes := &ourFakes{f}
	opts := Options{
		Engine: fakes, Storage: f.model, Parser: f.parser,
		Targets: fakes, Rules: fakes, Alertmanagers: fakes, TSDB: fakes, Admin: fakes,
		Features: fixtureFeatures(),
		Config: func() string {
			c, err := config.Load(fixtureConfig, nil)
			if err != nil {
				panic(err)
			}
			return c.String()
		},
		Flags:         fixtureFlags,
		BuildInfo:     BuildInfo(fixtureVersion),
		CORSOrigin:    regexp.MustCompile("^(?:https://good.example)$"),
		ExternalURL:   externalURL,
		ListenAddress: listenAddress,
		Gatherer:      prometheus.NewRegistry(),
		Now:           func() time.Time { return at(600) },
	}
	if change != nil {
		change(&opts)
	}
	return serveMux(New(opts))
}

// serveMux registers the API below /api/v1, without what package web adds.
func serveMux(a *API) http.Handler {
	mux := http.NewServeMux()
	a.Register(func(method, pattern, _ string, h http.Handler) {
		mux.Handle(method+" /api/v1"+pattern, h)
	})
	return mux
}

// ourFakes shows the fixture in the shapes that our API wants.
type ourFakes struct{ *fixture }

func (f *ourFakes) Instant(ctx context.Context, expr string, t time.Time, opts QueryOptions) (*Result, error) {
	q, err := f.engine.NewInstantQuery(ctx, f.storage, promql.NewPrometheusQueryOpts(opts.PerStepStats, opts.LookbackDelta), expr, t)
	return execute(ctx, q, err)
}

func (f *ourFakes) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration, opts QueryOptions) (*Result, error) {
	q, err := f.engine.NewRangeQuery(ctx, f.storage, promql.NewPrometheusQueryOpts(opts.PerStepStats, opts.LookbackDelta), expr, start, end, step)
	return execute(ctx, q, err)
}

func execute(ctx context.Context, q promql.Query, err error) (*Result, error) {
	if err != nil {
		return nil, &QueryError{QueryInvalid, err}
	}
	res := q.Exec(ctx)
	if res.Err != nil {
		defer q.Close()
		var canceled promql.ErrQueryCanceled
		var timeout promql.ErrQueryTimeout
		var failed promql.ErrStorage
		switch {
		case errors.As(res.Err, &canceled):
			return nil, &QueryError{QueryCanceled, res.Err}
		case errors.As(res.Err, &timeout):
			return nil, &QueryError{QueryTimedOut, res.Err}
		case errors.As(res.Err, &failed):
			return nil, &QueryError{QueryStorageFailed, res.Err}
		default:
			return nil, &QueryError{QueryFailed, res.Err}
		}
	}
	out := convertValue(res.Value)
	out.Annotations = res.Warnings
	out.Stats = convertStats(q.Stats())
	out.Release = q.Close
	return out, nil
}

func convertValue(value parser.Value) *Result {
	out := &Result{Type: value.Type()}
	switch v := value.(type) {
	case promql.Vector:
		for _, s := range v {
			out.Vector = append(out.Vector, Sample{Metric: s.Metric, T: s.T, F: s.F, H: s.H})
		}
	case promql.Matrix:
		for _, s := range v {
			series := Series{Metric: s.Metric}
			for _, p := range s.Floats {
				series.Floats = append(series.Floats, FloatPoint(p))
			}
			for _, p := range s.Histograms {
				series.Histograms = append(series.Histograms, HistogramPoint(p))
			}
			out.Matrix = append(out.Matrix, series)
		}
	case promql.Scalar:
		out.Scalar = FloatPoint{T: v.T, F: v.V}
	case promql.String:
		out.String = StringPoint(v)
	}
	return out
}

func convertStats(s *stats.Statistics) *QueryStats {
	b := stats.NewQueryStats(s).Builtin()
	seconds := func(f float64) time.Duration { return time.Duration(math.Round(f * float64(time.Second))) }
	steps := func(counts *stats.TotalSamplesPerStep) (list []StepStat) {
		if counts == nil {
			return nil
		}
		for _, t := range slices.Sorted(maps.Keys(*counts)) {
			list = append(list, StepStat{T: t, V: int64((*counts)[t])})
		}
		return list
	}
	return &QueryStats{
		EvalTotal:        seconds(b.Timings.EvalTotalTime),
		ResultSort:       seconds(b.Timings.ResultSortTime),
		QueryPreparation: seconds(b.Timings.QueryPreparationTime),
		InnerEval:        seconds(b.Timings.InnerEvalTime),
		ExecQueue:        seconds(b.Timings.ExecQueueTime),
		ExecTotal:        seconds(b.Timings.ExecTotalTime),
		Samples: &SampleStats{
			TotalQueryable:        b.Samples.TotalQueryableSamples,
			Read:                  b.Samples.SamplesRead,
			Peak:                  int64(b.Samples.PeakSamples),
			TotalQueryablePerStep: steps(s.Samples.TotalSamplesPerStepMap()),
			ReadPerStep:           steps(s.Samples.SamplesReadPerStepMap()),
		},
	}
}

func (f *ourFakes) ScrapePools() []string { return (&upstreamFakes{f.fixture}).ScrapePools() }

func (f *ourFakes) ActiveTargets() map[string][]Target {
	out := map[string][]Target{}
	b := labels.NewBuilder(labels.EmptyLabels())
	for pool, list := range f.targets {
		for _, t := range list {
			target := Target{
				DiscoveredLabels:   t.DiscoveredLabels(b),
				Labels:             t.Labels(b),
				URL:                t.URL().String(),
				LastScrape:         t.LastScrape(),
				LastScrapeDuration: t.LastScrapeDuration(),
				Health:             string(t.Health()),
				ScrapeInterval:     t.GetValue(model.ScrapeIntervalLabel),
				ScrapeTimeout:      t.GetValue(model.ScrapeTimeoutLabel),
			}
			if err := t.LastError(); err != nil {
				target.LastError = err.Error()
			}
			out[pool] = append(out[pool], target)
		}
	}
	return out
}

func (f *ourFakes) DroppedTargets() map[string][]labels.Labels {
	out := map[string][]labels.Labels{}
	for pool, list := range f.dropped {
		for _, t := range list {
			out[pool] = append(out[pool], t.DiscoveredLabels(labels.NewBuilder(labels.EmptyLabels())))
		}
	}
	return out
}

func (f *ourFakes) DroppedTargetCounts() map[string]int {
	return (&upstreamFakes{f.fixture}).TargetsDroppedCounts()
}

func (f *ourFakes) ScrapePoolConfig(pool string) (ScrapePoolConfig, error) {
	c, err := (&upstreamFakes{f.fixture}).ScrapePoolConfig(pool)
	if err != nil {
		return ScrapePoolConfig{}, err
	}
	text, err := yaml.Marshal(c)
	return ScrapePoolConfig{YAML: string(text), Relabel: c.RelabelConfigs}, err
}

func (f *ourFakes) TargetMetadata(metric string) iter.Seq2[labels.Labels, []FamilyMetadata] {
	return func(yield func(labels.Labels, []FamilyMetadata) bool) {
		for _, pool := range slices.Sorted(maps.Keys(f.targets)) {
			for _, t := range f.targets[pool] {
				var list []FamilyMetadata
				for _, m := range t.ListMetadata() {
					if metric == "" || metric == m.MetricFamily {
						list = append(list, FamilyMetadata{m.MetricFamily, metadata.Metadata{Type: m.Type, Help: m.Help, Unit: m.Unit}})
					}
				}
				if !yield(t.Labels(labels.NewBuilder(labels.EmptyLabels())), list) {
					return
				}
			}
		}
	}
}

func (f *ourFakes) RuleGroups(withAlerts bool) []RuleGroup {
	var out []RuleGroup
	for _, g := range f.groups {
		group := RuleGroup{
			Name: g.Name(), File: g.File(), Interval: g.Interval(), Limit: g.Limit(),
			EvaluationTime: g.GetEvaluationTime(), LastEvaluation: g.GetLastEvaluation(),
		}
		for _, r := range g.Rules() {
			group.Rules = append(group.Rules, convertRule(r, withAlerts))
		}
		out = append(out, group)
	}
	return out
}

func convertRule(r rules.Rule, withAlerts bool) Rule {
	out := Rule{
		Name: r.Name(), Query: r.Query().String(), Labels: r.Labels(), Health: string(r.Health()),
		EvaluationTime: r.GetEvaluationDuration(), LastEvaluation: r.GetEvaluationTimestamp(),
	}
	if err := r.LastError(); err != nil {
		out.LastError = err.Error()
	}
	a, ok := r.(*rules.AlertingRule)
	if !ok {
		return out
	}
	out.Kind = AlertingRule
	out.State = a.State().String()
	out.HoldDuration, out.KeepFiringFor = a.HoldDuration(), a.KeepFiringFor()
	out.Annotations = a.Annotations()
	if withAlerts {
		for _, x := range a.ActiveAlerts() {
			out.Alerts = append(out.Alerts, Alert{
				Labels: x.Labels, Annotations: x.Annotations, State: x.State.String(),
				ActiveAt: x.ActiveAt, KeepFiringSince: x.KeepFiringSince, Value: x.Value,
			})
		}
	}
	return out
}

func (f *ourFakes) Alertmanagers() []string {
	return texts((&upstreamFakes{f.fixture}).Alertmanagers())
}
func (f *ourFakes) DroppedAlertmanagers() []string {
	return texts((&upstreamFakes{f.fixture}).DroppedAlertmanagers())
}

func texts(urls []*url.URL) (out []string) {
	for _, u := range urls {
		out = append(out, u.String())
	}
	return out
}

func (f *ourFakes) Stats(_ context.Context, limit int) (TSDBStats, error) {
	s, err := (&upstreamFakes{f.fixture}).Stats("", limit)
	convert := func(in []index.Stat) (out []Cardinality) {
		for _, x := range in {
			out = append(out, Cardinality{x.Name, x.Count})
		}
		return out
	}
	return TSDBStats{
		NumSeries: s.NumSeries, NumLabelPairs: s.IndexPostingStats.NumLabelPairs, ChunkCount: 42,
		MinTime: s.MinTime, MaxTime: s.MaxTime,
		SeriesByMetricName: convert(s.IndexPostingStats.CardinalityMetricsStats),
		ValuesByLabelName:  convert(s.IndexPostingStats.CardinalityLabelStats),
	}, err
}

func (f *ourFakes) Blocks(context.Context) ([]Block, error) {
	var out []Block
	for _, m := range fixtureBlocks {
		b := Block{
			ULID: m.ULID.String(), MinTime: m.MinTime, MaxTime: m.MaxTime, Version: m.Version,
			Stats: BlockStats{m.Stats.NumSamples, m.Stats.NumFloatSamples, m.Stats.NumHistogramSamples, m.Stats.NumSeries, m.Stats.NumChunks, m.Stats.NumTombstones},
			Compaction: BlockCompaction{
				Level: m.Compaction.Level, Deletable: m.Compaction.Deletable,
				Failed: m.Compaction.Failed, Hints: m.Compaction.Hints,
			},
		}
		for _, s := range m.Compaction.Sources {
			b.Compaction.Sources = append(b.Compaction.Sources, s.String())
		}
		for _, p := range m.Compaction.Parents {
			b.Compaction.Parents = append(b.Compaction.Parents, BlockParent{p.ULID.String(), p.MinTime, p.MaxTime})
		}
		out = append(out, b)
	}
	return out, nil
}

func (f *ourFakes) WALReplay() WALReplay { return WALReplay{Min: 1, Max: 9, Current: 4} }

func (f *ourFakes) Delete(context.Context, int64, int64, ...*labels.Matcher) error { return nil }
func (f *ourFakes) CleanTombstones(context.Context) error                          { return errTombstones }
func (f *ourFakes) Snapshot(context.Context, string, bool) error                   { return errors.New("no space") }

// TestFakesAgree makes sure that the two views of the fixture show something.
func TestFakesAgree(t *testing.T) {
	f := newFixture(t)
	groups := (&ourFakes{f}).RuleGroups(true)
	require.Len(t, groups, 3)
	require.NotEmpty(t, groups[0].Rules[0].Alerts)
	require.Equal(t, "firing", groups[0].Rules[0].State)
	require.True(t, strings.HasPrefix((&ourFakes{f}).ActiveTargets()["node"][0].URL, "https://localhost"))
}
