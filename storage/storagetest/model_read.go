package storagetest

import (
	"context"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// Querier takes a snapshot.
func (m *Model) Querier(mint, maxt int64) (storage.Querier, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return nil, storage.ErrClosed
	}
	return &modelQuerier{mint: mint, maxt: maxt, series: m.snapshotLocked(mint, maxt)}, nil
}

// modelQuerier is a copy of what matched the range when it was opened.
type modelQuerier struct {
	mint, maxt int64
	series     []modelSeries
}

func (q *modelQuerier) matching(ms []*labels.Matcher) []modelSeries {
	var out []modelSeries
	for _, s := range q.series {
		if len(s.samples) > 0 && Matches(s.labels, ms) {
			out = append(out, s)
		}
	}
	return out
}

func (q *modelQuerier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := &modelSeriesSet{at: -1, err: ctx.Err()}
	mint, maxt, limit := q.mint, q.maxt, 0
	if hints != nil {
		limit = hints.Limit
		if hints.Mint != 0 || hints.Maxt != 0 {
			mint, maxt = max(mint, hints.Mint), min(maxt, hints.Maxt)
		}
	}
	for _, s := range q.matching(ms) {
		c := s
		c.samples = slices.DeleteFunc(slices.Clone(s.samples), func(x Sample) bool { return x.T < mint || x.T > maxt })
		if len(c.samples) > 0 && (limit == 0 || len(set.series) < limit) {
			set.series = append(set.series, c)
		}
	}
	return set
}

func (q *modelQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names := map[string]struct{}{}
	for _, s := range q.matching(ms) {
		s.labels.Range(func(l labels.Label) { names[l.Name] = struct{}{} })
	}
	return limited(names, hints), nil, ctx.Err()
}

func (q *modelQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	values := map[string]struct{}{}
	for _, s := range q.matching(ms) {
		if v := s.labels.Get(name); v != "" {
			values[v] = struct{}{}
		}
	}
	return limited(values, hints), nil, ctx.Err()
}

func limited(set map[string]struct{}, hints *storage.LabelHints) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	slices.Sort(out)
	if hints != nil && hints.Limit > 0 && len(out) > hints.Limit {
		out = out[:hints.Limit]
	}
	return out
}

func (q *modelQuerier) Exemplars(ctx context.Context, selectors ...[]*labels.Matcher) ([]storage.ExemplarSeries, error) {
	var out []storage.ExemplarSeries
	for _, s := range q.series {
		if !slices.ContainsFunc(selectors, func(ms []*labels.Matcher) bool { return Matches(s.labels, ms) }) {
			continue
		}
		in := slices.DeleteFunc(slices.Clone(s.exemplars), func(e exemplar.Exemplar) bool { return e.Ts < q.mint || e.Ts > q.maxt })
		if len(in) > 0 {
			out = append(out, storage.ExemplarSeries{Labels: s.labels, Exemplars: in})
		}
	}
	return out, ctx.Err()
}

func (q *modelQuerier) Metadata(ctx context.Context, name string) (map[string][]metadata.Metadata, error) {
	out := map[string][]metadata.Metadata{}
	for _, s := range q.series {
		metric := s.labels.Get(model.MetricNameLabel)
		if s.metadata.IsEmpty() || (name != "" && name != metric) || slices.Contains(out[metric], s.metadata) {
			continue
		}
		out[metric] = append(out[metric], s.metadata)
	}
	return out, ctx.Err()
}

func (q *modelQuerier) Close() error { return nil }

type modelSeriesSet struct {
	series []modelSeries
	at     int
	err    error
}

func (s *modelSeriesSet) Next() bool {
	if s.err != nil || s.at+1 >= len(s.series) {
		return false
	}
	s.at++
	return true
}

func (s *modelSeriesSet) At() storage.Series                { return &s.series[s.at] }
func (s *modelSeriesSet) Err() error                        { return s.err }
func (s *modelSeriesSet) Warnings() annotations.Annotations { return nil }

// Labels returns the labels of the series.
func (s *modelSeries) Labels() labels.Labels { return s.labels }

// Batches returns the samples, a batch for each run of one kind.
func (s *modelSeries) Batches(storage.BatchIterator) storage.BatchIterator {
	return &modelBatches{rest: s.samples}
}

type modelBatches struct{ rest []Sample }

func (b *modelBatches) Err() error { return nil }

func (b *modelBatches) Next(out *storage.Batch) bool {
	if len(b.rest) == 0 {
		return false
	}
	n := 1
	for n < len(b.rest) && b.rest[n].Kind() == b.rest[0].Kind() {
		n++
	}
	run := b.rest[:n]
	b.rest = b.rest[n:]
	*out = storage.Batch{
		Kind: run[0].Kind(), Values: out.Values[:0],
		Histograms: out.Histograms[:0], FloatHistograms: out.FloatHistograms[:0],
	}
	starts := false
	for i := range run {
		out.Times = append(out.Times, run[i].T)
		out.StartTimes = append(out.StartTimes, run[i].ST)
		starts = starts || run[i].ST != 0
		switch out.Kind {
		case storage.KindHistogram:
			out.Histograms = append(out.Histograms, run[i].H)
		case storage.KindFloatHistogram:
			out.FloatHistograms = append(out.FloatHistograms, run[i].FH)
		default:
			out.Values = append(out.Values, run[i].V)
		}
	}
	if !starts {
		out.StartTimes = nil
	}
	return true
}
