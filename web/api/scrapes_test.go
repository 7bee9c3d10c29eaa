package api

import (
	"iter"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestTargetScrapes(t *testing.T) {
	at := time.UnixMilli(1_790_000_000_500)
	var asked []any
	history := func(pool string, scrapes int) iter.Seq[ScrapedTarget] {
		asked = append(asked, pool, scrapes)
		return func(yield func(ScrapedTarget) bool) {
			_ = yield(ScrapedTarget{
				Refused: RefusedSeries{OverLimit: 4, Limit: 10, ByStore: 1, Series: []string{"<a>"}},
				Pool:    "api", URL: "http://a:1/<", Labels: labels.FromStrings("instance", "a:1", "job", "api"),
				Scrapes: []Scrape{
					{Start: at, Duration: 1500 * time.Millisecond, Bytes: -1, Class: "body_size", Error: "body size limit exceeded"},
					{Start: at.Add(-time.Minute), Duration: time.Millisecond, Bytes: 20, Scraped: 3, Kept: 2, Added: 1},
				},
			}) && yield(ScrapedTarget{Pool: "api", URL: "http://b:1/", Labels: labels.FromStrings("instance", "b:1", "job", "api")})
		}
	}
	h := serveMux(New(Options{ScrapeHistory: history}))
	w := request(h, "GET", "/targets/scrapes", "", "")
	require.Equal(t, 200, w.Code)
	first := `{"labels":{"instance":"a:1","job":"api"},"scrapePool":"api","scrapeUrl":"http://a:1/<","scrapes":[
		{"start":"2026-09-21T14:13:20.5Z","duration":1.5,"bodySizeBytes":-1,"samplesScraped":0,"samplesPostMetricRelabeling":0,"seriesAdded":0,
		 "errorClass":"body_size","error":"body size limit exceeded"},
		{"start":"2026-09-21T14:12:20.5Z","duration":0.001,"bodySizeBytes":20,"samplesScraped":3,"samplesPostMetricRelabeling":2,"seriesAdded":1,
		 "errorClass":"","error":""}],"refusedSeries":{"overLimit":4,"limit":10,"byStorage":1,"series":["<a>"]}}`
	second := `{"labels":{"instance":"b:1","job":"api"},"scrapePool":"api","scrapeUrl":"http://b:1/","scrapes":[],"refusedSeries":{"overLimit":0,"limit":0,"byStorage":0,"series":[]}}`
	require.JSONEq(t, `{"status":"success","data":{"targets":[`+first+`,`+second+`]}}`, w.Body.String())
	w = request(h, "GET", `/targets/scrapes?scrapePool=api&limit=2&match_target={instance="b:1"}`, "", "")
	require.JSONEq(t, `{"status":"success","data":{"targets":[`+second+`]}}`, w.Body.String())
	require.Equal(t, []any{"", -1, "api", 2}, asked)

	require.Equal(t, 400, request(h, "GET", "/targets/scrapes?limit=x", "", "").Code)
	require.Equal(t, 400, request(h, "GET", "/targets/scrapes?match_target=x{", "", "").Code)
	require.Equal(t, 422, request(serveMux(New(Options{})), "GET", "/targets/scrapes", "", "").Code)
}
