//go:build unix

package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	upstream "github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/discovery"
)

// The processor time of a minute with a thousand changes a second among 10,000 groups is
// at most a quarter of what upstream's manager takes for twenty jobs with one
// configuration, less what making the changes costs. Time is virtual: what is measured is
// the work. The ratio is far from the bound (about a twentieth), so that the test holds
// on a busy machine. For a single job both take too little for a bound; the test says
// how much.
func TestConstantChangeCost(t *testing.T) {
	for _, jobs := range []int{1, 20} {
		t.Run(fmt.Sprintf("jobs=%d", jobs), func(t *testing.T) {
			none := minuteOfChanges(t, "none", jobs)
			theirs := minuteOfChanges(t, "upstream", jobs) - none
			ours := minuteOfChanges(t, "gnomon", jobs) - none
			t.Logf("processor time of a minute: ours %s, upstream's %s, the changes themselves %s", ours, theirs, none)
			if jobs > 1 {
				require.LessOrEqual(t, ours, theirs/4)
			}
		})
	}
}

// minuteOfChanges returns the processor time that a minute of changes takes.
func minuteOfChanges(t *testing.T, manager string, jobs int) (cpu time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		fake := newFake("churn")
		sets := make(map[string]discovery.Configs)
		for i := range jobs {
			sets[fmt.Sprintf("job%d", i)] = discovery.Configs{fake}
		}
		switch manager {
		case "none":
			up := make(chan []*targetgroup.Group)
			go fake.probe.Run(ctx, up)
			go func() {
				for {
					select {
					case <-up:
					case <-ctx.Done():
						return
					}
				}
			}()
		case "gnomon":
			m, err := discovery.New(discovery.Options{})
			require.NoError(t, err)
			go m.Run(ctx)
			require.NoError(t, m.ApplyConfig(sets))
			go drain(m.SyncCh())
		case "upstream":
			reg := prometheus.NewRegistry()
			sd, err := upstream.CreateAndRegisterSDMetrics(reg)
			require.NoError(t, err)
			m := upstream.NewManager(ctx, slog.New(slog.DiscardHandler), reg, sd)
			go m.Run()
			require.NoError(t, m.ApplyConfig(sets))
			go drain(m.SyncCh())
		}
		before := processorTime()
		churn(fake.probe.updates)
		cpu = processorTime() - before
	})
	return cpu
}

func drain(sets <-chan map[string][]*targetgroup.Group) {
	for range sets {
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
