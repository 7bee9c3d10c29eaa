package head

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Limits bound what becomes a series. They are soft: a series that is in the
// head is never refused, and writers at the same moment may exceed a number of
// series by one each. 0 is no bound.
type Limits struct {
	// MaxSeries bounds the series, MaxSeriesPerJob those with the same label job.
	MaxSeries, MaxSeriesPerJob int
	// MaxLabels bounds the labels of a series, the metric name included.
	MaxLabels int
	// MaxLabelNameBytes and MaxLabelValueBytes bound the strings of a label.
	MaxLabelNameBytes, MaxLabelValueBytes int
}

// limit is a limit that a new series can exceed.
type limit int

const (
	limitSeries limit = iota
	limitSeriesPerJob
	limitLabels
	limitLabelName
	limitLabelValue
	limitCount
)

// String returns the limit's name in metrics and logs, which is that of the
// setting.
func (l limit) String() string {
	return [...]string{"series", "series_per_job", "labels_per_series", "label_name_length", "label_value_length"}[l]
}

func (l *Limits) of(which limit) int {
	return [...]int{l.MaxSeries, l.MaxSeriesPerJob, l.MaxLabels, l.MaxLabelNameBytes, l.MaxLabelValueBytes}[which]
}

// admit refuses a series that is new and would exceed a limit. The error names
// the limit and the series.
func (h *Head) admit(ls labels.Labels) error {
	l := &h.settings.Load().Limits
	which, err := l.checkLabels(ls)
	if err == nil {
		which, err = h.checkCounts(l, ls)
	}
	if err == nil {
		return nil
	}
	h.metrics.refusedSeries[which].Inc()
	if n, due := h.refusals.note(which, time.Now()); due {
		h.opts.Logger.Warn("new series are refused, a limit is reached; this is said once a minute",
			"limit", which.String(), "refused", n, "last", err)
	}
	return err
}

// maxNamed bounds how much of a series an error has: its labels may be what is
// wrong with it.
const maxNamed = 512

// named returns the series for an error.
func named(ls labels.Labels) string {
	s := ls.String()
	if len(s) > maxNamed {
		return s[:maxNamed] + "…"
	}
	return s
}

// checkLabels compares the labels of a series with their limits.
func (l *Limits) checkLabels(ls labels.Labels) (which limit, err error) {
	if n := ls.Len(); l.MaxLabels > 0 && n > l.MaxLabels {
		return limitLabels, fmt.Errorf("%w: series %s has %d labels, the limit is %d", storage.ErrLabelLimit, named(ls), n, l.MaxLabels)
	}
	ls.Range(func(label labels.Label) {
		switch {
		case err != nil:
		case l.MaxLabelNameBytes > 0 && len(label.Name) > l.MaxLabelNameBytes:
			which = limitLabelName
			err = fmt.Errorf("%w: label name %.200q of series %s has %d bytes, the limit is %d", storage.ErrLabelLimit, label.Name, named(ls), len(label.Name), l.MaxLabelNameBytes)
		case l.MaxLabelValueBytes > 0 && len(label.Value) > l.MaxLabelValueBytes:
			which = limitLabelValue
			err = fmt.Errorf("%w: the value of label %.200q of series %s has %d bytes, the limit is %d", storage.ErrLabelLimit, label.Name, named(ls), len(label.Value), l.MaxLabelValueBytes)
		}
	})
	return which, err
}

// aboutScrapes are the series that a scrape makes about itself, a few a target.
// They are not refused for the number of series: an alert about up has to work
// when a job is full of others.
var aboutScrapes = map[string]bool{
	"up": true, "scrape_duration_seconds": true, "scrape_samples_scraped": true,
	"scrape_samples_post_metric_relabeling": true, "scrape_series_added": true,
	"scrape_timeout_seconds": true, "scrape_sample_limit": true, "scrape_body_size_bytes": true,
}

// checkCounts compares the numbers of series with their limits.
func (h *Head) checkCounts(l *Limits, ls labels.Labels) (limit, error) {
	if l.MaxSeries == 0 && l.MaxSeriesPerJob == 0 || aboutScrapes[ls.Get(model.MetricNameLabel)] {
		return 0, nil
	}
	if n := h.reg.count.Load(); l.MaxSeries > 0 && n >= int64(l.MaxSeries) {
		return limitSeries, fmt.Errorf("%w: %s is new and there are %d series, the limit is %d", storage.ErrSeriesLimit, named(ls), n, l.MaxSeries)
	}
	if l.MaxSeriesPerJob == 0 {
		return 0, nil
	}
	job := ls.Get(model.JobLabel)
	if job == "" {
		return 0, nil
	}
	if n := h.reg.postings.Count(model.JobLabel, job); n >= l.MaxSeriesPerJob {
		return limitSeriesPerJob, fmt.Errorf("%w: %s is new and job %q has %d series, the limit is %d", storage.ErrSeriesLimit, named(ls), job, n, l.MaxSeriesPerJob)
	}
	return 0, nil
}

// refusals says when to log that series are refused: for each limit once a
// minute at most.
type refusals struct {
	mu sync.Mutex
	// The following are guarded by mu.
	logged [limitCount]time.Time
	since  [limitCount]int
}

// refusalPause is the time between two log lines about the same limit.
const refusalPause = time.Minute

// note counts a refused series and says whether to log, and how many there were
// since the last line, this one included.
func (r *refusals) note(which limit, now time.Time) (n int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since[which]++
	if !r.logged[which].IsZero() && now.Sub(r.logged[which]) < refusalPause {
		return 0, false
	}
	n, r.since[which], r.logged[which] = r.since[which], 0, now
	return n, true
}
