package compact

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// targets is series of many targets with a timeline each: a third are constants, a third
// counters that move from time to time, a third gauges.
type targets struct {
	targets, metrics, rows int
	start                  int64
	at                     int
	rng                    *rand.Rand
	times                  [][]int64
	it                     oneBatch
}

func newTargets(n, metrics, rows int, start int64) *targets {
	s := &targets{targets: n, metrics: metrics, rows: rows, start: start, rng: rand.New(rand.NewPCG(1, 2))}
	for target := range n {
		var times []int64
		for r := range rows {
			times = append(times, start+int64(r*15_000+target))
		}
		s.times = append(s.times, times)
	}
	return s
}

func (s *targets) Next() bool { s.at++; return s.at <= s.targets*s.metrics }
func (s *targets) Err() error { return nil }

func (s *targets) Series() Series {
	metric, target := (s.at-1)/s.targets, (s.at-1)%s.targets
	v := float64(s.rng.IntN(1000))
	values := s.it.values[:0]
	for range s.rows {
		switch {
		case metric%3 == 1 && s.rng.IntN(8) == 0:
			v += float64(s.rng.IntN(20))
		case metric%3 == 2:
			v = float64(s.rng.IntN(5000)) / 10
		}
		values = append(values, v)
	}
	s.it = oneBatch{s.times[target], values}
	return Series{Batches: &s.it, Labels: labels.FromStrings(
		model.MetricNameLabel, fmt.Sprintf("metric_%04d", metric), "instance", fmt.Sprintf("host-%05d", target), "job", "node",
		"namespace", "team", "pod", fmt.Sprintf("pod-%05d", target), "zone", "z1")}
}

// oneBatch is a series in one batch.
type oneBatch struct {
	times  []int64
	values []float64
}

func (o *oneBatch) Err() error { return nil }
func (o *oneBatch) Next(b *storage.Batch) bool {
	if o.times == nil {
		return false
	}
	*b = storage.Batch{Times: o.times, Values: append(b.Values[:0], o.values...)}
	o.times = nil
	return true
}

// three are three blocks of two hours, of targets times 200 series.
func three(b *testing.B, fsys vfs.FS, n int) []*block.Reader {
	b.Helper()
	require.NoError(b, fsys.MkdirAll("blocks"))
	var readers []*block.Reader
	for i := range int64(3) {
		m, err := Write(context.Background(), target(fsys), []Source{newTargets(n, 200, 480, i*2*hour)})
		require.NoError(b, err)
		r, err := block.Open(fsys, "blocks/"+m.ULID.String(), block.ReaderOptions{})
		require.NoError(b, err)
		readers = append(readers, r)
	}
	return readers
}

// BenchmarkMerge joins three blocks of 480 rows.
func BenchmarkMerge(b *testing.B) {
	fsys := vfs.NewMem()
	readers := three(b, fsys, 20)
	b.ReportAllocs()
	var m block.Meta
	for b.Loop() {
		var err error
		m, err = Merge(context.Background(), target(fsys), readers)
		require.NoError(b, err)
		require.NoError(b, block.Delete(fsys, "blocks", m.ULID))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(m.Stats.NumSamples), "ns/sample")
}

// BenchmarkBeside tells how late a goroutine gets to run that wakes every millisecond while
// blocks are joined on the only processor.
func BenchmarkBeside(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	fsys := vfs.NewMem()
	readers := three(b, fsys, 10)
	var late []time.Duration
	for b.Loop() {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				next := time.Now().Add(time.Millisecond)
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					late = append(late, time.Since(next))
				}
			}
		}()
		m, err := Merge(context.Background(), target(fsys), readers)
		require.NoError(b, err)
		close(stop)
		<-stopped
		require.NoError(b, block.Delete(fsys, "blocks", m.ULID))
	}
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)/2].Microseconds()), "late-p50-µs")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "late-p99-µs")
}
