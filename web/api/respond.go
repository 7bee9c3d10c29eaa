package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/util/annotations"

	"github.com/gnomonhq/gnomon/storage"
)

// maxAnnotations is how many warnings, and how many infos, a response has at
// most.
const maxAnnotations = 10

// errTruncated is the warning of a response that a limit cut short.
var errTruncated = errors.New("results truncated due to limit")

// response is the successful answer of a handler.
type response struct {
	// data writes the value of the field data. nil answers 204, without a body.
	data func(*encoder)
	// annotations become the fields warnings and infos.
	annotations annotations.Annotations
	// release, if not nil, is called when data is not needed any more.
	release func()
}

// handlerFunc answers a request whose form has been parsed. An error that is
// not an *apiError is internal.
type handlerFunc func(r *http.Request) (response, error)

// errorType is the field errorType of a response.
type errorType string

const (
	errorTimeout     errorType = "timeout"
	errorCanceled    errorType = "canceled"
	errorExec        errorType = "execution"
	errorBadData     errorType = "bad_data"
	errorInternal    errorType = "internal"
	errorUnavailable errorType = "unavailable"
	errorNotFound    errorType = "not_found"
	// errorRefused is our own: come again later.
	errorRefused errorType = "refused"
)

// statusClientClosedRequest is what nginx answers when the client went away.
const statusClientClosedRequest = 499

// status returns the status code that goes with an error type. That
// unavailable is an internal error is Prometheus's choice.
func (t errorType) status() int {
	switch t {
	case errorBadData:
		return http.StatusBadRequest
	case errorExec:
		return http.StatusUnprocessableEntity
	case errorCanceled:
		return statusClientClosedRequest
	case errorTimeout, errorRefused:
		return http.StatusServiceUnavailable
	case errorNotFound:
		return http.StatusNotFound
	default:
		return http.StatusInternalServerError
	}
}

// apiError is an error with the type that the client is told.
type apiError struct {
	typ errorType
	err error
}

// Error returns the text that the client is told.
func (e *apiError) Error() string { return e.err.Error() }

// Unwrap returns the error inside.
func (e *apiError) Unwrap() error { return e.err }

func badData(err error) error { return &apiError{errorBadData, err} }

// invalidParam blames a parameter.
func invalidParam(name string, err error) error {
	return badData(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// unavailable is the error of an endpoint whose part does not exist in this
// server.
func unavailable(part string) error {
	return &apiError{errorExec, fmt.Errorf("unavailable: this server has no %s", part)}
}

// queryError gives an error of the engine or the storage its type.
func queryError(err error) error {
	var qe *QueryError
	if errors.As(err, &qe) {
		switch qe.Kind {
		case QueryInvalid:
			return invalidParam("query", err)
		case QueryTimedOut:
			return &apiError{errorTimeout, err}
		case QueryCanceled:
			return &apiError{errorCanceled, err}
		case QueryRefused:
			return &apiError{errorRefused, err}
		case QueryStorageFailed:
			return &apiError{errorInternal, err}
		case QueryFailed:
			return &apiError{errorExec, err}
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &apiError{errorCanceled, err}
	case errors.Is(err, storage.ErrClosed):
		return &apiError{errorUnavailable, err}
	default:
		return &apiError{errorExec, err}
	}
}

// envelope makes an HTTP handler of h: it sets the CORS headers, parses the
// form, compresses, and wraps what h answers into the envelope.
func (a *API) envelope(h handlerFunc) http.Handler {
	return Compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.setCORS(w, r)
		if err := parseForm(w, r); err != nil {
			a.respondError(w, r, err)
			return
		}
		resp, err := h(r)
		if resp.release != nil {
			defer resp.release()
		}
		switch {
		case err != nil:
			a.respondError(w, r, err)
		case resp.data == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			a.respond(w, r, resp)
		}
	}))
}

func (a *API) respond(w http.ResponseWriter, r *http.Request, resp response) {
	w.Header().Set("Content-Type", "application/json")
	e := newEncoder(w)
	defer e.free()
	e.raw(`{"status":"success","data":`)
	resp.data(e)
	warnings, infos := annotationTexts(resp.annotations, r.Form.Get("query"))
	if len(warnings) > 0 {
		e.raw(`,"warnings":`)
		e.strs(warnings)
	}
	if len(infos) > 0 {
		e.raw(`,"infos":`)
		e.strs(infos)
	}
	e.rawByte('}')
	e.flush()
	a.logWrite(r, e.err)
}

// annotationTexts returns the texts of the annotations, sorted and bounded.
func annotationTexts(as annotations.Annotations, query string) (warnings, infos []string) {
	if len(as) == 0 {
		return nil, nil
	}
	warnings, infos = as.AsStrings(query, 0, 0)
	return boundTexts(warnings, "warning"), boundTexts(infos, "info")
}

func boundTexts(texts []string, kind string) []string {
	slices.Sort(texts)
	if skipped := len(texts) - maxAnnotations; skipped > 0 {
		texts = append(texts[:maxAnnotations], fmt.Sprintf("%d more %s annotations omitted", skipped, kind))
	}
	return texts
}

func (a *API) respondError(w http.ResponseWriter, r *http.Request, err error) {
	var ae *apiError
	if !errors.As(err, &ae) {
		ae = &apiError{errorInternal, err}
	}
	if ae.typ == errorInternal {
		a.opts.Logger.Error("api request failed", "path", r.URL.Path, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(ae.typ.status())
	e := newEncoder(w)
	defer e.free()
	e.raw(`{"status":"error","errorType":`)
	e.str(string(ae.typ))
	e.raw(`,"error":`)
	e.str(ae.Error())
	e.rawByte('}')
	e.flush()
	a.logWrite(r, e.err)
}

// logWrite logs that a response did not reach the client. Mostly the client
// went away, so that it is not our concern.
func (a *API) logWrite(r *http.Request, err error) {
	if err != nil {
		a.opts.Logger.Debug("write api response", "path", r.URL.Path, "err", err)
	}
}
