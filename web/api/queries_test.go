package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// queryRoom has running queries.
type queryRoom struct {
	list     []RunningQuery
	canceled []uint64
}

func (q *queryRoom) Running() []RunningQuery { return q.list }

func (q *queryRoom) Cancel(id uint64) bool {
	q.canceled = append(q.canceled, id)
	return id == 7
}

func TestRunningQueries(t *testing.T) {
	at := time.UnixMilli(1_790_000_000_500)
	room := &queryRoom{list: []RunningQuery{
		{
			ID: 7, Query: `sum("<")`, Start: at.Add(-time.Hour), End: at, Step: 15 * time.Second, Class: "dashboard", Since: at,
			Series: 3, Bytes: 4096, Origin: Origin{ClientIP: "10.0.0.1", Method: "GET", Path: "/api/v1/query_range"},
		},
		{ID: 8, Query: "up", Start: at, End: at, Class: "rule", Waiting: true, Since: at, RuleFile: "r.yml", RuleGroup: "g"},
	}}
	h := serveMux(New(Options{Queries: room, Now: func() time.Time { return at.Add(1500 * time.Millisecond) }}))
	w := request(h, "GET", "/queries", "", "")
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"status":"success","data":{"queries":[
		{"id":"7","query":"sum(\"<\")","start":"2026-09-21T13:13:20.5Z","end":"2026-09-21T14:13:20.5Z","step":15,"class":"dashboard","state":"running",
		 "since":"2026-09-21T14:13:20.5Z","age":1.5,"series":3,"bytes":4096,"httpRequest":{"clientIP":"10.0.0.1","method":"GET","path":"/api/v1/query_range"}},
		{"id":"8","query":"up","start":"2026-09-21T14:13:20.5Z","end":"2026-09-21T14:13:20.5Z","step":0,"class":"rule","state":"waiting",
		 "since":"2026-09-21T14:13:20.5Z","age":1.5,"series":0,"bytes":0,"ruleGroup":{"file":"r.yml","name":"g"}}]}}`, w.Body.String())

	require.Equal(t, 500, request(h, "POST", "/queries/7/cancel", "", "").Code, "the admin API is disabled")
	require.Empty(t, room.canceled)
	h = serveMux(New(Options{Queries: room, Admin: &adminLog{}}))
	require.Equal(t, 204, request(h, "POST", "/queries/7/cancel", "", "").Code)
	w = request(h, "POST", "/queries/9/cancel", "", "")
	require.Equal(t, 404, w.Code)
	require.Equal(t, `{"status":"error","errorType":"not_found","error":"no query 9 runs or waits; it may have ended"}`, w.Body.String())
	require.Equal(t, 400, request(h, "POST", "/queries/x/cancel", "", "").Code)
	require.Equal(t, []uint64{7, 9}, room.canceled)
	require.Equal(t, 422, request(serveMux(New(Options{})), "GET", "/queries", "", "").Code)
}

// TestDashboardsAreTold has queries of Grafana and of others.
func TestDashboardsAreTold(t *testing.T) {
	engine := &stubEngine{result: scalar()}
	h := serveMux(New(Options{Engine: engine}))
	for header, want := range map[string]bool{"": false, "abc": true} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/query?query=x", nil)
		r.Header.Set(dashboardHeader, header)
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, want, engine.asked.Dashboard)
	}
}
