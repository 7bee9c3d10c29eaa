package head

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

// stripSource makes rows of 64 floats that change by a little or by much, each column in its own
// way, and sometimes all of them to something else.
type stripSource struct {
	rng    *rand.Rand
	values [64]float64
}

func (s *stripSource) next() (changed uint64, before []float64) {
	rng := s.rng
	old := s.values
	for c := range s.values {
		v := &s.values[c]
		switch {
		case rng.IntN(1+c) > 8:
		case c%8 == 0:
			*v += rng.Float64()
		case c%8 == 1:
			*v = math.Float64frombits(rng.Uint64())
		default:
			most := int64(1) << rng.IntN(8*(c%8)-6)
			*v += float64(rng.Int64N(2*most+1) - most)
		}
	}
	if rng.IntN(100) == 0 {
		odd := []float64{math.Float64frombits(value.StaleNaN), math.Copysign(0, -1), 0, math.Inf(1), math.MaxFloat64, 1 << 53}
		for c := range s.values {
			s.values[c] = odd[rng.IntN(len(odd))]
		}
	}
	for c, v := range s.values {
		if math.Float64bits(v) != math.Float64bits(old[c]) {
			changed |= 1 << c
			before = append(before, old[c])
		}
	}
	return changed, before
}

// TestStrip fills strips and reads them column by column and as a whole, up to any row.
func TestStrip(t *testing.T) {
	var s strip
	for seed := range uint64(60) {
		src := stripSource{rng: rand.New(rand.NewPCG(seed, 1))}
		src.next()
		rows := [][64]float64{src.values}
		if seed%7 == 6 {
			src.values, rows[0] = [64]float64{}, [64]float64{}
		}
		s.begin(rows[0][:])
		for row := 1; row < windowRows; row++ {
			changed, before := src.next()
			if seed%5 == 4 && row/changedRows%2 == 0 { // nothing changes for a while
				src.values, changed = rows[row-1], 0
			}
			rows = append(rows, src.values)
			if changed != 0 {
				size := s.add(row, changed, before, src.values[:])
				require.LessOrEqual(t, size, 8+1+64+8*bits.OnesCount64(changed))
			}
		}
		for _, n := range []int{1, 2, changedRows, 1 + src.rng.IntN(windowRows), windowRows} {
			var all stripBuffer
			changing := s.decode(&all, n)
			require.Equal(t, s.changing(n), changing)
			for c := range uint32(64) {
				column := make([]float64, n)
				s.column(column, c)
				for row, v := range column {
					want := math.Float64bits(rows[row][c])
					require.Equal(t, want, math.Float64bits(v), "seed %d row %d column %d", seed, row, c)
					if changing>>c&1 != 0 {
						require.Equal(t, want, math.Float64bits(all.columns[c][row]), "seed %d row %d column %d", seed, row, c)
					} else {
						require.Equal(t, math.Float64bits(all.first[c]), want)
					}
				}
			}
		}
		s.reset()
	}
}

// TestStripIsSmall adds counters: a byte for each, and a word and a byte for all of them.
func TestStripIsSmall(t *testing.T) {
	var s strip
	var values [64]float64
	require.Equal(t, 8, s.begin(nil))
	total := 0
	for row := 1; row < windowRows; row++ {
		var before []float64
		for c := range values[:32] {
			before = append(before, values[c])
			values[c] += 100
		}
		total += s.add(row, 1<<32-1, before, values[:])
	}
	require.Equal(t, (windowRows-1)*(32+8+1), total)
}

// TestStripRunWithoutPiece needs more than the run that a piece was begun in, so that the run
// stays empty.
func TestStripRunWithoutPiece(t *testing.T) {
	var s strip
	s.begin(nil)
	var values [64]float64
	for c := range values {
		values[c] = 1 << 20
	}
	s.add(1, 1<<60-1, zeros[:], values[:])
	require.Equal(t, byte(nextRun), s.runs.next.data[0], "the run that has room for a byte each")
	column := make([]float64, 3)
	s.column(column, 59)
	require.Equal(t, []float64{0, 1 << 20, 1 << 20}, column)
	var all stripBuffer
	require.EqualValues(t, 1<<60-1, s.decode(&all, 3))
	require.Equal(t, column, all.columns[0][:3])
}

func BenchmarkStrip(b *testing.B) {
	src := stripSource{rng: rand.New(rand.NewPCG(1, 2))}
	type row struct {
		changed        uint64
		before, values []float64
	}
	rows := []row{{}}
	total := 0
	for range windowRows - 1 {
		changed, before := src.next()
		values := src.values
		rows = append(rows, row{changed, before, values[:]})
		total += bits.OnesCount64(changed)
	}
	var s strip
	var buf stripBuffer
	report := func(b *testing.B, cpu time.Duration) {
		b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N*total), "cpu-ns/change")
	}
	b.Run("add", func(b *testing.B) {
		cpu := cpuTime()
		for b.Loop() {
			s.reset()
			s.begin(nil)
			for i := 1; i < windowRows; i++ {
				s.add(i, rows[i].changed, rows[i].before, rows[i].values)
			}
		}
		report(b, cpu)
	})
	b.Run("decode", func(b *testing.B) {
		cpu := cpuTime()
		for b.Loop() {
			s.decode(&buf, windowRows)
		}
		report(b, cpu)
	})
	b.Run("column", func(b *testing.B) {
		cpu, column := cpuTime(), make([]float64, windowRows)
		for b.Loop() {
			s.column(column, 40)
		}
		b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N*windowRows), "cpu-ns/row")
	})
}
