package api

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
)

var errAdminDisabled = &apiError{errorUnavailable, errors.New("admin APIs disabled")}

// deleteSeries serves /admin/tsdb/delete_series. Every match[] is parsed before
// anything is deleted.
func (a *API) deleteSeries(r *http.Request) (response, error) {
	if a.opts.Admin == nil {
		return response{}, errAdminDisabled
	}
	if len(r.Form["match[]"]) == 0 {
		return response{}, badData(errors.New("no match[] parameter provided"))
	}
	mint, maxt, err := rangeParams(r)
	if err != nil {
		return response{}, err
	}
	var sets [][]*labels.Matcher
	for _, s := range r.Form["match[]"] {
		set, err := a.opts.Parser.ParseMetricSelector(s)
		if err != nil {
			return response{}, invalidParam("match[]", err)
		}
		if !selective(set) {
			return response{}, invalidParam("match[]", errNotSelective)
		}
		sets = append(sets, set)
	}
	for _, set := range sets {
		if err := a.opts.Admin.Delete(r.Context(), mint, maxt, set...); err != nil {
			return response{}, err
		}
	}
	return response{}, nil
}

// cleanTombstones serves /admin/tsdb/clean_tombstones.
func (a *API) cleanTombstones(r *http.Request) (response, error) {
	if a.opts.Admin == nil {
		return response{}, errAdminDisabled
	}
	return response{}, a.opts.Admin.CleanTombstones(r.Context())
}

// snapshot serves /admin/tsdb/snapshot.
func (a *API) snapshot(r *http.Request) (response, error) {
	if a.opts.Admin == nil {
		return response{}, errAdminDisabled
	}
	skipHead := false
	if s := r.Form.Get("skip_head"); s != "" {
		var err error
		if skipHead, err = strconv.ParseBool(s); err != nil {
			return response{}, invalidParam("skip_head", fmt.Errorf("unable to parse boolean: %w", err))
		}
	}
	name := fmt.Sprintf("%s-%016x", a.opts.Now().UTC().Format("20060102T150405Z0700"), rand.Int64())
	if err := a.opts.Admin.Snapshot(r.Context(), name, !skipHead); err != nil {
		return response{}, fmt.Errorf("create snapshot: %w", err)
	}
	return response{data: func(e *encoder) {
		e.raw(`{"name":`)
		e.str(name)
		e.rawByte('}')
	}}, nil
}
