package rules

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// brokenStore fails to open queriers, to read series or to commit while it is
// told to.
type brokenStore struct {
	*storagetest.Model
	failQuerier, failSelect, failCommit bool
}

var errBroken = errors.New("disk on fire")

func (s *brokenStore) Querier(mint, maxt int64) (storage.Querier, error) {
	if s.failQuerier {
		return nil, errBroken
	}
	q, err := s.Model.Querier(mint, maxt)
	return &brokenQuerier{q, s}, err
}

type brokenQuerier struct {
	storage.Querier
	store *brokenStore
}

func (q *brokenQuerier) Select(ctx context.Context, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, hints, ms...)
	if q.store.failSelect {
		return brokenSet{set}
	}
	return set
}

// brokenSet fails after its series.
type brokenSet struct{ storage.SeriesSet }

func (brokenSet) Err() error { return errBroken }

func (s *brokenStore) Appender(ctx context.Context) storage.Appender {
	return &brokenAppender{s.Model.Appender(ctx), s}
}

type brokenAppender struct {
	storage.Appender
	store *brokenStore
}

func (a *brokenAppender) Commit() error {
	if a.store.failCommit {
		return errors.Join(errBroken, a.Rollback())
	}
	return a.Appender.Commit()
}

// TestEndingIsTriedAgain holds that the series of a rule that is gone end when
// the store recovers, whatever failed.
func TestEndingIsTriedAgain(t *testing.T) {
	for name, fail := range map[string]func(*brokenStore, bool){
		"querier": func(s *brokenStore, fail bool) { s.failQuerier = fail },
		"select":  func(s *brokenStore, fail bool) { s.failSelect = fail },
		"commit":  func(s *brokenStore, fail bool) { s.failCommit = fail },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &brokenStore{Model: storagetest.NewModel(0)}
				r := newRig(t, store.Model, func(o *Options) { o.Store = store })
				r.answer("in", vec(`up{i="1"}`, 1.0))
				r.file("r.yml", "groups: [{name: g, rules: [{record: out, expr: in}, {record: gone, expr: in}]}]")
				require.NoError(t, r.update())
				r.start()
				r.afterEvaluation("g", 3)
				t0 := r.group("g").LastSlot
				r.file("r.yml", "groups: [{name: g, rules: [{record: out, expr: in}]}]")
				require.NoError(t, r.update())
				fail(store, true)
				r.afterEvaluation("g", 2)
				require.Equal(t, map[string]string{`{__name__="gone", i="1"}`: "1@-120 1@-60 1@0"}, r.samples("gone", t0))
				fail(store, false)
				r.afterEvaluation("g", 2)
				require.Equal(t, map[string]string{`{__name__="gone", i="1"}`: "1@-120 1@-60 1@0 stale@180"}, r.samples("gone", t0))
			})
		})
	}
}

func TestRestoreReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, dir := storagetest.NewModel(0), t.TempDir()
		life(t, model, dir, "{alert: A, expr: in, for: 15m}", 20, always, func(*rig) {})
		store := &brokenStore{Model: model, failSelect: true}
		r := newRig(t, model, func(o *Options) { o.Store = store })
		r.dir = dir
		require.NoError(t, r.update())
		r.answerFunc("in", always)
		r.start()
		r.afterEvaluation("g", 3)
		require.Equal(t, r.group("g").LastSlot.Add(-2*time.Minute), r.group("g").Rules[0].Alerts[0].ActiveAt, "it begins anew")
		require.Regexp(t, "@0$", r.samples(forStateMetric, r.group("g").LastSlot)[`{__name__="ALERTS_FOR_STATE", alertname="A", i="1"}`], "and is written")
	})
}

func TestRefusal(t *testing.T) {
	for want, err := range map[string]error{
		"out_of_order":      storage.ErrOutOfOrder,
		"too_old":           storage.ErrTooOld,
		"duplicate":         storage.ErrDuplicateSample,
		"too_far_in_future": storage.ErrTooFarInFuture,
		"series_limit":      storage.ErrSeriesLimit,
		"invalid_labels":    storage.ErrInvalidLabels,
		"invalid_histogram": storage.ErrInvalidHistogram,
		"other":             errBroken,
	} {
		require.Equal(t, want, refusal(fmt.Errorf("append: %w", err)))
	}
}
