package scrape

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// strict is a store that refuses some things.
type strict struct {
	storage.Store
	full  atomic.Bool // of series, and of long labels
	space atomic.Bool // no space left
}

func (s *strict) OpenGroup(opts storage.GroupOptions) (storage.Group, error) {
	g, err := s.Store.OpenGroup(opts)
	return &strictGroup{Group: g, store: s}, err
}

type strictGroup struct {
	storage.Group
	store *strict
}

func (g *strictGroup) AddColumn(ls labels.Labels) (storage.Column, error) {
	if g.store.full.Load() && ls.Get(model.MetricNameLabel) == "late" {
		return 0, storage.ErrSeriesLimit
	}
	if g.store.full.Load() && ls.Get(model.MetricNameLabel) == "long" {
		return 0, storage.ErrLabelLimit
	}
	return g.Group.AddColumn(ls)
}

func (g *strictGroup) AppendRow(row *storage.Row) error {
	if g.store.space.Load() {
		return storage.ErrNoSpace
	}
	return g.Group.AppendRow(row)
}

func TestStoreRefusesSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := startStrict(t)
		s.full.Store(true)
		w.says("a:1", "x 1\nlate 1\nlong 1\n")
		w.discover("a:1")
		wait(25 * time.Second)
		s.full.Store(false)
		wait(10 * time.Second)
		w.stop()
		require.Equal(t, "1 1 1", w.samples(up))
		require.Equal(t, "1 1 1", w.samples(series("x")))
		require.Equal(t, "1", w.samples(series("late")))
		require.Equal(t, "1", w.samples(series("long")))
		require.Equal(t, "1 0 2", w.samples(series("scrape_series_added")))
		require.Equal(t, "3 3 3", w.samples(series("scrape_samples_post_metric_relabeling")))
		require.Equal(t, 4.0, w.metric("gnomon_target_scrapes_series_refused_total"))
		require.Equal(t, 1, strings.Count(w.logs.String(), `level=WARN msg="the store refused new series`), "two scrapes in a row, one warning")
	})
}

func TestStoreIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := startStrict(t)
		bodies := []string{"x 1\ny 1\n", "x 2\ny 2\n", "x 3\n", "x 4\n", "x 5\n"}
		var n atomic.Int32
		w.answer("a:1", func(*http.Request) answer { return answer{body: bodies[n.Add(1)-1]} })
		w.discover("a:1")
		wait(15 * time.Second)
		s.space.Store(true)
		wait(20 * time.Second)
		require.Equal(t, HealthGood, w.target().Health(), "the target is not to blame")
		s.space.Store(false)
		wait(20 * time.Second)
		w.stop()
		require.Equal(t, "1 4 5", w.samples(series("x")))
		require.Equal(t, "1 stale", w.samples(series("y")), "the end of a series is made up for")
		require.Equal(t, 1, strings.Count(w.logs.String(), "the store takes no samples"))
		require.Equal(t, 1, strings.Count(w.logs.String(), "the store takes the samples of the target again"))
	})
}

func startStrict(t *testing.T) (*world, *strict) {
	var s *strict
	w := start(t, job())
	s = &strict{Store: w.store}
	w.m.store = s
	return w, s
}

// TestStoreHasNewerSamples has another writer that is ahead of the target.
func TestStoreHasNewerSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		var n atomic.Int32
		w.answer("a:1", func(*http.Request) answer {
			if n.Add(1) < 4 {
				return answer{body: "x 1\ny 1\n"}
			}
			return answer{body: "y 1\n"}
		})
		app := w.store.Appender(t.Context())
		_, err := app.Append(0, labels.FromStrings("__name__", "x", "instance", "a:1", "job", "test"), time.Now().Add(20*time.Second).UnixMilli(), 17)
		require.NoError(t, err)
		require.NoError(t, app.Commit())
		w.discover("a:1")
		wait(45 * time.Second)
		w.stop()
		require.Equal(t, "17 1 stale", w.samples(series("x")), "two samples are out of order, the others are not")
		require.Equal(t, "1 1 1 1", w.samples(series("y")))
		require.Equal(t, 2.0, w.metric("prometheus_target_scrapes_sample_out_of_order_total"))
		require.Equal(t, "1 1 1 1", w.samples(up))
	})
}

func TestRefusalsAreCounted(t *testing.T) {
	var r refusals
	other := errors.New("something else")
	for _, err := range []error{storage.ErrOutOfOrder, storage.ErrDuplicateSample, storage.ErrTooOld, storage.ErrTooFarInFuture, other} {
		r.count(err, false)
		r.count(err, true)
	}
	require.Equal(t, refusals{outOfOrder: 1, duplicates: 1, outOfBounds: 4, others: 2, other: other}, r)
}
