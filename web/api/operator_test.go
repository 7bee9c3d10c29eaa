package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOperatorObjects(t *testing.T) {
	objects := []OperatorObject{
		{Kind: "ServiceMonitor", Namespace: "a", Name: "b", Jobs: []string{"serviceMonitor/a/b/0"}},
		{Kind: "PrometheusRule", Namespace: "a", Name: "c", Reason: "InvalidConfiguration", Message: "<spec>"},
	}
	w := request(serveMux(New(Options{OperatorObjects: func() []OperatorObject { return objects }})), "GET", "/status/operator", "", "")
	require.JSONEq(t, `{"status":"success","data":{"objects":[
		{"kind":"ServiceMonitor","namespace":"a","name":"b","accepted":true,"reason":"","message":"","jobs":["serviceMonitor/a/b/0"],"ruleFile":""},
		{"kind":"PrometheusRule","namespace":"a","name":"c","accepted":false,"reason":"InvalidConfiguration","message":"<spec>","jobs":[],"ruleFile":""}
		]}}`, w.Body.String())
	require.Equal(t, 422, request(serveMux(New(Options{})), "GET", "/status/operator", "", "").Code)
}
