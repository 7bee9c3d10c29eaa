package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/model/metadata"
)

// metricMetadata serves /metadata: what is known of metric families, from
// whichever way they came in.
func (a *API) metricMetadata(r *http.Request) (response, error) {
	limit, err := countParam(r, "limit", -1)
	if err != nil {
		return response{}, err
	}
	perMetric, err := countParam(r, "limit_per_metric", -1)
	if err != nil {
		return response{}, err
	}
	q, err := a.querier(milliseconds(minTime), milliseconds(maxTime))
	if err != nil {
		return response{}, err
	}
	defer a.closeQuerier(q)
	families, err := q.Metadata(r.Context(), r.Form.Get("metric"))
	if err != nil {
		return response{}, queryError(err)
	}
	names := slices.Sorted(maps.Keys(families))
	if limit >= 0 && len(names) > limit {
		names = names[:limit]
	}
	return response{data: func(e *encoder) {
		e.rawByte('{')
		for i, name := range names {
			e.comma(i)
			e.str(name)
			e.rawByte(':')
			list := families[name]
			if perMetric > 0 && len(list) > perMetric {
				list = list[:perMetric]
			}
			e.metadata(list)
			e.spill()
		}
		e.rawByte('}')
	}}, nil
}

func (e *encoder) metadata(list []metadata.Metadata) {
	e.rawByte('[')
	for i, m := range list {
		e.comma(i)
		e.raw(`{"type":`)
		e.str(string(m.Type))
		e.raw(`,"unit":`)
		e.str(m.Unit)
		e.raw(`,"help":`)
		e.str(m.Help)
		e.rawByte('}')
	}
	e.rawByte(']')
}
