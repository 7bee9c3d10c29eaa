package discovery_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/discovery"
)

// The churn of the tests: changes of one group each, a thousand a second.
const (
	churnGroups = 10_000
	churnRate   = 1_000
	churnTime   = time.Minute
)

// churn sends all groups and then changes one every millisecond. It returns the number
// of the last change.
func churn(updates chan<- []*targetgroup.Group) int {
	var all []*targetgroup.Group
	for i := range churnGroups {
		all = append(all, group(fmt.Sprintf("g%d", i), fmt.Sprintf("first:%d", i)))
	}
	updates <- all
	tick := time.NewTicker(time.Second / churnRate)
	defer tick.Stop()
	last := int(churnTime / time.Second * churnRate)
	for n := 1; n <= last; n++ {
		<-tick.C
		// A prime stride visits all groups in a scattered order.
		updates <- []*targetgroup.Group{group(fmt.Sprintf("g%d", n*7919%churnGroups), fmt.Sprintf("change:%d", n))}
	}
	return last
}

// expected is what churn leaves of the groups, by source.
func expected(last int) map[string]string {
	want := make(map[string]string)
	for i := range churnGroups {
		want[fmt.Sprintf("g%d", i)] = fmt.Sprintf("first:%d", i)
	}
	for n := 1; n <= last; n++ {
		want[fmt.Sprintf("g%d", n*7919%churnGroups)] = fmt.Sprintf("change:%d", n)
	}
	return want
}

// A thousand changes a second for a minute: nothing is lost, every change is delivered
// within a second, and groups that did not change are the same ones as before.
func TestManagerUnderConstantChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, discovery.Options{})
		fake := newFake("churn")
		require.NoError(t, m.ApplyConfig(map[string]discovery.Configs{"job": {fake}}))
		last := make(chan int)
		go func() { last <- churn(fake.probe.updates) }()

		known := make(map[string]*targetgroup.Group)
		want, deliveries, previous, ended := 0, 0, time.Now(), false
		for {
			select {
			case want = <-last:
				ended = true
				continue
			case sets := <-m.SyncCh():
				deliveries++
				require.LessOrEqual(t, time.Since(previous), time.Second, "the time between deliveries")
				previous = time.Now()
				replaced := 0
				for _, g := range sets["job"] {
					if known[g.Source] != g {
						replaced++
					}
					known[g.Source] = g
				}
				if deliveries > 2 {
					require.LessOrEqual(t, replaced, churnRate)
				}
				continue
			case <-time.After(time.Second):
			}
			if ended {
				break
			}
		}
		got := make(map[string]string)
		for source, g := range known {
			got[source] = string(g.Targets[0]["__address__"])
		}
		require.True(t, maps.Equal(expected(want), got), "nothing is lost")
		require.InDelta(t, churnTime/(500*time.Millisecond), deliveries, 10)
		require.EqualValues(t, 1, fake.probe.starts.Load())
		require.NoError(t, m.stop())
	})
}

// What mechanisms say again without any change is not delivered, and a set that did not
// change keeps its slice.
func TestManagerDeliversChangesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m := start(t, discovery.Options{Registerer: reg})
		quiet, busy := newFake("quiet"), newFake("busy")
		require.NoError(t, m.ApplyConfig(map[string]discovery.Configs{"quiet": {quiet}, "busy": {busy}, "also busy": {busy}}))
		quiet.probe.updates <- []*targetgroup.Group{group("q", "quiet:1")}
		busy.probe.updates <- []*targetgroup.Group{group("b", "busy:1")}
		before := <-m.SyncCh()
		require.Equal(t, &before["busy"][0], &before["also busy"][0], "sets share a mechanism and its slice")

		for range 10 {
			time.Sleep(time.Second)
			quiet.probe.updates <- []*targetgroup.Group{group("q", "quiet:1")}
		}
		time.Sleep(time.Second)
		select {
		case <-m.SyncCh():
			require.Fail(t, "an update without changes was delivered")
		default:
		}
		require.Positive(t, testutil.CollectAndCount(reg, "prometheus_sd_last_update_timestamp_seconds"))

		changed := time.Now()
		busy.probe.updates <- []*targetgroup.Group{group("b", "busy:2")}
		after := <-m.SyncCh()
		require.LessOrEqual(t, time.Since(changed), 100*time.Millisecond)
		require.Same(t, &before["quiet"][0], &after["quiet"][0])
		require.Equal(t, []string{"busy:2"}, addresses(after)["busy"])
		require.NoError(t, m.stop())
	})
}
