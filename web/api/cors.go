package api

import (
	"net/http"
	"regexp"
)

// anyOrigin is the default of Options.CORSOrigin. Only this very expression is
// answered with "*"; any other one that matches is answered with the origin.
var anyOrigin = regexp.MustCompile("^(?:.*)$")

// setCORS says which origins may read the response.
func (a *API) setCORS(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	header.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin")
	header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	header.Set("Access-Control-Expose-Headers", "Date")
	switch {
	case a.opts.CORSOrigin.String() == anyOrigin.String():
		header.Set("Access-Control-Allow-Origin", "*")
	case a.opts.CORSOrigin.MatchString(origin):
		header.Set("Access-Control-Allow-Origin", origin)
	}
}

// preflight answers what a browser asks before it sends the real request: the
// headers are all.
func preflight(*http.Request) (response, error) { return response{}, nil }
