package scrape

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/scrape/parse"
	"github.com/gnomonhq/gnomon/storage"
)

// writeTimed appends the samples that have timestamps of their own, in one
// transaction. body is the body they are from. With track, series that are gone
// get a staleness marker at t.
func (r *recorder) writeTimed(ctx context.Context, sc *parse.Scrape, s *settings, body []byte, contentType string, t int64) error {
	if len(sc.Timed) == 0 && len(r.tracked) == 0 {
		return nil
	}
	w := timedWriter{
		r: r, sc: sc, app: r.store.Appender(ctx), body: body, contentType: contentType,
		settings: s, latest: time.Now().Add(maxAhead).UnixMilli(),
	}
	if s.trackTimestamps {
		w.tracked = make(map[storage.SeriesRef]struct{}, len(sc.Timed))
	}
	if err := w.write(); err != nil {
		return errors.Join(err, w.app.Rollback())
	}
	// A series that comes without a timestamp now has a sample in the row at t.
	r.layout.InRow(sc, func(ref storage.SeriesRef) { delete(r.tracked, ref) })
	endTracked(w.app, r.tracked, w.tracked, t)
	r.tracked = w.tracked
	w.tally.report(r.metrics, r.log)
	if err := w.app.Commit(); err != nil {
		return fmt.Errorf("commit samples with timestamps: %w", err)
	}
	return nil
}

// endTracked marks the series that are in before and not in now stale at t. A
// marker that the store refuses is not needed: there is a newer sample.
func endTracked(app storage.Appender, before, now map[storage.SeriesRef]struct{}, t int64) {
	for ref := range before {
		if _, ok := now[ref]; !ok {
			_, _ = app.Append(ref, labels.EmptyLabels(), t, staleMarker)
		}
	}
}

// endTimed marks all tracked series stale at t.
func (r *recorder) endTimed(ctx context.Context, t int64) error {
	if len(r.tracked) == 0 {
		return nil
	}
	app := r.store.Appender(ctx)
	endTracked(app, r.tracked, nil, t)
	r.tracked = nil
	if err := app.Commit(); err != nil {
		return fmt.Errorf("commit staleness markers: %w", err)
	}
	return nil
}

// timedWriter is the transaction of one scrape.
type timedWriter struct {
	r           *recorder
	sc          *parse.Scrape
	app         storage.Appender
	settings    *settings
	body        []byte
	contentType string
	latest      int64 // greatest timestamp that is accepted
	tracked     map[storage.SeriesRef]struct{}
	tally       refusals
}

func (w *timedWriter) write() error {
	var forgotten []int
	for i := range w.sc.Timed {
		smp := &w.sc.Timed[i]
		err := w.append(smp)
		switch {
		case err == nil:
		case errors.Is(err, storage.ErrUnknownSeries) && smp.Ref != 0:
			forgotten = append(forgotten, i)
		case errors.Is(err, storage.ErrNoSpace), errors.Is(err, storage.ErrClosed):
			return err
		default:
			w.refuse(smp, err)
		}
	}
	if len(forgotten) == 0 {
		return nil
	}
	opts := w.r.rules.Parse
	opts.Admit = w.r.admission.admit
	err := w.r.layout.Labels(w.sc, w.body, w.contentType, &opts, forgotten, func(i int, ls labels.Labels) {
		smp := &w.sc.Timed[i]
		smp.Ref, smp.Labels = 0, ls
		if err := w.append(smp); err != nil {
			w.refuse(smp, err)
		}
	})
	if err != nil {
		return fmt.Errorf("labels of series that the store forgot: %w", err)
	}
	return nil
}

func (w *timedWriter) refuse(smp *parse.TimedSample, err error) {
	w.tally.count(err, false)
	if smp.IsNew() {
		w.sc.SeriesAdded--
	}
}

func (w *timedWriter) append(smp *parse.TimedSample) error {
	if smp.T > w.latest {
		return storage.ErrTooFarInFuture
	}
	var (
		ref storage.SeriesRef
		err error
	)
	if smp.Histogram != nil || smp.FloatHistogram != nil {
		ref, err = w.app.AppendHistogram(smp.Ref, smp.Labels, smp.T, smp.Histogram, smp.FloatHistogram)
	} else {
		ref, err = w.app.Append(smp.Ref, smp.Labels, smp.T, smp.Value)
	}
	if err != nil {
		return err
	}
	if ref != smp.Ref || smp.IsDescribed() {
		w.r.layout.SetRef(smp, ref)
		if m, ok := w.r.layout.MetadataOf(smp); ok {
			_ = w.app.SetMetadata(ref, m)
		}
	}
	if w.tracked != nil {
		w.tracked[ref] = struct{}{}
	}
	if smp.Start != 0 {
		if err := w.app.SetStartTime(ref, smp.T, smp.Start); err != nil {
			w.r.log.Debug("a start timestamp was not stored", "err", err)
		}
	}
	for _, e := range smp.Exemplars {
		if !e.HasTs {
			e.Ts = smp.T
		}
		if err := w.app.AppendExemplar(ref, e); errors.Is(err, storage.ErrOutOfOrderExemplar) {
			w.tally.exemplars++
		}
	}
	return nil
}
