package encoding

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// pageColumn is a column for tests and its neighbour.
type pageColumn struct {
	values    []float64
	neighbour int
}

// pageColumns are columns of every kind, equal ones, and histograms.
func pageColumns() []pageColumn {
	var out []pageColumn
	for _, c := range floatColumns() {
		out = append(out, pageColumn{c.values, -1})
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for _, rows := range []int{1, 2, 120, 300, 480} {
		for _, buckets := range []int{4, 120} {
			first := len(out)
			cumulative := make([][]float64, buckets+1)
			for b := range cumulative {
				cumulative[b] = make([]float64, rows)
			}
			total := make([]int, buckets)
			for r := range rows {
				sum := 0
				for b := range buckets {
					if rng.IntN(4) == 0 && b%3 == 0 {
						total[b] += rng.IntN(5)
					}
					sum += total[b]
					cumulative[b][r] = float64(sum)
				}
				cumulative[buckets][r] = float64(sum) + 1000 // The count.
			}
			for b, values := range cumulative {
				neighbour := -1
				if b > 0 {
					neighbour = first + b - 1
				}
				out = append(out, pageColumn{values, neighbour})
			}
			// The same movements elsewhere, of a column that is not the last one.
			out = append(out, pageColumn{cumulative[buckets/2], first}, pageColumn{cumulative[0], first + 1})
		}
	}
	for _, c := range floatColumns() {
		out = append(out, pageColumn{c.values, len(out) - 1}, pageColumn{c.values, 0})
	}
	return out
}

func writePage(columns []pageColumn) *PageWriter {
	w := new(PageWriter)
	for _, c := range columns {
		w.AppendFloats(c.values, c.neighbour)
	}
	return w
}

func requireBits(t *testing.T, want, got []float64, text ...any) {
	t.Helper()
	require.Equal(t, bitsOf(want), bitsOf(got), text...)
}

func TestPageRoundTrip(t *testing.T) {
	columns := pageColumns()
	w := new(PageWriter)
	for range 2 { // The second time after a Reset.
		w.Reset()
		for i, c := range columns {
			require.Equal(t, i, w.AppendFloats(c.values, c.neighbour))
		}
		heads := w.AppendHeads(nil)
		payload := append([]byte(nil), w.Payload()...)
		p, err := OpenPage(heads)
		require.NoError(t, err)
		require.Equal(t, len(columns), p.Columns())
		require.Equal(t, len(payload), p.PayloadSize())
		h, pl := w.Size()
		require.Equal(t, len(payload), pl)
		require.Less(t, len(heads)-h, 4)

		// In order, backwards, and at random; with a decoder for all and one for each.
		var d Decoder
		order := rand.New(rand.NewPCG(1, 9)).Perm(len(columns))
		for i := range 2 * len(columns) {
			order = append(order, min(i, 2*len(columns)-1-i))
		}
		for _, number := range order {
			got, err := d.Floats([]float64{5}, p, payload[:len(payload):len(payload)], number)
			require.NoError(t, err, number)
			require.Equal(t, 5.0, got[0])
			requireBits(t, columns[number].values, got[1:], number)
			got, err = new(Decoder).Floats(nil, p, payload, number)
			require.NoError(t, err, number)
			requireBits(t, columns[number].values, got, number)
			require.Equal(t, len(columns[number].values), p.Rows(number))
			v, ok := p.Constant(number)
			require.Equal(t, len(got) > 0 && isConstant(got), ok)
			if ok {
				require.Equal(t, math.Float64bits(got[0]), math.Float64bits(v))
			}
		}
	}
}

// TestPageChains pins that a column never needs more than maxChain others.
func TestPageChains(t *testing.T) {
	w := writePage(pageColumns())
	deepest, shared, told := uint8(0), 0, 0
	for number, l := range w.links {
		deepest = max(deepest, l.depth)
		var c column
		require.NoError(t, w.page.column(&c, number))
		if c.duplicate() > 0 {
			shared++
		}
		if c.neighbour() > 0 {
			told++
		}
	}
	require.Equal(t, uint8(maxChain), deepest)
	require.Greater(t, shared, 20)
	require.Greater(t, told, 100)
}

// TestPageEqualColumns pins what an equal column costs: its head.
func TestPageEqualColumns(t *testing.T) {
	columns := floatColumns()
	w := new(PageWriter)
	for _, c := range columns {
		if len(c.values) < 100 {
			continue
		}
		w.AppendFloats(c.values, -1)
		headsBefore, before := w.Size()
		moved := series(len(c.values), func(i int) float64 { return c.values[i] + 1<<20 })
		w.AppendFloats(c.values, -1)
		heads, payload := w.Size()
		if c.name == "counter" {
			w.AppendFloats(moved, -1)
			_, after := w.Size()
			require.Equal(t, payload, after)
		}
		require.LessOrEqual(t, heads-headsBefore, 24, c.name)
		if before > 0 && w.chooser.kind == kindDecimal {
			require.Zero(t, payload-before-8*len(w.chooser.exceptions), c.name)
		}
	}
}

func TestPageErrors(t *testing.T) {
	w := writePage(pageColumns())
	heads, payload := w.AppendHeads(nil), w.Payload()
	for n := range len(heads) {
		_, err := OpenPage(heads[:n:n])
		require.ErrorIs(t, err, ErrCorrupt, n)
	}
	_, err := OpenPage(append(heads[:len(heads):len(heads)], 0))
	require.ErrorIs(t, err, ErrCorrupt)
	p, err := OpenPage(heads)
	require.NoError(t, err)
	_, err = new(Decoder).Floats(nil, p, payload[:len(payload)-1], 3)
	require.ErrorIs(t, err, ErrCorrupt)

	told := []byte{kindDecimal | columnRows, 2, predictNeighbour | streamEmpty, 0, 1}
	for name, heads := range map[string][]byte{
		"neighbour is constant":      append([]byte{2, kindConstantDecimal | columnRows, 2, 0}, told...),
		"neighbour has other rows":   append([]byte{2, kindDecimal | columnRows, 3, predictDelta | streamEmpty, 0}, told...),
		"neighbour of other kind":    {2, kindDecimal | columnRows, 2, predictDelta | streamEmpty, 0, kindOrderedBits, predictNeighbour | streamEmpty, 0, 1},
		"neighbour has other kind":   append([]byte{2, kindOrderedBits | columnRows, 2, predictDelta | streamEmpty, 0}, told...),
		"duplicate of an empty one":  {2, kindDecimal | columnRows, 2, predictDelta | streamEmpty, 0, kindDecimal, predictDelta | streamDuplicate, 0, 1},
		"duplicate of other rows":    {2, kindDecimal | columnRows, 2, predictDelta, 0, 0, kindDecimal | columnRows, 3, predictDelta | streamDuplicate, 0, 1},
		"duplicate of one constant":  {2, kindConstantDecimal | columnRows, 2, 0, kindDecimal, predictDelta | streamDuplicate, 0, 1},
		"neighbour before the first": append([]byte{1}, told...),
	} {
		p, err := OpenPage(heads)
		if err == nil {
			_, err = new(Decoder).Floats(nil, p, make([]byte, 100), 1)
		}
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
	// A chain that is longer than any writer makes.
	chain := []byte{maxChain + 3, kindDecimal | columnRows, 2, predictDelta | streamEmpty, 0}
	for range maxChain + 2 {
		chain = append(chain, kindDecimal, predictNeighbour|streamEmpty, 0, 1)
	}
	p, err = OpenPage(chain)
	require.NoError(t, err)
	_, err = new(Decoder).Floats(nil, p, nil, maxChain)
	require.NoError(t, err)
	_, err = new(Decoder).Floats(nil, p, nil, maxChain+2)
	require.ErrorIs(t, err, ErrCorrupt)
	require.Panics(t, func() { w.AppendFloats([]float64{1}, w.Columns()) })
}

// TestPageLimits has columns of MaxRows rows that lie together.
func TestPageLimits(t *testing.T) {
	counter := series(MaxRows, func(i int) float64 { return float64(i * (i % 7)) })
	upper := series(MaxRows, func(i int) float64 { return counter[i] + float64(i/3) })
	w := writePage([]pageColumn{{counter, -1}, {upper, 0}, {counter, 0}})
	p, err := OpenPage(w.AppendHeads(nil))
	require.NoError(t, err)
	var d Decoder
	for number, want := range [][]float64{counter, upper, counter} {
		got, err := d.Floats(nil, p, w.Payload(), number)
		require.NoError(t, err)
		requireBits(t, want, got, number)
	}
	require.Panics(t, func() { w.AppendFloats(append(counter, 1), -1) })
}

// TestDecoderOfSeveralPages uses one decoder for pages in turns.
func TestDecoderOfSeveralPages(t *testing.T) {
	columns := pageColumns()
	var d Decoder
	var pages []*Page
	var payloads [][]byte
	for shift := range 3 {
		moved := make([]pageColumn, len(columns))
		for i, c := range columns {
			moved[i] = pageColumn{series(len(c.values), func(r int) float64 { return c.values[r] * float64(shift+1) }), c.neighbour}
		}
		w := writePage(moved)
		p, err := OpenPage(w.AppendHeads(nil))
		require.NoError(t, err)
		pages, payloads = append(pages, p), append(payloads, w.Payload())
	}
	for number, c := range columns {
		for shift, p := range pages {
			got, err := d.Floats(nil, p, payloads[shift], number)
			require.NoError(t, err)
			requireBits(t, series(len(c.values), func(r int) float64 { return c.values[r] * float64(shift+1) }), got, number)
		}
	}
}

// TestNoAllocations pins that coders with memory of their own take no more.
func TestNoAllocations(t *testing.T) {
	columns := pageColumns()
	w := writePage(columns)
	p, err := OpenPage(w.AppendHeads(nil))
	require.NoError(t, err)
	payload := append([]byte(nil), w.Payload()...)
	require.Zero(t, testing.AllocsPerRun(5, func() {
		w.Reset()
		for _, c := range columns {
			w.AppendFloats(c.values, c.neighbour)
		}
	}))
	var d Decoder
	values := make([]float64, 0, 1000)
	require.Zero(t, testing.AllocsPerRun(5, func() {
		for number := range columns {
			if _, err := d.Floats(values, p, payload, number); err != nil {
				t.Fatal(err)
			}
		}
	}))
}
