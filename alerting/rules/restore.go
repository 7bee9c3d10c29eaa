package rules

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage"
)

// maxUnixSeconds is the end of the year 9999.
const maxUnixSeconds = 253402300799

// restoreAlerts takes over since when alerts have been active from what a
// former process wrote. It is tried once: if the store cannot be read, alerts
// begin anew.
func (g *group) restoreAlerts(ctx context.Context, now time.Time) {
	g.restore = false
	began := time.Now()
	defer func() {
		g.shared.metrics.restoreDuration.WithLabelValues(groupKey(g.file, g.spec.Name)).Set(time.Since(began).Seconds())
	}()
	q, err := g.Store.Querier(now.Add(-g.OutageTolerance).UnixMilli(), now.UnixMilli())
	if err != nil {
		g.logger.Error("opening storage to restore alerts", "err", err)
	} else {
		defer q.Close()
	}
	for _, r := range g.rules {
		a, ok := r.(*alertingRule)
		if !ok {
			continue
		}
		if q != nil {
			if err := a.restore(ctx, q, now); err != nil {
				g.logger.Error("restoring alerts", "alert", a.name, "err", err)
			}
		}
		a.restored = true
	}
}

// restore takes over the records of the rule's alerts.
func (r *alertingRule) restore(ctx context.Context, q storage.Querier, now time.Time) error {
	r.alerts.Lock()
	defer r.alerts.Unlock()
	if r.alerts.Len() == 0 && r.keepFiringFor == 0 {
		return nil
	}
	records, err := readRecords(ctx, q, r.recordMatchers())
	if err != nil {
		return err
	}
	byLabels := make(map[string]state.Record, len(records))
	for _, record := range records {
		byLabels[string(record.Labels.Bytes(nil))] = record
	}
	restored := r.alerts.Restore(now, r.hold, r.shared.ForGracePeriod, func(ls labels.Labels) (state.Record, bool) {
		record, ok := byLabels[string(ls.Bytes(nil))]
		return record, ok
	})
	continued := r.alerts.Continued(state.Policy{For: r.hold, KeepFiringFor: r.keepFiringFor}, now, records)
	for _, record := range continued {
		r.alerts.Continue(record, r.annotationsOf(ctx, record.Labels, now), now)
	}
	r.logger.Debug("alerts restored", "restored", restored, "continued", len(continued))
	return nil
}

// annotationsOf expands the annotations of an alert that no evaluation of this
// process has seen: its labels are known, its value is not.
func (r *alertingRule) annotationsOf(ctx context.Context, ls labels.Labels, now time.Time) labels.Labels {
	sample := alerting.Sample{Labels: ls, V: math.NaN()}
	e := &evaluation{slot: now, liveConfig: r.shared.live.Load()}
	return r.observe(ctx, alerting.Vector{sample}, e)[0].Annotations
}

// recordMatchers returns what matches the ALERTS_FOR_STATE series of the rule.
// Labels that are templates are left out, since the series have their results.
func (r *alertingRule) recordMatchers() []*labels.Matcher {
	matchers := []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, forStateMetric),
		labels.MustNewMatcher(labels.MatchEqual, labels.AlertName, r.name),
	}
	r.labels.Range(func(l labels.Label) {
		if l.Name != labels.AlertName && !strings.Contains(l.Value, "{{") {
			matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
		}
	})
	return matchers
}

// readRecords returns the last samples of the series that match. Series that
// ended are left out: the alert was not active any more.
func readRecords(ctx context.Context, q storage.Querier, matchers []*labels.Matcher) ([]state.Record, error) {
	var (
		records []state.Record
		set     = q.Select(ctx, nil, matchers...)
		it      storage.BatchIterator
		batch   storage.Batch
		b       = labels.NewBuilder(labels.EmptyLabels())
	)
	for set.Next() {
		series := set.At()
		var (
			t     int64
			v     = math.NaN()
			found bool
		)
		for it = series.Batches(it); it.Next(&batch); {
			if n := batch.Len(); batch.Kind == storage.KindFloat && n > 0 {
				t, v, found = batch.Times[n-1], batch.Values[n-1], true
			}
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		// A value that is no time, as of a series somebody else made, is as good
		// as none. The comparison is false for NaN as well, of which the
		// staleness marker is one.
		if !found || !(math.Abs(v) <= maxUnixSeconds) {
			continue
		}
		b.Reset(series.Labels())
		b.Del(model.MetricNameLabel)
		records = append(records, state.Record{
			Labels: b.Labels(),
			// Whole seconds on both ends, so that the time spent pending is whole.
			ActiveAt: time.Unix(int64(v), 0).UTC(),
			LastSeen: time.Unix(t/1000, 0).UTC(),
		})
	}
	return records, set.Err()
}
