package scrape

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

// addressGroup is a group with targets that have these numbers as hosts.
func addressGroup(source string, numbers ...int) *targetgroup.Group {
	g := &targetgroup.Group{Source: source}
	for _, n := range numbers {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(fmt.Sprint(n, ":1"))})
	}
	return g
}

// TestGroupsAreRelabelledWhenTheyCome holds that a group costs nothing as long as it
// stays, by changing it under the pool, which discovery never does.
func TestGroupsAreRelabelledWhenTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, job(), func(o *Options) { o.ReloadInterval = time.Nanosecond })
		stays, goes := addressGroup("0", 1), addressGroup("1", 2)
		send := func(groups ...*targetgroup.Group) {
			w.groups <- map[string][]*targetgroup.Group{"test": groups}
			wait(time.Millisecond)
		}
		list := []*targetgroup.Group{stays, goes}
		send(list...)
		require.Len(t, w.m.TargetsActive()["test"], 2)
		syncs := w.metric("prometheus_target_scrape_pool_sync_total")
		loop := w.m.allPools()["test"].loops[w.target2("1:1").hash]

		stays.Targets[0] = model.LabelSet{model.AddressLabel: "unseen:1"}
		send(list...)
		require.Equal(t, syncs, w.metric("prometheus_target_scrape_pool_sync_total"), "the same slice is not even looked at")
		send(slices.Clone(list)...)
		require.Equal(t, syncs+1, w.metric("prometheus_target_scrape_pool_sync_total"))
		require.NotNil(t, w.target2("1:1"))
		send(addressGroup("2", 3), stays)
		require.NotNil(t, w.target2("1:1"))
		require.NotNil(t, w.target2("3:1"))
		require.Nil(t, w.target2("2:1"))
		require.Same(t, loop, w.m.allPools()["test"].loops[w.target2("1:1").hash])

		w.apply(job("metrics_path: /other"))
		require.NotNil(t, w.target2("unseen:1"), "a new configuration relabels all")
		require.Nil(t, w.target2("1:1"))
		w.stop()
	})
}

// TestPoolsFollowGroups compares pools that get random changes of groups with what
// relabelling all of them yields.
func TestPoolsFollowGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		w := start(t, job("keep_dropped_targets: 3", "relabel_configs: [{source_labels: [__address__], regex: '[0-4]:1', action: drop}]"),
			func(o *Options) { o.ReloadInterval = time.Nanosecond })
		var groups []*targetgroup.Group
		for i := range 3000 {
			groups = slices.Clone(groups)
			for range 1 + rng.IntN(3) {
				at := rng.IntN(len(groups) + 1)
				g := addressGroup(fmt.Sprint(i), rng.IntN(20), rng.IntN(20))
				switch {
				case rng.IntN(8) == 0 && len(groups) > 0:
					rng.Shuffle(len(groups), func(a, b int) { groups[a], groups[b] = groups[b], groups[a] })
				case at < len(groups) && rng.IntN(2) == 0:
					groups = slices.Delete(groups, at, at+1)
				case at < len(groups) && rng.IntN(3) == 0:
					groups = append(groups, groups[at]) // the same group twice
				case at < len(groups):
					groups[at] = g
				case len(groups) < 10:
					groups = append(groups, g)
				}
			}
			w.groups <- map[string][]*targetgroup.Group{"test": groups}
			wait(time.Duration(rng.IntN(4000)) * time.Millisecond)

			want, dropped := map[string]bool{}, 0
			for _, g := range groups {
				for _, target := range g.Targets {
					if address := string(target[model.AddressLabel]); len(address) == 3 && address < "5" {
						dropped++
					} else {
						want[address] = true
					}
				}
			}
			got := map[string]bool{}
			for _, target := range w.m.TargetsActive()["test"] {
				got[target.GetValue(model.AddressLabel)] = true
			}
			require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), "step %d", i)
			require.Len(t, w.m.TargetsActive()["test"], len(got))
			require.Equal(t, dropped, w.m.TargetsDroppedCounts()["test"])
			require.Len(t, w.m.TargetsDropped()["test"], min(3, dropped), "step %d", i)
			for _, target := range w.m.TargetsDropped()["test"] {
				require.Less(t, target.DiscoveredLabels().Get(model.AddressLabel), "5")
			}
		}
		w.groups <- map[string][]*targetgroup.Group{"test": {}}
		wait(time.Minute)
		require.Empty(t, w.m.TargetsActive()["test"])
		require.Empty(t, w.m.allPools()["test"].again)
		require.False(t, w.m.allPools()["test"].ending())
		w.stop()
	})
}

// BenchmarkSync has 10,000 targets in 1,000 groups, one of which changes.
func BenchmarkSync(b *testing.B) {
	for _, change := range []string{"nothing", "one group", "all groups"} {
		b.Run(change, func(b *testing.B) {
			cfg := scrapeConfig(b, job("scrape_interval: 1000h", "relabel_configs: [{source_labels: [__meta_a], target_label: a}, {source_labels: [__meta_b], regex: '(.*)-(.*)', target_label: b, replacement: '$2'}, {regex: __meta_label_(.+), action: labelmap}]"))
			m, err := New(Options{}, nothing{})
			require.NoError(b, err)
			c, err := newClients(cfg, &m.opts)
			require.NoError(b, err)
			ctx, cancel := context.WithCancel(context.Background())
			p := m.newPool(ctx, cfg, c)
			group := func(i int) *targetgroup.Group {
				g := &targetgroup.Group{Source: fmt.Sprint(i), Labels: model.LabelSet{"__meta_label_app": "x", "__meta_label_zone": "y"}}
				for j := range 10 {
					n := model.LabelValue(fmt.Sprint(i%1000, "-", j))
					g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: n + ":80", "__meta_a": n, "__meta_b": n})
				}
				return g
			}
			var groups []*targetgroup.Group
			for i := range 1000 {
				groups = append(groups, group(i))
			}
			p.sync(groups)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				next := groups
				switch change {
				case "one group":
					next = slices.Clone(groups)
					next[i%1000] = group(i % 1000)
				case "all groups":
					next = make([]*targetgroup.Group, len(groups))
					for j := range next {
						next[j] = group(j)
					}
				}
				groups = next
				p.sync(groups)
			}
			b.StopTimer()
			require.Len(b, p.active(), 10_000)
			cancel()
			m.loopsDone.Wait()
		})
	}
}

// TestUnchangedLoopsGoOn changes a thousand targets a second for a minute. The loops of the
// others are the same ones afterwards and have missed no slot, and all that there is at the
// end is scraped.
func TestUnchangedLoopsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const unchanged, changing, perDelivery = 100, 2000, 500
		w := start(t, job(), func(o *Options) { o.ReloadInterval = time.Nanosecond })
		var groups []*targetgroup.Group
		for i := range unchanged + changing {
			groups = append(groups, addressGroup(fmt.Sprint(i), i))
		}
		send := func() { w.groups <- map[string][]*targetgroup.Group{"test": slices.Clone(groups)} }
		send()
		wait(20 * time.Second) // every target has had its slot
		type state struct {
			loop    *loop
			scrapes int
		}
		look := func(i int) state {
			target := w.target2(fmt.Sprint(i, ":1"))
			require.NotNil(t, target, i)
			return state{loop: w.m.allPools()["test"].loops[target.hash], scrapes: len(target.Records())}
		}
		before := make([]state, unchanged)
		for i := range before {
			before[i] = look(i)
		}
		next := unchanged + changing
		for range 120 { // half a second each
			for i := range perDelivery {
				at := unchanged + (next+i)%changing
				groups[at] = addressGroup(groups[at].Source, next+i)
			}
			next += perDelivery
			send()
			wait(500 * time.Millisecond)
		}
		for i := range before {
			after := look(i)
			require.Same(t, before[i].loop, after.loop, "target %d has another loop", i)
			require.InDelta(t, 60/10, after.scrapes-before[i].scrapes, 1, "target %d", i)
		}
		require.Len(t, w.m.TargetsActive()["test"], unchanged+changing)
		for _, g := range groups {
			require.NotNil(t, w.target2(string(g.Targets[0][model.AddressLabel])))
		}
		w.stop()
	})
}
