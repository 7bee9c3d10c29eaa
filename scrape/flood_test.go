package scrape

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

// TestFloodOfChanges has a thousand deliveries a second, each with another target
// beside one that stays. The server asks for each to take effect at once.
func TestFloodOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job(), func(o *Options) { o.ReloadInterval = time.Nanosecond })
		w.says("stays:1", "x 1\n")
		stays := []model.LabelSet{{model.AddressLabel: "stays:1"}}
		var loop *loop
		loops := 0
		for i := range 60_000 {
			w.says(fmt.Sprint("short-", i%7, ":1"), "y 1\n")
			w.groups <- map[string][]*targetgroup.Group{"test": {
				{Source: "0", Targets: stays},
				{Source: "1", Targets: []model.LabelSet{{model.AddressLabel: model.LabelValue(fmt.Sprint("short-", i%7, ":1")), "i": model.LabelValue(fmt.Sprint(i))}}},
			}}
			wait(time.Millisecond)
			p := w.m.allPools()["test"]
			now := p.loops[w.target2("stays:1").hash]
			if loop == nil {
				loop = now
			}
			require.Same(t, loop, now)
			loops = max(loops, len(p.loops)+len(p.retired))
		}
		records := w.target2("stays:1").Records()
		w.stop()
		require.Len(t, records, 6)
		for i := range records {
			require.NoError(t, records[i].Err)
			require.Equal(t, records[0].Start.Add(time.Duration(i)*10*time.Second), records[i].Start)
		}
		// A target that is gone before its first scrape leaves nothing behind; one
		// that was scraped has two more slots to come back in.
		require.LessOrEqual(t, loops, 50)
		require.Zero(t, w.metric("gnomon_target_scrape_slots_skipped_total"))
	})
}
