package functions

import (
	"math"
	"slices"
)

// overlap reports whether windows share so many samples that it pays to carry
// something over from one to the next, and how many they have on average. Their
// order must be that of time.
func overlap(lo, hi []int32) (width int, ok bool) {
	seen, total := int64(0), int64(0)
	for i := range lo {
		if i > 0 && (lo[i] < lo[i-1] || hi[i] < hi[i-1]) {
			return 0, false
		}
		total += int64(hi[i] - lo[i])
		from := lo[i]
		if i > 0 {
			from = max(from, hi[i-1])
		}
		seen += int64(hi[i] - from)
	}
	return int(total) / max(1, len(lo)), total > 3*seen
}

// exactSums returns the sums of the values before each, if every sum of them is
// exact: whole numbers that stay small. Then the order of additions does not
// matter, and nothing is to be compensated.
func exactSums(v, sums []float64) ([]float64, bool) {
	const most = 1 << 53
	sums = append(slices.Grow(sums[:0], len(v)+1), 0)
	var sum, size float64
	for _, f := range v {
		// The sign of zero would get lost.
		if f != math.Trunc(f) || f == 0 && math.Signbit(f) {
			return sums, false
		}
		sum += f
		size += math.Abs(f)
		sums = append(sums, sum)
	}
	return sums, size < most
}

// sumsBatch computes a sum or, if mean is set, an average of windows that
// overlap, or leaves it to the kernel.
func sumsBatch(k kernel, mean bool) BatchFunc {
	each := k.batch()
	return func(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
		if _, ok := overlap(lo, hi); !ok {
			each(dst, valid, s, lo, hi, w, a)
			return
		}
		from, to := lo[0], hi[len(hi)-1]
		sums, exact := exactSums(s.Values[from:to], a.scratch)
		a.scratch = sums
		if !exact && !areTame(s.Values) {
			each(dst, valid, s, lo, hi, w, a)
			return
		}
		for i := range lo {
			n := hi[i] - lo[i]
			if n <= 0 {
				continue
			}
			switch {
			case !exact && mean:
				dst[i] = tameAvg(s.Values[lo[i]:hi[i]])
			case !exact:
				dst[i] = sumOf(s.Values[lo[i]:hi[i]], true)
			case mean:
				dst[i] = (sums[hi[i]-from] - sums[lo[i]-from]) / float64(n)
			default:
				dst[i] = sums[hi[i]-from] - sums[lo[i]-from]
			}
			valid.Set(i)
		}
	}
}

// maxBatch computes the maximum of windows: as long as it is still in the
// window, only the samples that came are looked at.
func maxBatch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, _ *Windows, _ *Args) {
	v := s.Values
	best, at, from, to := 0.0, int32(-1), int32(0), int32(0)
	for i := range lo {
		if lo[i] >= hi[i] {
			continue
		}
		if at < lo[i] || lo[i] < from || hi[i] < to {
			at, to = lo[i], lo[i]+1
			best = v[at]
		}
		for p := to; p < hi[i]; p++ {
			if f := v[p]; f > best || math.IsNaN(best) {
				best, at = f, p
			}
		}
		from, to = lo[i], hi[i]
		dst[i] = best
		valid.Set(i)
	}
}

// minBatch is maxBatch for the minimum.
func minBatch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, _ *Windows, _ *Args) {
	v := s.Values
	best, at, from, to := 0.0, int32(-1), int32(0), int32(0)
	for i := range lo {
		if lo[i] >= hi[i] {
			continue
		}
		if at < lo[i] || lo[i] < from || hi[i] < to {
			at, to = lo[i], lo[i]+1
			best = v[at]
		}
		for p := to; p < hi[i]; p++ {
			if f := v[p]; f < best || math.IsNaN(best) {
				best, at = f, p
			}
		}
		from, to = lo[i], hi[i]
		dst[i] = best
		valid.Set(i)
	}
}

// sortedWidth is how many samples a window has, for it to be cheaper to find the
// place of a sample than to sort all.
const sortedWidth = 64

// quantileBatch computes quantiles of windows. Of windows that overlap it keeps
// the values sorted.
func quantileBatch(dst []float64, valid Bitmap, s *FloatSamples, lo, hi []int32, w *Windows, a *Args) {
	width, ok := overlap(lo, hi)
	if !ok || width < sortedWidth || slices.ContainsFunc(s.Values, unsortable) {
		kernel(quantileFloats).batch()(dst, valid, s, lo, hi, w, a)
		return
	}
	sorted := a.scratch[:0]
	from, to := int32(0), int32(0)
	for i := range lo {
		if lo[i] >= hi[i] {
			continue
		}
		for ; from < lo[i] && from < to; from++ {
			at, _ := slices.BinarySearch(sorted, s.Values[from])
			sorted = slices.Delete(sorted, at, at+1)
		}
		from = lo[i]
		for to = max(to, from); to < hi[i]; to++ {
			at, _ := slices.BinarySearch(sorted, s.Values[to])
			sorted = slices.Insert(sorted, at, s.Values[to])
		}
		if q := a.quantile(i); invalidQuantile(q) {
			dst[i] = quantileOf(q, sorted)
		} else {
			dst[i] = quantileOfSorted(q, sorted)
		}
		valid.Set(i)
	}
	a.scratch = sorted
}

// unsortable are values whose place among equal ones shows, or that are not
// found again.
func unsortable(v float64) bool { return math.IsNaN(v) || v == 0 && math.Signbit(v) }
