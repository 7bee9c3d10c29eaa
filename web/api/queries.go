package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Queries knows the queries that run and wait.
type Queries interface {
	// Running lists them in the order in which they came.
	Running() []RunningQuery
	// Cancel ends a query and reports whether there is one with that ID.
	Cancel(id uint64) bool
}

// RunningQuery is a query that runs, or waits for a place.
type RunningQuery struct {
	ID    uint64
	Query string
	// Start, End and Step are those of the query; Step is 0 for an instant.
	Start, End time.Time
	Step       time.Duration
	// Class is rule, dashboard or ad-hoc.
	Class   string
	Waiting bool
	Since   time.Time
	// Series counts those that were read so far, Bytes is what is in memory.
	Series, Bytes int64
	Origin        Origin
	// RuleGroup and RuleFile name the rule group that asks, if one does.
	RuleGroup, RuleFile string
}

// queries serves /queries, which Prometheus does not have.
func (a *API) queries(r *http.Request) (response, error) {
	if a.opts.Queries == nil {
		return response{}, unavailable("query engine")
	}
	running := a.opts.Queries.Running()
	now := a.opts.Now()
	return response{data: func(e *encoder) {
		e.raw(`{"queries":[`)
		for i := range running {
			e.comma(i)
			e.runningQuery(&running[i], now)
		}
		e.raw(`]}`)
	}}, nil
}

func (e *encoder) runningQuery(q *RunningQuery, now time.Time) {
	state := "running"
	if q.Waiting {
		state = "waiting"
	}
	e.raw(`{"id":"`)
	e.integer(int64(q.ID))
	e.raw(`","query":`)
	e.str(q.Query)
	e.raw(`,"start":`)
	e.str(q.Start.UTC().Format(time.RFC3339Nano))
	e.raw(`,"end":`)
	e.str(q.End.UTC().Format(time.RFC3339Nano))
	e.raw(`,"step":`)
	e.seconds(q.Step)
	e.raw(`,"class":`)
	e.str(q.Class)
	e.raw(`,"state":`)
	e.str(state)
	e.raw(`,"since":`)
	e.str(q.Since.UTC().Format(time.RFC3339Nano))
	e.raw(`,"age":`)
	e.seconds(now.Sub(q.Since))
	e.raw(`,"series":`)
	e.integer(q.Series)
	e.raw(`,"bytes":`)
	e.integer(q.Bytes)
	if q.Origin.Path != "" {
		e.raw(`,"httpRequest":{"clientIP":`)
		e.str(q.Origin.ClientIP)
		e.raw(`,"method":`)
		e.str(q.Origin.Method)
		e.raw(`,"path":`)
		e.str(q.Origin.Path)
		e.rawByte('}')
	}
	if q.RuleGroup != "" {
		e.raw(`,"ruleGroup":{"file":`)
		e.str(q.RuleFile)
		e.raw(`,"name":`)
		e.str(q.RuleGroup)
		e.rawByte('}')
	}
	e.rawByte('}')
}

// cancelQuery serves /queries/{id}/cancel. It needs the admin API, since it ends
// what somebody else asked.
func (a *API) cancelQuery(r *http.Request) (response, error) {
	if a.opts.Queries == nil {
		return response{}, unavailable("query engine")
	}
	if a.opts.Admin == nil {
		return response{}, errAdminDisabled
	}
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return response{}, invalidParam("id", errors.New("it is no number: /api/v1/queries lists those of the running queries"))
	}
	if !a.opts.Queries.Cancel(id) {
		return response{}, &apiError{errorNotFound, fmt.Errorf("no query %d runs or waits; it may have ended", id)}
	}
	return response{}, nil
}
