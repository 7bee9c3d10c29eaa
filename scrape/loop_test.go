package scrape

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

const up = `{__name__="up", instance="a:1", job="test"}`

// series returns the text of a series of the target a:1.
func series(name string) string {
	return fmt.Sprintf(`{__name__=%q, instance="a:1", job="test"}`, name)
}

func TestScrapesAtSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\n")
		w.discover("a:1")
		wait(61 * time.Second)
		w.stop()
		target := w.target()
		offset := int64((target.hash^offsetSeed("here", labels.EmptyLabels()))%uint64(10*time.Second)) / 1e6
		times := w.times(series("x"))
		require.Len(t, times, 6)
		for i, at := range times {
			require.Equal(t, offset, at%10_000, "offset of scrape %d", i)
			require.Equal(t, times[0]+int64(i)*10_000, at)
		}
		require.Equal(t, times, w.times(up))
		require.Equal(t, "1 1 1 1 1 1", w.samples(up))
		require.Equal(t, "1 1 1 1 1 1", w.samples(series("scrape_samples_scraped")))
		require.Equal(t, "1 0 0 0 0 0", w.samples(series("scrape_series_added")))
		require.Equal(t, HealthGood, target.Health())
		require.Equal(t, times[5], target.LastScrape().UnixMilli())
	})
}

func TestVanishedSeriesAreStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		bodies := []string{"x 1\ny 1\n", "x 2\n", "x 3\n", "x 4\ny 4\n", "", "x 6\n"}
		n := 0
		w.answer("a:1", func(*http.Request) answer { n++; return answer{body: bodies[n-1]} })
		w.discover("a:1")
		wait(61 * time.Second)
		w.stop()
		require.Equal(t, "1 2 3 4 stale 6", w.samples(series("x")))
		require.Equal(t, "1 stale 4 stale", w.samples(series("y")))
		require.Equal(t, "1 1 1 1 1 1", w.samples(up), "an empty body is not a failure")
		require.Equal(t, "2 0 0 1 0 0", w.samples(series("scrape_series_added")))
		require.Equal(t, "2 1 1 2 0 1", w.samples(series("scrape_samples_scraped")))
	})
}

func TestFailedScrapesEndSeries(t *testing.T) {
	for name, bad := range map[string]answer{
		"connection":   {err: errors.New("connection refused")},
		"status":       {status: 500, body: "x 2\n"},
		"syntax":       {body: "x 2\ny z\n"},
		"content type": {contentType: "image/png", body: "x 2\n"},
		"no type":      {contentType: "-", body: "x 2\n"},
		"timeout":      {delay: 6 * time.Second, body: "x 2\n"},
		"gzip":         {encoding: "gzip", body: "x 2\n"},
		"zstd":         {encoding: "zstd", body: "x 2\n"},
		"name":         {body: `{__name__=""} 1`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, job())
				n := 0
				w.answer("a:1", func(*http.Request) answer {
					if n++; n == 2 || n == 3 {
						return bad
					}
					return answer{body: "x 1\n"}
				})
				w.discover("a:1")
				wait(35 * time.Second)
				require.Equal(t, HealthBad, w.target().Health())
				require.Error(t, w.target().LastError())
				wait(10 * time.Second)
				w.stop()
				require.Equal(t, "1 stale 1", w.samples(series("x")))
				require.Equal(t, "1 0 0 1", w.samples(up))
				require.Equal(t, "1 0 0 0", w.samples(series("scrape_series_added")))
				require.Len(t, w.content(), 6, "nothing of a failed scrape is stored")
				require.NoError(t, w.target().LastError())
			})
		})
	}
}

func TestTargetRemembersScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		var n atomic.Int32
		w.answer("a:1", func(*http.Request) answer {
			if n.Add(1)%2 == 0 {
				return answer{status: 500}
			}
			return answer{body: "x 1\ny 1\n", delay: time.Second}
		})
		w.discover("a:1")
		wait(time.Second)
		target := w.target()
		require.Empty(t, target.Records())
		require.Equal(t, HealthUnknown, target.Health())
		require.True(t, target.LastScrape().IsZero())
		wait(25 * time.Second)
		records := target.Records()
		require.Len(t, records, 2)
		require.Equal(t, Record{Start: records[0].Start, Duration: time.Second, Scraped: 2, Samples: 2, Added: 2, Bytes: 8}, records[0])
		require.EqualError(t, records[1].Err, "server returned HTTP status 500 Internal Server Error")
		require.Equal(t, FailureStatus, records[1].Class)
		require.Equal(t, 10*time.Second, records[1].Start.Sub(records[0].Start))
		wait(2 * keptRecords * 10 * time.Second)
		w.stop()
		records = target.Records()
		require.Len(t, records, keptRecords)
		require.Equal(t, records[keptRecords-1].Start, target.LastScrape())
		require.Equal(t, (keptRecords-1)*10*time.Second, records[keptRecords-1].Start.Sub(records[0].Start))
	})
}

func TestLongOutageReleasesColumns(t *testing.T) {
	for failures, held := range map[int]int{releaseAfter - 1: 7, releaseAfter: 5} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, job())
			w.says("a:1", "x 1\ny 1\n")
			w.discover("a:1")
			wait(15 * time.Second)
			w.answer("a:1", func(*http.Request) answer { return answer{status: 500} })
			wait(time.Duration(failures) * 10 * time.Second)
			w.stop()
			r := w.m.allPools()["test"].loops[w.target().hash].recorder
			require.Equal(t, failures, r.failures)
			require.Equal(t, held, r.held.Count())
			require.Equal(t, held-5, r.layout.Lines())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\ny 1\n")
		w.discover("a:1")
		wait(15 * time.Second)
		w.answer("a:1", func(*http.Request) answer { return answer{status: 500} })
		wait(2 * releaseAfter * 10 * time.Second)
		w.says("a:1", "x 2\n")
		wait(20 * time.Second)
		w.stop()
		require.Equal(t, "1 stale 2 2", w.samples(series("x")))
		require.Equal(t, "1 stale", w.samples(series("y")))
	})
}

func TestGoneTargetIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.says("a:1", "x 1\n")
		w.discover("a:1")
		wait(25 * time.Second)
		w.discover()
		wait(60 * time.Second)
		require.Equal(t, "1 1 stale", w.samples(series("x")))
		require.Equal(t, "1 1 stale", w.samples(up))
		times := w.times(up)
		require.Equal(t, []int64{10_000, 10_000}, []int64{times[1] - times[0], times[2] - times[1]},
			"the end has the time of the scrape that was due")
		require.Empty(t, w.m.allPools()["test"].retired)
		w.stop()
	})
}

func TestTargetComesBack(t *testing.T) {
	for name, away := range map[string]time.Duration{"before its end": 8 * time.Second, "after it": 60 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, job())
				w.says("a:1", "x 1\n")
				w.discover("a:1")
				wait(25 * time.Second)
				w.discover()
				wait(away)
				w.discover("a:1")
				wait(40 * time.Second)
				w.stop()
				if away > 20*time.Second {
					require.Contains(t, w.samples(up), "1 1 stale 1 1")
				} else {
					require.NotContains(t, w.samples(up), "stale")
					require.NotContains(t, w.samples(series("x")), "stale")
				}
			})
		})
	}
}

func TestStoppingEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job())
		w.answer("a:1", func(*http.Request) answer { return answer{body: "x 1\n", delay: 4 * time.Second} })
		w.discover("a:1")
		wait(20 * time.Second)
		before := w.samples(up)
		w.stop() // with a scrape under way, or not
		require.Equal(t, before, w.samples(up))
		require.NotContains(t, w.samples(series("x")), "stale")
		require.NotContains(t, before, "0")
	})
}

func TestSlowScrapesSkipSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job("scrape_timeout: 10s"))
		n := 0
		w.answer("a:1", func(*http.Request) answer {
			if n++; n == 1 {
				return answer{delay: 11 * time.Second} // runs into the timeout
			}
			return answer{body: "x 1\n"}
		})
		w.discover("a:1")
		wait(35 * time.Second)
		w.stop()
		times := w.times(up)
		require.Equal(t, "0 1 1", w.samples(up))
		require.Equal(t, int64(10_000), times[1]-times[0], "the slot that the timeout ran into is made up for")
		require.Equal(t, int64(10_000), times[2]-times[1])
	})
}

func TestSynthetic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job("extra_scrape_metrics: true", "sample_limit: 7"))
		w.answer("a:1", func(*http.Request) answer { return answer{body: "x 1\nup 17\n", delay: 250 * time.Millisecond} })
		w.discover("a:1")
		wait(15 * time.Second)
		require.Equal(t, "1", w.samples(up), "the target has no say in it")
		require.Equal(t, "0.25", w.samples(series("scrape_duration_seconds")))
		require.Equal(t, "5", w.samples(series("scrape_timeout_seconds")))
		require.Equal(t, "7", w.samples(series("scrape_sample_limit")))
		require.Equal(t, "10", w.samples(series("scrape_body_size_bytes")))
		w.apply(job("sample_limit: 7"))
		wait(20 * time.Second)
		w.stop()
		require.Equal(t, "5 stale", w.samples(series("scrape_timeout_seconds")))
		require.Equal(t, "1 1 1", w.samples(up))
	})
}
