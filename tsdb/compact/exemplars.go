package compact

import (
	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// Exemplars bounds the exemplars of a block. What is too much is left out evenly
// over time and series.
type Exemplars struct {
	// PerSeries bounds those of a series and Total those of all; 0 is 500, and a
	// million.
	PerSeries, Total int
	// Expected is about how many there are in the sources; Merge counts them.
	Expected int
	// Dropped is told how many were left out; nil is not.
	Dropped func(n int)
}

// keeper applies the bounds to the series of a block, one after the other.
type keeper struct {
	perSeries, left, dropped int
	// share of a series' exemplars may be kept for all to fit.
	share float64
}

func newKeeper(e Exemplars) *keeper {
	k := &keeper{perSeries: e.PerSeries, left: e.Total, share: 1}
	if k.perSeries == 0 {
		k.perSeries = 500
	}
	if k.left == 0 {
		k.left = 1_000_000
	}
	if e.Expected > k.left {
		k.share = float64(k.left) / float64(e.Expected)
	}
	return k
}

// keep returns what is kept of a series' exemplars.
func (k *keeper) keep(list []exemplar.Exemplar) []exemplar.Exemplar {
	limit := min(k.perSeries, k.left)
	if k.share < 1 {
		limit = min(limit, int(float64(len(list))*k.share+0.5))
	}
	kept := batch.ThinExemplars(list, limit)
	k.left -= len(kept)
	k.dropped += len(list) - len(kept)
	return kept
}
