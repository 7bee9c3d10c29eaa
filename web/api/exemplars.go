package api

import (
	"errors"
	"net/http"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/storage"
)

// queryExemplars serves /query_exemplars.
func (a *API) queryExemplars(r *http.Request) (response, error) {
	mint, maxt, err := rangeParams(r)
	if err != nil {
		return response{}, err
	}
	if maxt < mint {
		return response{}, badData(errors.New("end timestamp must not be before start timestamp"))
	}
	expr, err := a.parseExpr(r.Form.Get("query"))
	if err != nil {
		return response{}, badData(err)
	}
	selectors := parser.ExtractSelectors(expr)
	if len(selectors) == 0 {
		return response{}, nil
	}
	q, err := a.querier(mint, maxt)
	if err != nil {
		return response{}, err
	}
	found, err := q.Exemplars(r.Context(), selectors...)
	if err != nil {
		a.closeQuerier(q)
		return response{}, queryError(err)
	}
	return response{
		data:    func(e *encoder) { e.exemplars(found) },
		release: func() { a.closeQuerier(q) },
	}, nil
}

func (e *encoder) exemplars(list []storage.ExemplarSeries) {
	e.rawByte('[')
	for i, s := range list {
		e.comma(i)
		e.raw(`{"seriesLabels":`)
		e.labels(s.Labels)
		e.raw(`,"exemplars":[`)
		for j, x := range s.Exemplars {
			e.comma(j)
			e.raw(`{"labels":`)
			e.labels(x.Labels)
			e.raw(`,"value":`)
			e.sampleValue(x.Value)
			e.raw(`,"timestamp":`)
			e.timestamp(x.Ts)
			e.rawByte('}')
			e.spill()
		}
		e.raw("]}")
	}
	e.rawByte(']')
}
