package scan

import (
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// CountRows returns how many rows the series' chunks have with mint <= t <= maxt,
// whether deleted or not. Values are not decoded, so a row in which the series is
// absent counts as well. The caller holds the reader.
func CountRows(r *block.Reader, e *block.SeriesEntry, mint, maxt int64) (int, error) {
	b, n := Block{Reader: r}, 0
	for i := range e.Chunks {
		_, lo, hi, err := b.span(&e.Chunks[i], mint, maxt)
		if err != nil {
			return 0, err
		}
		n += hi - lo
	}
	return n, nil
}
