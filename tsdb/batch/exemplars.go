package batch

import (
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// MergeExemplars is the union of the exemplars that several parts have of a
// series, in ascending order of time, each once. A single part is returned as it
// is.
func MergeExemplars(parts ...[]exemplar.Exemplar) []exemplar.Exemplar {
	parts = slices.DeleteFunc(parts, func(p []exemplar.Exemplar) bool { return len(p) == 0 })
	if len(parts) == 0 {
		return nil
	}
	if len(parts) == 1 {
		return parts[0]
	}
	all := slices.Concat(parts...)
	slices.SortStableFunc(all, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
	out, from := all[:0], 0
	for _, e := range all {
		if len(out) > 0 && out[len(out)-1].Ts != e.Ts {
			from = len(out)
		}
		if !slices.ContainsFunc(out[from:], e.Equals) {
			out = append(out, e)
		}
	}
	return out
}

// MergeExemplarSeries is the union of what several parts have, ordered by labels.
func MergeExemplarSeries(all []storage.ExemplarSeries) []storage.ExemplarSeries {
	slices.SortStableFunc(all, func(a, b storage.ExemplarSeries) int { return labels.Compare(a.Labels, b.Labels) })
	var out []storage.ExemplarSeries
	for i := 0; i < len(all); {
		var parts [][]exemplar.Exemplar
		at := i
		for ; i < len(all) && labels.Equal(all[i].Labels, all[at].Labels); i++ {
			parts = append(parts, all[i].Exemplars)
		}
		out = append(out, storage.ExemplarSeries{Labels: all[at].Labels, Exemplars: MergeExemplars(parts...)})
	}
	return out
}

// ThinExemplars leaves out exemplars, evenly, so that no more than limit are left.
// The newest one stays.
func ThinExemplars(list []exemplar.Exemplar, limit int) []exemplar.Exemplar {
	n := len(list)
	if n <= limit {
		return list
	}
	out := make([]exemplar.Exemplar, 0, max(limit, 0))
	for i := range limit {
		out = append(out, list[(i+1)*n/limit-1])
	}
	return out
}
