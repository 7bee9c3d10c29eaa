//go:build unix

package takeover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// benchFolder is the folder of a Prometheus with a sample every 15 seconds for
// four hours: half of it in a block, half in logs.
func benchFolder(b *testing.B, series int) string {
	p := openPrometheus(b, b.TempDir(), promOptions())
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, series)
	names := make([]labels.Labels, series)
	for i := range names {
		names[i] = labels.FromStrings(model.MetricNameLabel, fmt.Sprintf("metric_%d_total", i%200), "job", "node", "instance", fmt.Sprintf("host-%d:9100", i/200))
	}
	for n := range 4 * 240 {
		p.begin()
		for i := range names {
			switch i % 4 { // constant, counter, rare change, gauge
			case 1:
				values[i] += float64(rng.IntN(50))
			case 2:
				values[i] += float64(rng.IntN(10) / 9)
			case 3:
				values[i] = float64(rng.IntN(10_000)) / 100
			}
			p.float(names[i], start+int64(n)*minute/4, values[i])
		}
		p.commit()
	}
	p.compact()
	p.close()
	return p.dir
}

// processorTime is what the process has used, which other processes on the
// machine do not change much.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkImport is an import with its proof.
func BenchmarkImport(b *testing.B) {
	const series = 1000
	source := benchFolder(b, series)
	for _, c := range []struct {
		name string
		opts ImportOptions
		n    int
	}{
		{"blocks", ImportOptions{BlocksOnly: true}, series * 480},
		{"blocks and logs", ImportOptions{}, series * 960},
		{"logs in eight loads", ImportOptions{MaxLogSamples: series * 60}, series * 960},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				opts := c.opts
				opts.FS = vfs.NewMem()
				s, err := Import(context.Background(), source, "data", opts)
				require.NoError(b, err)
				require.EqualValues(b, c.n, s.Samples)
			}
			b.ReportMetric(float64(c.n)*float64(b.N)/(processorTime(b)-before).Seconds(), "samples/cpu-s")
		})
	}
}
