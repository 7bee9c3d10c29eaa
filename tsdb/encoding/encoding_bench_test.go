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

// benchPage are the columns of histograms and of what lies beside them in a scrape: half of
// them constant.
func benchPage(rows int) []pageColumn {
	var out []pageColumn
	for range 20 {
		rng := rand.New(rand.NewPCG(7, uint64(len(out))))
		total := make([]float64, rows)
		for bucket := range 12 {
			counter := 0.0
			for i := range total {
				if rng.IntN(10) == 0 && bucket%3 == 0 {
					counter++
				}
				total[i] += counter
			}
			neighbour := len(out) - 1
			if bucket == 0 {
				neighbour = -1
			}
			out = append(out, pageColumn{append([]float64(nil), total...), neighbour})
		}
		for _, c := range benchColumns(rows) {
			out = append(out, pageColumn{c.values, -1})
		}
		for i := range 18 {
			out = append(out, pageColumn{series(rows, func(int) float64 { return float64(i) }), -1})
		}
	}
	return out
}

func BenchmarkPage(b *testing.B) {
	for _, rows := range []int{120, 480} {
		columns := benchPage(rows)
		samples := rows * len(columns)
		w := writePage(columns)
		heads, payload := w.AppendHeads(nil), append([]byte(nil), w.Payload()...)
		b.Run(fmt.Sprintf("rows=%d/append", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Reset()
				for _, c := range columns {
					w.AppendFloats(c.values, c.neighbour)
				}
			}
			reportSample(b, samples)
			b.ReportMetric(float64(len(heads)+len(payload))/float64(samples), "B/sample")
		})
		p, err := OpenPage(heads)
		if err != nil {
			b.Fatal(err)
		}
		var d Decoder
		dst := make([]float64, 0, rows)
		b.Run(fmt.Sprintf("rows=%d/decode", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for number := range columns {
					if _, err := d.Floats(dst, p, payload, number); err != nil {
						b.Fatal(err)
					}
				}
			}
			reportSample(b, samples)
		})
		b.Run(fmt.Sprintf("rows=%d/open", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := OpenPage(heads); err != nil {
					b.Fatal(err)
				}
			}
			reportSample(b, samples)
		})
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
