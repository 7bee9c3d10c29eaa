package rules

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/storage"
)

// queryFor asks for the expression at the evaluation's time.
func (e *evaluation) queryFor(ctx context.Context, query string) (alerting.Vector, error) {
	return e.query(ctx, query, e.queryTime())
}

// evaluate evaluates the rules of the group at a slot.
func (g *group) evaluate(ctx context.Context, slot time.Time) {
	live := g.live.Load()
	e := &evaluation{
		slot:       slot,
		offset:     g.queryOffset(live),
		limit:      g.spec.Limit,
		query:      g.Query,
		liveConfig: live,
	}
	var (
		samples atomic.Int64
		wg      sync.WaitGroup
	)
	for _, batch := range g.batches {
		for _, i := range batch {
			if g.isStopping(ctx) {
				wg.Wait()
				return
			}
			if len(batch) > 1 && g.acquire() {
				wg.Go(func() {
					defer g.release()
					samples.Add(int64(g.evaluateRule(ctx, g.rules[i], e)))
				})
				continue
			}
			samples.Add(int64(g.evaluateRule(ctx, g.rules[i], e)))
		}
		wg.Wait()
	}
	g.metrics.samples.Set(float64(samples.Load()))
	g.writeEnded(ctx, e.queryTime())
}

// acquire takes a slot for a concurrent evaluation, if one is free.
func (g *group) acquire() bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g *group) release() { <-g.slots }

// evaluateRule evaluates one rule, sends its alerts, stores its result and
// returns the number of samples in it.
func (g *group) evaluateRule(ctx context.Context, r rule, e *evaluation) int {
	began := time.Now()
	defer func() {
		took := time.Since(began)
		g.metrics.evaluationDuration.Observe(took.Seconds())
		g.metrics.evaluationDurationHistogram.Observe(took.Seconds())
		r.core().setTiming(began, took)
	}()
	g.metrics.evaluations.Inc()
	ctx = g.originContext(ctx, r)
	logger := g.logger.With("rule", r.core().name)

	vector, err := r.evaluate(ctx, e)
	if err != nil {
		g.metrics.failures.Inc()
		r.core().setResult(err)
		// A query that was cancelled because the server stops is no news.
		if ctx.Err() == nil {
			logger.Warn("evaluating rule", "query", r.core().query, "err", err)
		}
		return 0
	}
	if a, ok := r.(*alertingRule); ok {
		a.notify(ctx, e.slot, g.interval)
	}
	r.core().setResult(g.store(r, e.queryTime(), vector, logger))
	return len(vector)
}

// store writes the result of a rule and returns what went wrong.
func (g *group) store(r rule, t time.Time, vector alerting.Vector, logger *slog.Logger) error {
	refused, err := r.core().out.append(t.UnixMilli(), vector)
	if err != nil {
		g.metrics.failures.Inc()
		logger.Warn("storing the result of a rule", "err", err)
		return err
	}
	if len(refused) == 0 {
		return nil
	}
	byReason := make(map[string]int)
	for _, c := range refused {
		byReason[refusal(c.Err)]++
		logger.Debug("sample of a rule refused", "series", c.Labels.String(), "err", c.Err)
	}
	for reason, n := range byReason {
		g.metrics.discarded.WithLabelValues(reason).Add(float64(n))
		logger.Warn("samples of a rule refused", "reason", reason, "count", n)
	}
	return refused[0].Err
}

// refusal names the reason why a sample was refused, for a metric.
func refusal(err error) string {
	switch {
	case errors.Is(err, storage.ErrOutOfOrder):
		return "out_of_order"
	case errors.Is(err, storage.ErrTooOld):
		return "too_old"
	case errors.Is(err, storage.ErrDuplicateSample):
		return "duplicate"
	case errors.Is(err, storage.ErrTooFarInFuture):
		return "too_far_in_future"
	case errors.Is(err, storage.ErrSeriesLimit):
		return "series_limit"
	case errors.Is(err, storage.ErrLabelLimit):
		return "label_limit"
	case errors.Is(err, storage.ErrInvalidLabels):
		return "invalid_labels"
	case errors.Is(err, storage.ErrInvalidHistogram):
		return "invalid_histogram"
	default:
		return "other"
	}
}
