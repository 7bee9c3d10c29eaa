package scrape

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEverySeriesEnds reloads, discovers and breaks targets at random. Whatever
// happened, series are never stored twice for a timestamp (the store would refuse
// that and it would be counted), and after all targets are gone every series has
// ended.
func TestEverySeriesEnds(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomRun(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func randomRun(t *testing.T, rng *rand.Rand) {
	w := start(t, job())
	var mu sync.Mutex // guards answers
	answers := rand.New(rand.NewPCG(rng.Uint64(), 8))
	present := make([]bool, 40)
	hosts := []string{"a:1", "b:1", "c:1"}
	for _, host := range hosts {
		w.answer(host, func(*http.Request) answer {
			mu.Lock()
			defer mu.Unlock()
			for range 3 {
				present[answers.IntN(len(present))] = answers.IntN(3) > 0
			}
			a := randomAnswer(answers, present, 0, false)
			a.delay = time.Duration(answers.IntN(12)) * time.Second
			return a
		})
	}
	for range 60 {
		switch rng.IntN(4) {
		case 0:
			w.apply(job(randomLines(rng)...))
		case 1:
			var some []string
			for _, host := range hosts {
				if rng.IntN(2) == 0 {
					some = append(some, host)
				}
			}
			w.discover(some...)
		case 2:
			w.apply("scrape_configs: []")
			wait(time.Duration(rng.IntN(3)) * time.Second)
			w.apply(job())
		}
		wait(time.Duration(rng.IntN(30)) * time.Second)
	}
	w.discover()
	wait(2 * time.Minute)
	w.stop()
	content := w.content()
	require.NotEmpty(t, content)
	for series, samples := range content {
		require.Equal(t, "stale", valueText(&samples[len(samples)-1]), series)
	}
	require.Zero(t, w.metric("prometheus_target_scrapes_sample_out_of_order_total"))
	for _, p := range w.m.allPools() {
		require.Empty(t, p.loops)
		require.Empty(t, p.retired)
	}
	require.NotContains(t, w.logs.String(), "level=ERROR")
}

// randomLines returns some lines of a job's configuration.
func randomLines(rng *rand.Rand) (lines []string) {
	for _, line := range []string{
		"scrape_interval: 7s", "extra_scrape_metrics: true", "sample_limit: 20", "target_limit: 2",
		"convert_classic_histograms_to_nhcb: true", "metrics_path: /other", "body_size_limit: 600B",
		"metric_relabel_configs: [{source_labels: [__name__], regex: 'm[0-3].*', action: drop}]",
		"relabel_configs: [{target_label: zone, replacement: z}]",
	} {
		if rng.IntN(4) == 0 {
			lines = append(lines, line)
		}
	}
	return append(lines, "params: {x: ["+strings.Repeat("y", 1+rng.IntN(2))+"]}")
}
