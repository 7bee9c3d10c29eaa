package scrape

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/scrape/parse"
	"github.com/gnomonhq/gnomon/storage"
)

// SeriesLimits bound the series that a target exposes at one time. The limits are
// soft: beyond one, new series are refused, and those that the store has at hand
// go on, even if that is more.
type SeriesLimits struct {
	// PerTarget is that of every target; 0 is none.
	PerTarget int
	// ByJob takes its place for the targets of some jobs; 0 is none.
	ByJob map[string]int
}

func (l *SeriesLimits) of(job string) int {
	if limit, ok := l.ByJob[job]; ok {
		return limit
	}
	return l.PerTarget
}

// Bounds of the series that a report names.
const (
	maxNamedSeries = 10
	maxNamedBytes  = 512
)

// RefusedSeries are the new series that the last scrape of a target exposed and
// that were not stored because of a limit. Its other series were.
type RefusedSeries struct {
	// OverLimit is the number of samples that SeriesLimits refused, ByStore that
	// of the series that the store refused.
	OverLimit, ByStore int
	// Limit is that of SeriesLimits, 0 for none.
	Limit int
	// Series names at most ten of them, with 512 bytes of their labels each.
	Series []string
}

// refusedSeries is a RefusedSeries that the loop writes and others read.
type refusedSeries struct {
	mu sync.Mutex
	r  RefusedSeries
}

// read returns a copy. A nil one is empty.
func (r *refusedSeries) read() RefusedSeries {
	if r == nil {
		return RefusedSeries{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.r
	out.Series = append([]string(nil), r.r.Series...)
	return out
}

func (r *refusedSeries) reset(limit int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.r.Series)
	r.r = RefusedSeries{Limit: limit, Series: r.r.Series[:0]}
}

// note counts a refused series and names it if there is room.
func (r *refusedSeries) note(ls labels.Labels, byStore bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if byStore {
		r.r.ByStore++
	} else {
		r.r.OverLimit++
	}
	if len(r.r.Series) < maxNamedSeries {
		r.r.Series = append(r.r.Series, cutText(ls.String(), maxNamedBytes))
	}
}

// limitSeries takes new series out of a body that are beyond the limit of the
// target. Those come first that the store knows: after a restart of the server,
// or a change of relabelling, all series are new to the loop.
func (r *recorder) limitSeries(sc *parse.Scrape, limit int) {
	r.refused.reset(limit)
	if limit <= 0 {
		return
	}
	fresh := 0
	sc.EachNew(func(labels.Labels) { fresh++ })
	if fresh == 0 {
		return
	}
	series := r.layout.Known(sc)
	if series+fresh <= limit {
		return
	}
	knower, ok := r.store.(storage.SeriesKnower)
	known := make([]bool, 0, fresh)
	sc.EachNew(func(ls labels.Labels) {
		k := ok && knower.KnowsSeries(ls)
		if known = append(known, k); k {
			series++
		}
	})
	admitted := map[uint64]bool{} // hashes of new series: one may come twice
	i := -1
	sc.RefuseNew(func(ls labels.Labels) bool {
		if i++; known[i] {
			return false
		}
		hash := ls.Hash()
		if admitted[hash] {
			return false
		}
		if series < limit {
			series++
			admitted[hash] = true
			return false
		}
		r.refused.note(ls, false)
		return true
	})
}

// tellRefused counts and logs the series of the scrape that were refused. What a
// warning has said once is not said with every scrape.
func (r *recorder) tellRefused(job string) {
	n := r.refused.read()
	level := slog.LevelWarn
	if r.refusing {
		level = slog.LevelDebug
	}
	if n.ByStore > 0 {
		r.metrics.seriesRefused.Add(float64(n.ByStore))
		r.log.Log(context.Background(), level, "the store refused new series, the others are stored", "num_refused", n.ByStore, "first", r.refusal)
	}
	if n.OverLimit > 0 {
		r.metrics.exceededSeriesLimit.WithLabelValues(job).Inc()
		r.metrics.seriesOverLimit.WithLabelValues(job).Add(float64(n.OverLimit))
		r.log.Log(context.Background(), level, "the target exposes more series than it may: new ones are refused, the others are stored",
			"series_per_target", n.Limit, "num_refused", n.OverLimit, "first", n.Series[0])
	}
	r.refusing = n.ByStore+n.OverLimit > 0
}
