package api

import (
	"iter"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// ScrapedTarget is an active target with its last scrapes.
type ScrapedTarget struct {
	Pool, URL string
	// Labels are the labels that the target's series get.
	Labels labels.Labels
	// Scrapes are the last scrapes, the newest one first.
	Scrapes []Scrape
	Refused RefusedSeries
}

// RefusedSeries are the new series of the last scrape that were not stored.
type RefusedSeries struct {
	// OverLimit counts those beyond Limit, the limit of the target's job, ByStore
	// those that the database refused.
	OverLimit, Limit, ByStore int
	// Series names some of them.
	Series []string
}

// Scrape is the outcome of one scrape.
type Scrape struct {
	Start    time.Time
	Duration time.Duration
	// Bytes is the size of the body after decompression: 0 if there was none, -1
	// if it exceeded its limit.
	Bytes int
	// Scraped counts the samples of the body, Kept those that relabelling left,
	// Added the series that are new.
	Scraped, Kept, Added int
	// Class is what kind of failure Error is; both are empty if there was none.
	Class, Error string
}

// ScrapeHistory yields the active targets of a scrape pool, of all if pool is
// empty, with as many of their last scrapes as are wanted; a negative number
// wants all that are kept.
type ScrapeHistory func(pool string, scrapes int) iter.Seq[ScrapedTarget]

// targetScrapes serves /targets/scrapes, which Prometheus does not have.
func (a *API) targetScrapes(r *http.Request) (response, error) {
	if a.opts.ScrapeHistory == nil {
		return response{}, unavailable("scrape targets")
	}
	limit, err := countParam(r, "limit", -1)
	if err != nil {
		return response{}, err
	}
	var matchers []*labels.Matcher
	if s := r.Form.Get("match_target"); s != "" {
		if matchers, err = a.opts.Parser.ParseMetricSelector(s); err != nil {
			return response{}, invalidParam("match_target", err)
		}
	}
	pool := r.Form.Get("scrapePool")
	return response{data: func(e *encoder) {
		e.raw(`{"targets":[`)
		n := 0
		for t := range a.opts.ScrapeHistory(pool, limit) {
			if matches(t.Labels, matchers) {
				e.comma(n)
				n++
				e.scrapedTarget(&t)
				e.spill()
			}
		}
		e.raw(`]}`)
	}}, nil
}

func (e *encoder) scrapedTarget(t *ScrapedTarget) {
	e.raw(`{"labels":`)
	e.labels(t.Labels)
	e.raw(`,"scrapePool":`)
	e.str(t.Pool)
	e.raw(`,"scrapeUrl":`)
	e.str(t.URL)
	e.raw(`,"scrapes":[`)
	for i := range t.Scrapes {
		e.comma(i)
		e.scrape(&t.Scrapes[i])
	}
	e.raw(`],"refusedSeries":{"overLimit":`)
	e.integer(int64(t.Refused.OverLimit))
	e.raw(`,"limit":`)
	e.integer(int64(t.Refused.Limit))
	e.raw(`,"byStorage":`)
	e.integer(int64(t.Refused.ByStore))
	e.raw(`,"series":`)
	e.strs(t.Refused.Series)
	e.raw(`}}`)
}

func (e *encoder) scrape(s *Scrape) {
	e.raw(`{"start":`)
	e.time(s.Start.UTC())
	e.raw(`,"duration":`)
	e.seconds(s.Duration)
	e.raw(`,"bodySizeBytes":`)
	e.integer(int64(s.Bytes))
	e.raw(`,"samplesScraped":`)
	e.integer(int64(s.Scraped))
	e.raw(`,"samplesPostMetricRelabeling":`)
	e.integer(int64(s.Kept))
	e.raw(`,"seriesAdded":`)
	e.integer(int64(s.Added))
	e.raw(`,"errorClass":`)
	e.str(s.Class)
	e.raw(`,"error":`)
	e.str(s.Error)
	e.rawByte('}')
}
