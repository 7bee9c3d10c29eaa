package parse

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/require"
)

// samples counts the sample lines of a body.
func samples(body []byte) int {
	n := 0
	for line := range bytes.Lines(body) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}

// BenchmarkText parses recorded bodies: the same one over and over, which gives
// the cost of a line that is where it was, and all of them in turn, with lines
// that come and go.
func BenchmarkText(b *testing.B) {
	for _, name := range recordings {
		bodies := recording(b, name)
		benchmarkText(b, name+"/unchanged", bodies[:1])
		benchmarkText(b, name+"/in turn", bodies)
	}
}

func benchmarkText(b *testing.B, name string, bodies [][]byte) {
	b.Run(name, func(b *testing.B) {
		l, s, m := NewLayout(), new(Scrape), newMemory()
		opts := &Options{Admit: admitAll, HonorTimestamps: true}
		parse := func(i int) {
			body := bodies[i%len(bodies)]
			if err := l.Parse(s, body, plainText, opts); err != nil {
				b.Fatal(err)
			}
			if err := l.Commit(s, m); err != nil {
				b.Fatal(err)
			}
		}
		total := 0
		for i, body := range bodies {
			total += samples(body)
			bodies[i] = append(bytes.Clone(body), '\n')[:len(body)]
			parse(i)
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			parse(i)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(float64(total)/float64(len(bodies))), "ns/sample")
	})
}

// BenchmarkFirstBody parses a body that nothing is known of.
func BenchmarkFirstBody(b *testing.B) {
	body := recording(b, "node")[0]
	body = append(bytes.Clone(body), '\n')[:len(body)]
	opts := &Options{Admit: admitAll, HonorTimestamps: true}
	s := new(Scrape)
	b.ReportAllocs()
	for range b.N {
		l := NewLayout()
		require.NoError(b, l.Parse(s, body, plainText, opts))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples(body)), "ns/sample")
}

// BenchmarkTimed parses a body whose samples have timestamps.
func BenchmarkTimed(b *testing.B) {
	body := recording(b, "node")[0]
	var timed []byte
	for line := range bytes.Lines(body) {
		if line[0] != '#' {
			line = append(bytes.TrimRight(line, "\n"), " 1700000000000\n"...)
		}
		timed = append(timed, line...)
	}
	r := newReader()
	opts := &Options{Admit: admitAll, HonorTimestamps: true}
	_, err := r.read(timed, plainText, opts)
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		require.NoError(b, r.layout.Parse(r.scrape, timed, plainText, opts))
		require.NoError(b, r.layout.Commit(r.scrape, r.group))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples(body)), "ns/sample")
}

// BenchmarkUpstream only iterates over the bodies with Prometheus's parser, for
// comparison.
func BenchmarkUpstream(b *testing.B) {
	for _, name := range recordings {
		b.Run(name, func(b *testing.B) {
			body := recording(b, name)[0]
			table := labels.NewSymbolTable()
			for range b.N {
				p := textparse.NewPromParser(body, table, false)
				for {
					entry, err := p.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if entry == textparse.EntrySeries {
						p.Series()
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples(body)), "ns/sample")
		})
	}
}
