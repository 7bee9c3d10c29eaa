package e2e

import (
	"flag"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// soak makes TestCrash go on for this long: go test -run TestCrash -timeout 0 . -args -soak=1h.
var soak = flag.Duration("soak", 0, "keep killing the server under load for this long")

const (
	crashTargets  = 20
	crashSeries   = 500
	crashInterval = 500 * time.Millisecond
	crashRounds   = 5
)

// The server is killed in the midst of scraping, again and again. What a query has shown
// once is there after the start, to the bit, and scraping goes on.
func TestCrash(t *testing.T) {
	t.Parallel()
	load := harness.StartLoad(t, crashTargets, crashSeries)
	server := harness.StartGnomon(t, harness.Options{
		Config: "scrape_configs:\n" + load.ScrapeConfig("load", crashInterval),
	})
	begin := time.Now()
	for round := 0; round < crashRounds || time.Since(begin) < *soak; round++ {
		waitScrapes(t, load, 6)
		before := readRows(t, server, load)
		require.Greater(t, len(before), 3*crashTargets, "too few rows to judge by")
		// One round in five stops the server in the orderly way.
		if round%5 == 3 {
			server.Terminate(t)
		} else {
			server.Kill(t)
		}
		killed := time.Now()
		server.Start(t)
		ready := time.Since(killed)
		server.WaitReplayed(t, soon)
		t.Logf("round %d: %d rows of %d series, ready %s after the kill, log replayed %s after it", round, len(before), crashSeries, ready, time.Since(killed))
		after := readRows(t, server, load)
		requireKept(t, before, after)

		harness.Eventually(t, soon, "new rows of every target", func() error {
			fresh := make(map[int]bool)
			for row := range readRows(t, server, load) {
				if row.time > killed.UnixMilli() {
					fresh[row.target] = true
				}
			}
			return atLeast(len(fresh), crashTargets)
		})
	}
}

// rowKey names one scrape of one target.
type rowKey struct {
	target int
	time   int64 // In milliseconds.
}

// row holds the values of the series of one scrape, by their number.
type row []float64

// rowWindow is how far back tests look for rows: more than a round and its predecessor
// take, and little enough for one query.
const rowWindow = "1m"

// readRows returns all rows of the load that a query shows, having checked that each is
// complete and holds the very values that the target gave.
func readRows(t *testing.T, server *harness.Gnomon, load *harness.Load) map[rowKey]row {
	t.Helper()
	// One query is one snapshot: it must not show a part of a row.
	matrix, err := server.Matrix(t, fmt.Sprintf(`{__name__=~"%s|%s"}[%s]`, harness.LoadScrape, harness.LoadValue, rowWindow), time.Now())
	require.NoError(t, err)
	scrapes, rows, counts := make(map[rowKey]int64), make(map[rowKey]row), make(map[rowKey]int)
	for _, series := range matrix {
		target := number(t, string(series.Metric["instance"][1:]))
		isScrape := series.Metric[model.MetricNameLabel] == harness.LoadScrape
		column := -1
		if !isScrape {
			column = number(t, string(series.Metric["i"]))
		}
		for _, sample := range series.Values {
			key := rowKey{target, int64(sample.Timestamp)}
			if isScrape {
				scrapes[key] = int64(sample.Value)
				continue
			}
			if rows[key] == nil {
				rows[key] = make(row, load.Series)
			}
			rows[key][column] = float64(sample.Value)
			counts[key]++
		}
	}
	require.Len(t, rows, len(scrapes), "rows without %s, or that alone", harness.LoadScrape)
	for key, values := range rows {
		n, ok := scrapes[key]
		require.True(t, ok, "the row %v lacks %s", key, harness.LoadScrape)
		require.Equal(t, load.Series, counts[key], "the row %v is not whole", key)
		for i, got := range values {
			if want := harness.LoadSample(key.target, i, n); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("row %v, series %d: got %v, want %v, what scrape %d said", key, i, got, want, n)
			}
		}
	}
	return rows
}

// requireKept fails the test if a row of before is not in after. Rows at the far end of
// the window may have left it meanwhile. readRows has compared the values.
func requireKept(t *testing.T, before, after map[rowKey]row) {
	t.Helper()
	if lost := lostRows(before, after); len(lost) > 0 {
		t.Fatalf("%d of %d rows are lost: %v", len(lost), len(before), lost)
	}
}

// lostRows returns the rows of before that are not in after, although they are recent.
func lostRows(before, after map[rowKey]row) []rowKey {
	window, err := model.ParseDuration(rowWindow)
	if err != nil {
		panic(err) // The constant is malformed.
	}
	// Reading takes time; a row that close to the end of the window proves nothing.
	oldest := time.Now().Add(-time.Duration(window) + 20*time.Second).UnixMilli()
	var lost []rowKey
	for key := range before {
		if _, ok := after[key]; !ok && key.time > oldest {
			lost = append(lost, key)
		}
	}
	return lost
}

// waitScrapes waits until every target was scraped n times more.
func waitScrapes(t *testing.T, load *harness.Load, n int64) {
	t.Helper()
	goal := make([]int64, load.Targets)
	for target := range goal {
		goal[target] = load.Scrapes(target) + n
	}
	harness.Eventually(t, slowly, fmt.Sprintf("%d scrapes of every target", n), func() error {
		for target := range goal {
			if err := atLeast(load.Scrapes(target), goal[target]); err != nil {
				return fmt.Errorf("target %d: %w", target, err)
			}
		}
		return nil
	})
}

const alertStateConfig = `
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yml]
scrape_configs:
- job_name: nobody
  static_configs: [{targets: ['127.0.0.1:1']}]
`

const alertStateRules = `
groups:
- name: state
  rules:
  - {alert: Firing, expr: up == 0, for: 2s, annotations: {summary: 'still {{ $value }}'}}
  - {alert: Pending, expr: up == 0, for: 1h}
`

// What an alert had reached before the server died, it has reached afterwards: one that
// waits for its time goes on waiting from where it was, and one that fires was never
// inactive.
func TestCrashKeepsAlertState(t *testing.T) {
	t.Parallel()
	stops := map[string]func(*harness.Gnomon){
		"kill":      func(g *harness.Gnomon) { g.Kill(t) },
		"terminate": func(g *harness.Gnomon) { g.Terminate(t) },
	}
	server := harness.NewGnomon(t, harness.Options{
		Config: alertStateConfig,
		Args:   []string{"--rules.alert.for-grace-period=1s"},
	})
	server.WriteFile(t, "rules.yml", alertStateRules)
	server.Start(t)
	for name, stop := range stops {
		waitAlert(t, server, "Firing", v1.AlertStateFiring)
		firing, pending := activeSince(t, server, "Firing"), activeSince(t, server, "Pending")
		// Long enough that an alert that starts anew is told from one that goes on.
		harness.Eventually(t, soon, "the alerts to be older than the bound below", func() error {
			return atLeast(time.Since(pending), 10*time.Second)
		})
		stopped := time.Now()
		stop(server)
		server.Start(t)
		// The time that the server was down does not count as waiting. It ends with the
		// evaluation that restores the state.
		latest := pending.Add(time.Since(stopped)).Add(5 * time.Second)

		again := waitAlert(t, server, "Firing", v1.AlertStateFiring)
		// The time is kept as a series of whole seconds.
		require.WithinDuration(t, firing, again.ActiveAt, time.Second, "after %s", name)
		require.Equal(t, model.LabelValue("still 0"), again.Annotations["summary"])
		harness.Eventually(t, soon, "the pending alert to go on from where it was after "+name, func() error {
			a, err := alert(t, server, "Pending")
			if err != nil {
				return err
			}
			if a.ActiveAt.After(latest) || a.ActiveAt.Before(pending.Add(-time.Second)) {
				return fmt.Errorf("it is active since %s, was since %s", a.ActiveAt, pending)
			}
			if a.State != v1.AlertStatePending {
				return fmt.Errorf("it is %s", a.State)
			}
			return nil
		})
		server.WaitFor(t, soon, `count(ALERTS{alertname="Firing", alertstate="firing"})`, 1)
		server.WaitFor(t, soon, `count(ALERTS_FOR_STATE{alertname="Pending"})`, 1)
	}
}

func activeSince(t *testing.T, server *harness.Gnomon, name string) time.Time {
	t.Helper()
	a, err := alert(t, server, name)
	require.NoError(t, err)
	return a.ActiveAt
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// atLeast returns nil if got is want or more.
func atLeast[T int | int64 | time.Duration](got, want T) error {
	if got < want {
		return fmt.Errorf("got %v, want %v or more", got, want)
	}
	return nil
}
