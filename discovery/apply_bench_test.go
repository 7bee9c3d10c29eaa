package discovery_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/discovery"
)

// BenchmarkApplyUnchanged applies configurations that were applied before, as happens when
// something else about the jobs has changed. What a job costs must not depend on how many
// there are.
func BenchmarkApplyUnchanged(b *testing.B) {
	for _, jobs := range []int{1000, 4000} {
		b.Run(fmt.Sprint("jobs=", jobs), func(b *testing.B) {
			m, err := discovery.New(discovery.Options{})
			require.NoError(b, err)
			ctx, cancel := context.WithCancel(b.Context())
			sets := make(map[string]discovery.Configs, jobs)
			for i := range jobs {
				name := fmt.Sprint("job", i)
				sets[name] = discovery.Configs{newFake(name)}
			}
			require.NoError(b, m.ApplyConfig(sets))
			for b.Loop() {
				require.NoError(b, m.ApplyConfig(sets))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*jobs), "ns/job")
			cancel()
			require.NoError(b, m.Run(ctx))
		})
	}
}
