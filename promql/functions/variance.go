package functions

import "math"

// varianceKind says which of stdvar_over_time and stddev_over_time it is.
type varianceKind struct {
	root bool
}

func (k varianceKind) function() *Range {
	return &Range{Window: kernel(k.floats).ignoringHistograms(), Batch: k.batch}
}

// welford is Welford's sum of squared distances from the mean, compensated.
type welford struct {
	mean, squares compensated
}

// add takes a value, with which there are n.
func (w *welford) add(v, n float64) {
	distance := v - (w.mean.sum + w.mean.c)
	w.mean.add(distance / n)
	w.squares.add(distance * (v - (w.mean.sum + w.mean.c)))
}

// addTame is add for values that are tame.
func (w *welford) addTame(v, n float64) {
	distance := v - (w.mean.sum + w.mean.c)
	w.mean.addTame(distance / n)
	w.squares.addTame(distance * (v - (w.mean.sum + w.mean.c)))
}

// of returns the result for n values.
func (k varianceKind) of(w *welford, n float64) float64 {
	variance := (w.squares.sum + w.squares.c) / n
	if k.root {
		return math.Sqrt(variance)
	}
	return variance
}

func (k varianceKind) floats(_ []int64, v []float64, _ *call) (float64, bool) {
	var w welford
	w.addFrom(0, v)
	return k.of(&w, float64(len(v))), true
}

// addFrom takes values, after the first n.
func (w *welford) addFrom(n int, v []float64) {
	for i := n; i < len(v); i++ {
		w.add(v[i], float64(i+1))
	}
}

// lanes is how many windows are computed side by side: each value has to wait for what
// became of the one before it, through some ten operations.
const lanes = 4

// batch computes windows side by side.
func (k varianceKind) batch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
	if !areTame(s.Values) {
		kernel(k.floats).batch()(dst, valid, s, lo, hi, w, a)
		return
	}
	var at [lanes]int // steps
	n := 0
	for i := range lo {
		if lo[i] >= hi[i] {
			continue
		}
		valid.Set(i)
		if at[n] = i; n < lanes-1 {
			n++
			continue
		}
		n = 0
		var v [lanes][]float64
		common := math.MaxInt
		for l, step := range at {
			v[l] = s.Values[lo[step]:hi[step]]
			common = min(common, len(v[l]))
		}
		var all [lanes]welford
		sideBySide(&all, &v, common)
		for l, step := range at {
			all[l].addFrom(common, v[l])
			dst[step] = k.of(&all[l], float64(len(v[l])))
		}
	}
	for _, step := range at[:n] {
		dst[step], _ = k.floats(nil, s.Values[lo[step]:hi[step]], nil)
	}
}

// sideBySide takes the first n values, which are tame, of each window.
func sideBySide(w *[lanes]welford, v *[lanes][]float64, n int) {
	for i := range n {
		count := float64(i + 1)
		for l := range w {
			w[l].addTame(v[l][i], count)
		}
	}
}
