package scan

import (
	"context"
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Find finds a series by its labels. The caller holds the reader.
func Find(r *block.Reader, ls labels.Labels) (id uint32, e block.SeriesEntry, ok bool, err error) {
	ms := make([]*labels.Matcher, 0, ls.Len())
	ls.Range(func(l labels.Label) {
		ms = append(ms, &labels.Matcher{Type: labels.MatchEqual, Name: l.Name, Value: l.Value})
	})
	ids, err := index.Select(context.Background(), r, ms...)
	if err != nil {
		return 0, e, false, err
	}
	builder := labels.NewScratchBuilder(ls.Len())
	for it := ids.Iterator(); it.HasNext(); {
		id = it.Next()
		if err := r.Series(id, &builder, &e); err != nil {
			return 0, e, false, err
		}
		if labels.Equal(e.Labels, ls) {
			return id, e, true, nil
		}
	}
	return 0, e, false, nil
}

// Newest returns the time of the newest sample that the block has, or had
// before it was deleted, of a series. The caller holds the reader.
func Newest(r *block.Reader, e *block.SeriesEntry) (t int64, ok bool, err error) {
	b := Block{Reader: r}
	t, ok = math.MinInt64, false
	for i := len(e.Chunks) - 1; i >= 0; i-- {
		times, _, _, err := b.span(&e.Chunks[i], math.MinInt64, math.MaxInt64)
		if err != nil {
			return 0, false, err
		}
		last := len(times) - 1
		if e.Chunks[i].HasPresence {
			data, err := r.Chunk(&e.Chunks[i])
			if err != nil {
				return 0, false, err
			}
			for last >= 0 && !data.Presence.Has(storage.Column(last)) {
				last--
			}
		}
		if last >= 0 && times[last] > t {
			t, ok = times[last], true
		}
	}
	return t, ok, nil
}
