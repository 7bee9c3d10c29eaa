package rules

import (
	"context"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// endingDelay is how many intervals after a group was removed its series end.
// A group that took one over has written it by then.
const endingDelay = 2

// writeEnded writes staleness markers at t for the series whose rules are gone,
// except for those that somebody else has written since. It tries again after
// the next evaluation if the store fails.
func (g *group) writeEnded(ctx context.Context, t time.Time) {
	if len(g.ended) == 0 {
		return
	}
	continued, err := g.continued(ctx, t.UnixMilli())
	if err != nil {
		g.logger.Warn("looking for series that go on", "err", err)
		return
	}
	app := g.Store.Appender(ctx)
	for _, ls := range g.ended {
		if _, ok := continued[string(ls.Bytes(nil))]; ok {
			continue
		}
		if _, err := app.Append(0, ls, t.UnixMilli(), staleNaN); err != nil && !isSuperseded(err) {
			g.logger.Warn("ending a series of a former rule", "series", ls.String(), "err", err)
		}
	}
	if err := app.Commit(); err != nil && !isSuperseded(err) {
		g.logger.Warn("ending the series of former rules", "err", err)
		return
	}
	g.ended = nil
}

// continued returns which of the series that are to end have samples at t or
// later. The store refuses a marker for these only if it takes no late samples
// at all; else the marker would cut a hole.
func (g *group) continued(ctx context.Context, t int64) (map[string]struct{}, error) {
	q, err := g.Store.Querier(t, time.Now().Add(g.interval).UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	found := make(map[string]struct{})
	names := make(map[string]struct{})
	for _, ls := range g.ended {
		name := ls.Get(model.MetricNameLabel)
		if _, ok := names[name]; ok {
			continue
		}
		names[name] = struct{}{}
		m := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name)
		set := q.Select(ctx, &storage.SelectHints{}, m)
		var (
			it    storage.BatchIterator
			batch storage.Batch
		)
		for set.Next() {
			it = set.At().Batches(it)
			if it.Next(&batch) {
				found[string(set.At().Labels().Bytes(nil))] = struct{}{}
			}
		}
		if err := set.Err(); err != nil {
			return nil, err
		}
	}
	return found, nil
}
