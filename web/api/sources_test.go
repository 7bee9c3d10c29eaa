package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDiscoverySources(t *testing.T) {
	sources := []DiscoverySource{
		{Mechanism: "kubernetes", Server: "https://k:6443", Resource: "pods", Objects: 3, Up: true, LastContact: time.UnixMilli(1_790_000_000_500)},
		{Mechanism: "kubernetes", Server: "https://k:6443", Resource: "pods", Namespace: "shut", Selector: "a=b", Error: "<forbidden>"},
	}
	w := request(serveMux(New(Options{DiscoverySources: func() []DiscoverySource { return sources }})), "GET", "/status/discovery", "", "")
	require.JSONEq(t, `{"status":"success","data":{"sources":[
		{"mechanism":"kubernetes","server":"https://k:6443","resource":"pods","namespace":"","selector":"","objects":3,"up":true,
		 "lastContact":"2026-09-21T14:13:20.5Z","error":""},
		{"mechanism":"kubernetes","server":"https://k:6443","resource":"pods","namespace":"shut","selector":"a=b","objects":0,"up":false,
		 "lastContact":null,"error":"<forbidden>"}]}}`, w.Body.String())
	require.Equal(t, 422, request(serveMux(New(Options{})), "GET", "/status/discovery", "", "").Code)
}
