package inspect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
)

// Dump writes every sample with mint <= t <= maxt of the series that match one
// of the selectors, all if there is none: "{labels} value time", a line each,
// in ascending order of the labels and then of time. Times are milliseconds.
func Dump(ctx context.Context, store storage.Queryable, mint, maxt int64, selectors [][]*labels.Matcher, out io.Writer) (err error) {
	q, err := store.Querier(mint, maxt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	if len(selectors) == 0 {
		selectors = [][]*labels.Matcher{nil}
	}
	var sets []storage.SeriesSet
	for _, ms := range selectors {
		sets = append(sets, q.Select(ctx, &storage.SelectHints{Sorted: true}, ms...))
	}
	w := bufio.NewWriter(out)
	set := batch.MergeSets(sets, labels.Compare, 0)
	var b storage.Batch
	for set.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := set.At().Labels().String()
		it := set.At().Batches(nil)
		for it.Next(&b) {
			if err := dumpBatch(w, name, &b); err != nil {
				return err
			}
		}
		if err := it.Err(); err != nil {
			return errors.Join(fmt.Errorf("series %s: %w", name, err), w.Flush())
		}
	}
	return errors.Join(set.Err(), w.Flush())
}

func dumpBatch(w io.Writer, name string, b *storage.Batch) (err error) {
	for i, t := range b.Times {
		switch b.Kind {
		case storage.KindHistogram:
			_, err = fmt.Fprintf(w, "%s %s %d\n", name, b.Histograms[i], t)
		case storage.KindFloatHistogram:
			_, err = fmt.Fprintf(w, "%s %s %d\n", name, b.FloatHistograms[i], t)
		default:
			_, err = fmt.Fprintf(w, "%s %g %d\n", name, b.Values[i], t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
