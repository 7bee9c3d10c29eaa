package scrape

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomonhq/gnomon/scrape/parse"
)

// loop scrapes one target at its slots. It is always in one of three states, and
// only the settings that the pool gives it change the state:
//
//	scraping ──the target is gone──▶ retired ──two intervals later──▶ ended
//	    ▲                               │
//	    └────the target is back─────────┘
//
// A retired loop still owns the target's group. When it ends, it marks all series
// stale. So a target that is away for a short time, or whose interval, URL or job
// changes, goes on in the same loop with the same columns.
//
// All fields without a comment about it belong to the goroutine that runs the
// loop.
type loop struct {
	recorder *recorder
	metrics  *metrics
	poolLog  *slog.Logger
	log      *slog.Logger // with the target
	logged   *Target      // that log has
	// settings are replaced by the pool; changed wakes the loop then.
	settings atomic.Pointer[settings]
	changed  chan struct{}

	// ended is set when a retired loop stops for good. After that it cannot be
	// revived.
	ended struct {
		sync.Mutex
		yes bool
	}

	lastSlot  int64     // nanoseconds, 0 before the first scrape
	lastStart time.Time // of the last scrape
	bodySize  int       // of the last body
	unstored  bool      // the store refused the last row
	history   history   // that the target shows
	// observers are those for the interval. Looking them up costs more than
	// parsing a small body.
	observers struct {
		interval           time.Duration
		summary, histogram prometheus.Observer
	}
}

func newLoop(r *recorder, m *metrics, log *slog.Logger, s *settings) *loop {
	l := &loop{recorder: r, metrics: m, poolLog: log, changed: make(chan struct{}, 1)}
	l.settings.Store(s)
	l.name(s.target)
	s.target.setState(targetState{&l.history, &r.refused, r.layout.Families()})
	return l
}

// name makes the logs name the target.
func (l *loop) name(t *Target) {
	if l.logged != t {
		l.logged, l.log = t, l.poolLog.With("target", t.String())
		l.recorder.log = l.log
	}
}

// target returns the target that the loop scrapes.
func (l *loop) target() *Target { return l.settings.Load().target }

// update gives the loop new settings. They take effect with the next scrape.
func (l *loop) update(s *settings) {
	if old := l.target(); old != s.target {
		s.target.inherit(old)
	}
	l.settings.Store(s)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// revive gives settings to a loop that was retired. It reports false if the loop
// has ended.
func (l *loop) revive(s *settings) bool {
	l.ended.Lock()
	defer l.ended.Unlock()
	if l.ended.yes {
		return false
	}
	l.update(s)
	return true
}

// run scrapes until ctx is done, or the target is gone and its series are ended.
func (l *loop) run(ctx context.Context) {
	defer func() {
		if err := l.recorder.close(); err != nil {
			l.log.Warn("a group was not closed", "err", err)
		}
	}()
	for {
		s := l.settings.Load()
		l.name(s.target)
		if s.retired {
			if l.retire(ctx, s) {
				return
			}
			continue
		}
		slot := s.schedule.next(time.Now().UnixNano(), l.lastSlot)
		if !l.wait(ctx, time.Unix(0, slot)) {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		l.metrics.slotsSkipped.Add(float64(s.schedule.skipped(slot, l.lastSlot)))
		l.scrape(ctx, s, slot)
		l.lastSlot = slot
	}
}

// wait waits until the instant. It returns false if ctx is done or the settings
// changed before.
func (l *loop) wait(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.changed:
		return false
	case <-timer.C:
		return true
	}
}

// retire waits until the target would have been scraped twice more and then ends
// its series, at the first of these slots. It returns false if the target came
// back, true if the loop is to end.
func (l *loop) retire(ctx context.Context, s *settings) bool {
	if l.lastSlot == 0 {
		return l.end(ctx, 0)
	}
	first := s.schedule.next(time.Now().UnixNano(), l.lastSlot)
	write := first + s.schedule.interval + s.schedule.interval/10
	for !l.wait(ctx, time.Unix(0, write)) {
		if ctx.Err() != nil {
			// The server stops. It may go on where it was, so nothing ends.
			return true
		}
		if !l.settings.Load().retired {
			return false
		}
	}
	return l.end(ctx, first)
}

// end marks the series stale at the slot, if it is not 0, unless the target came
// back in the meantime: then it returns false.
func (l *loop) end(ctx context.Context, slot int64) bool {
	l.ended.Lock()
	defer l.ended.Unlock()
	if !l.settings.Load().retired {
		return false
	}
	l.ended.yes = true
	if slot != 0 {
		if err := l.recorder.end(ctx, slot/int64(time.Millisecond)); err != nil {
			l.log.Warn("the series of a target that is gone were not marked stale", "err", err)
		}
	}
	return true
}

// scrapes has the buffers of the scrapes that run at the same time.
var scrapes = sync.Pool{New: func() any { return new(parse.Scrape) }}

// scrape does one scrape and writes its row.
func (l *loop) scrape(ctx context.Context, s *settings, slot int64) {
	start := time.Now()
	t := s.schedule.timestamp(slot, start.UnixNano(), s.tolerance)
	l.observeInterval(s, start)

	buf := getBody(l.bodySize + bodySizeSlack)
	defer putBody(buf)
	body, contentType, err := (*buf)[:0], "", s.refusal
	if err == nil {
		body, contentType, err = s.fetch(ctx, body)
		*buf = body[:0]
		if err != nil && ctx.Err() != nil {
			return // The server stops; the target is not to blame.
		}
	}
	size := len(body)
	if err != nil {
		if size = 0; errors.Is(err, errBodySizeLimit) {
			size = -1
			l.metrics.exceededBodySize.Inc()
		}
		body = body[:0]
	} else if size > 0 {
		l.bodySize = size
	}
	l.record(ctx, s, scraped{start: start, t: t, body: body, contentType: contentType, size: size, err: err})
	if s.extraMetrics {
		l.metrics.scrapeSeconds.Observe(since(start).Seconds())
	}
}

// scraped is what a fetch gave.
type scraped struct {
	start       time.Time
	t           int64 // timestamp of the row
	body        []byte
	contentType string
	size        int // of the body, for the report
	err         error
}

// record parses the body and writes the row.
func (l *loop) record(ctx context.Context, s *settings, f scraped) {
	r := l.recorder
	if err := r.open(s); err != nil {
		l.log.Error("the scrape was not stored", "err", err)
		l.history.add(Record{Start: time.UnixMilli(f.t), Duration: since(f.start), Bytes: f.size, Class: FailureStorage, Err: err})
		return
	}
	sc := scrapes.Get().(*parse.Scrape)
	defer func() {
		sc.Release()
		scrapes.Put(sc)
	}()
	err, class := f.err, fetchFailure(f.err)
	if len(f.body) == 0 {
		r.refused.reset(s.seriesLimit)
		// As in Prometheus, an empty body is a scrape without samples, whatever
		// its content type is.
		r.layout.Skip(sc)
	} else if err = r.read(sc, s, f.body, f.contentType); err != nil {
		class = bodyFailure(err)
		l.log.Debug("the body was refused", "err", err)
	}
	if err != nil {
		l.logFailure(s, err)
	}
	if err := r.writeTimed(ctx, sc, s, f.body, f.contentType, f.t); err != nil {
		l.log.Error("samples with timestamps were not stored", "err", err)
	}
	took := since(f.start)
	up, added := 1.0, sc.SeriesAdded
	if err != nil {
		up, added = 0, 0
	}
	l.history.add(Record{
		Start: time.UnixMilli(f.t), Duration: took, Bytes: f.size,
		Scraped: sc.Total, Samples: sc.Kept, Added: added, Class: class, Err: err,
	})
	report := [syntheticCount]float64{
		syntheticUp:              up,
		syntheticDuration:        took.Seconds(),
		syntheticScraped:         float64(sc.Total),
		syntheticPostRelabelling: float64(sc.Kept),
		syntheticSeriesAdded:     float64(added),
		syntheticTimeout:         s.target.timeout.Seconds(),
		syntheticSampleLimit:     float64(s.sampleLimit),
		syntheticBodySize:        float64(f.size),
	}
	l.noteStored(r.write(sc, f.t, report, s.extraMetrics, len(f.body) == 0 || err != nil))
}

// noteStored logs when the store begins and ceases to refuse whole rows. A full
// disk concerns every scrape of every target; once for each target is enough.
func (l *loop) noteStored(err error) {
	switch {
	case err != nil && !l.unstored:
		l.log.Error("the store takes no samples of the target", "err", err)
	case err == nil && l.unstored:
		l.log.Info("the store takes the samples of the target again")
	}
	l.unstored = err != nil
}

func (l *loop) logFailure(s *settings, err error) {
	l.log.Debug("scrape failed", "err", err)
	if s.failures != nil {
		s.failures.Error(err.Error())
	}
}

func (l *loop) observeInterval(s *settings, start time.Time) {
	if l.observers.interval != s.target.interval {
		label := s.target.interval.String()
		l.observers.interval = s.target.interval
		l.observers.summary = l.metrics.intervalSeconds.WithLabelValues(label)
		l.observers.histogram = l.metrics.intervalHistogram.WithLabelValues(label)
	}
	if !l.lastStart.IsZero() {
		seconds := start.Sub(l.lastStart).Seconds()
		l.observers.summary.Observe(seconds)
		l.observers.histogram.Observe(seconds)
	}
	l.lastStart = start
}
