package encoding

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchColumns are the kinds of columns that scrapes consist of.
func benchColumns(rows int) []namedFloats {
	rng := rand.New(rand.NewPCG(7, 8))
	counter, sum := 0.0, 0.0
	return []namedFloats{
		{"constant", series(rows, func(int) float64 { return 17 })},
		{"counter", series(rows, func(int) float64 { counter += float64(rng.IntN(60)); return counter })},
		{"rarely", series(rows, func(i int) float64 { return float64(i / 40) })},
		{"decimal", series(rows, func(int) float64 { return float64(rng.IntN(10000)) / 100 })},
		{"multiple", series(rows, func(i int) float64 { return float64(i*7+rng.IntN(5)) * 0.001 })},
		{"sum", series(rows, func(int) float64 { sum += rng.Float64(); return sum })},
	}
}

func BenchmarkAppendFloats(b *testing.B) {
	for _, rows := range []int{120, 480} {
		for _, c := range benchColumns(rows) {
			b.Run(fmt.Sprintf("rows=%d/%s", rows, c.name), func(b *testing.B) {
				b.ReportAllocs()
				var dst []byte
				for b.Loop() {
					dst = AppendFloats(dst[:0], c.values)
				}
				reportSample(b, rows)
				b.ReportMetric(float64(len(dst))/float64(rows), "B/sample")
			})
		}
	}
}

func BenchmarkDecodeFloats(b *testing.B) {
	for _, rows := range []int{120, 480} {
		for _, c := range benchColumns(rows) {
			src := AppendFloats(nil, c.values)
			b.Run(fmt.Sprintf("rows=%d/%s", rows, c.name), func(b *testing.B) {
				b.ReportAllocs()
				dst := make([]float64, 0, rows)
				for b.Loop() {
					if _, _, err := DecodeFloats(dst, src); err != nil {
						b.Fatal(err)
					}
				}
				reportSample(b, rows)
			})
		}
	}
}

func BenchmarkHistograms(b *testing.B) {
	const rows = 120
	hs := histogramColumn(rows)
	encoded, err := AppendHistograms(nil, hs)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			if dst, err = AppendHistograms(dst[:0], hs); err != nil {
				b.Fatal(err)
			}
		}
		reportSample(b, rows)
		b.ReportMetric(float64(len(dst))/rows, "B/sample")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := DecodeHistograms(nil, encoded); err != nil {
				b.Fatal(err)
			}
		}
		reportSample(b, rows)
	})
}

func reportSample(b *testing.B, rows int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/sample")
}
