package api

import "net/http"

// formatQuery serves /format_query.
func (a *API) formatQuery(r *http.Request) (response, error) {
	expr, err := a.parseExpr(r.Form.Get("query"))
	if err != nil {
		return response{}, invalidParam("query", err)
	}
	pretty := expr.Pretty(0)
	return response{data: func(e *encoder) { e.str(pretty) }}, nil
}

// parseQuery serves /parse_query.
func (a *API) parseQuery(r *http.Request) (response, error) {
	expr, err := a.parseExpr(r.Form.Get("query"))
	if err != nil {
		return response{}, invalidParam("query", err)
	}
	return response{data: func(e *encoder) { e.expr(expr) }}, nil
}
