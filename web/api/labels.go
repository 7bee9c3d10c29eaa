package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// labelNames serves /labels.
func (a *API) labelNames(r *http.Request) (response, error) {
	return a.labelStrings(r, func(q storage.Querier, hints *storage.LabelHints, set []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(r.Context(), hints, set...)
	})
}

// labelValues serves /label/{name}/values. A name that the path cannot hold
// is escaped in the way of the exposition formats, after U__.
func (a *API) labelValues(r *http.Request) (response, error) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return response{}, badData(fmt.Errorf("invalid label name: %q", name))
	}
	return a.labelStrings(r, func(q storage.Querier, hints *storage.LabelHints, set []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(r.Context(), name, hints, set...)
	})
}

// labelLookup asks a querier for names or values.
type labelLookup func(storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)

// labelStrings answers with the union of what lookup yields for every match[].
func (a *API) labelStrings(r *http.Request, lookup labelLookup) (response, error) {
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
		return response{}, badData(err)
	}
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	q, err := a.querier(mint, maxt)
	if err != nil {
		return response{}, err
	}
	defer a.closeQuerier(q)

	hints := &storage.LabelHints{Limit: hintLimit(limit)}
	var notes annotations.Annotations
	var found []string
	for _, set := range sets {
		some, warnings, err := lookup(q, hints, set)
		notes.Merge(warnings)
		if err != nil {
			return response{}, queryError(err)
		}
		found = append(found, some...)
	}
	if len(sets) > 1 {
		slices.Sort(found)
		found = slices.Compact(found)
	}
	if limit > 0 && len(found) > limit {
		found = found[:limit]
		notes.Add(errTruncated)
	}
	return response{
		data:        func(e *encoder) { e.strs(found) },
		annotations: notes,
	}, nil
}
