package api

import (
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// querier opens a snapshot of the storage.
func (a *API) querier(mint, maxt int64) (storage.Querier, error) {
	if a.opts.Storage == nil {
		return nil, unavailable("storage")
	}
	q, err := a.opts.Storage.Querier(mint, maxt)
	if err != nil {
		return nil, queryError(err)
	}
	return q, nil
}

// closeQuerier closes a snapshot after its results were used. That it cannot be
// closed does not make them wrong.
func (a *API) closeQuerier(q storage.Querier) {
	if err := q.Close(); err != nil {
		a.opts.Logger.Error("close querier", "err", err)
	}
}

// series serves /series.
func (a *API) series(r *http.Request) (response, error) {
	if len(r.Form["match[]"]) == 0 {
		return response{}, badData(errors.New("no match[] parameter provided"))
	}
	limit, err := limitParam(r)
	if err != nil {
		return response{}, err
	}
	mint, maxt, err := rangeParams(r)
	if err != nil {
		return response{}, err
	}
	sets, err := a.matcherSets(r)
	if err != nil {
		return response{}, invalidParam("match[]", err)
	}
	q, err := a.querier(mint, maxt)
	if err != nil {
		return response{}, err
	}
	defer a.closeQuerier(q)

	hints := &storage.SelectHints{
		Mint: mint, Maxt: maxt,
		Sorted:     len(sets) > 1,
		Limit:      hintLimit(limit),
		LabelsOnly: true,
		Func:       "series",
	}
	var notes annotations.Annotations
	var found []labels.Labels
	for _, set := range sets {
		found, err = appendSeries(found, q.Select(r.Context(), hints, set...), hints.Limit, &notes)
		if err != nil {
			return response{}, queryError(err)
		}
		if err := r.Context().Err(); err != nil {
			return response{}, queryError(err)
		}
	}
	if len(sets) > 1 {
		slices.SortFunc(found, labels.Compare)
		found = slices.CompactFunc(found, labels.Equal)
	}
	if limit > 0 && len(found) > limit {
		found = found[:limit]
		notes.Add(errTruncated)
	}
	return response{
		data: func(e *encoder) {
			e.rawByte('[')
			for i, ls := range found {
				e.comma(i)
				e.labels(ls)
				e.spill()
			}
			e.rawByte(']')
		},
		annotations: notes,
	}, nil
}

// appendSeries appends the labels of up to limit series of a set; 0 is all.
func appendSeries(to []labels.Labels, set storage.SeriesSet, limit int, notes *annotations.Annotations) ([]labels.Labels, error) {
	for n := 0; set.Next(); {
		to = append(to, set.At().Labels())
		if n++; n == limit {
			break
		}
	}
	notes.Merge(set.Warnings())
	return to, set.Err()
}
