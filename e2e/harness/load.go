package harness

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The metrics of a load target: the number of the scrape, and the series numbered by their
// label "i".
const (
	LoadScrape = "load_scrape"
	LoadValue  = "load_value"
)

// Load is a number of scrape targets behind one listener. What target says at its n-th
// scrape follows from [LoadSample], so that every stored sample can be checked.
type Load struct {
	Targets int // Targets are labelled instance="t0", "t1" and so on.
	Series  int // Series is the number of LoadValue series of each target.

	server  *httptest.Server
	scrapes []atomic.Int64 // By target: the scrapes answered so far.
}

// StartLoad listens until the test ends.
func StartLoad(t testing.TB, targets, series int) *Load {
	t.Helper()
	l := &Load{Targets: targets, Series: series, scrapes: make([]atomic.Int64, targets)}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

// LoadSample returns the value of a series at a target's n-th scrape. The series are of
// the kinds that exporters have: constants, counters, gauges with decimals, values of full
// precision, and ones that rarely change.
func LoadSample(target, series int, n int64) float64 {
	switch series % 6 {
	case 0:
		return float64(target*1_000_000 + series)
	case 1:
		return float64(n) * float64(series+1)
	case 2:
		return float64((n*7919+int64(series)*31+int64(target))%10_000) / 100
	case 3:
		return math.Sqrt(float64(n) + float64(series)/7 + float64(target)/3)
	case 4:
		return float64(n / 10)
	default:
		return [...]float64{0, math.Inf(1), -1, math.Inf(-1), math.Copysign(0, -1), 5e-324}[int(n)%6]
	}
}

// Address returns the host:port that all targets share.
func (l *Load) Address() string { return l.server.Listener.Addr().String() }

// Scrapes returns the number of scrapes that a target has answered.
func (l *Load) Scrapes(target int) int64 { return l.scrapes[target].Load() }

// ServeHTTP answers a scrape; the parameter "target" says of which target.
func (l *Load) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, err := strconv.Atoi(r.FormValue("target"))
	if err != nil || target < 0 || target >= l.Targets {
		http.Error(w, "no such target", http.StatusNotFound)
		return
	}
	n := l.scrapes[target].Add(1)
	body := fmt.Appendf(nil, "# TYPE %s counter\n%s %d\n# TYPE %s gauge\n", LoadScrape, LoadScrape, n, LoadValue)
	for i := range l.Series {
		body = fmt.Appendf(body, "%s{i=\"%d\"} ", LoadValue, i)
		body = strconv.AppendFloat(body, LoadSample(target, i, n), 'g', -1, 64)
		body = append(body, '\n')
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	// A scraper that went away needs no answer.
	_, _ = w.Write(body)
}

// ScrapeConfig returns an entry of scrape_configs for all targets.
func (l *Load) ScrapeConfig(job string, interval time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- job_name: %s\n  scrape_interval: %dms\n  static_configs:\n", job, interval.Milliseconds())
	for i := range l.Targets {
		fmt.Fprintf(&b, "  - targets: ['%s']\n    labels: {instance: t%d, __param_target: '%d'}\n", l.Address(), i, i)
	}
	return b.String()
}
