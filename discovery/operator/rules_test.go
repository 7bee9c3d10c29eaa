package operator

import (
	"fmt"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func ruleOf(expr string) *monitoringv1.PrometheusRule {
	return &monitoringv1.PrometheusRule{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop"},
		Spec: monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{
			{Name: "g", Rules: []monitoringv1.Rule{{Record: "a", Expr: intstr.FromString(expr)}}},
		}},
	}
}

// TestRulesAreBounded: an expression cannot take the stack or the time of the server.
func TestRulesAreBounded(t *testing.T) {
	g, err := New(Options{
		Namespace: "shop", Name: "a", MaxRuleFileBytes: 10_000, MaxExpressionBytes: 5000,
		Spec: monitoringv1.PrometheusSpec{CommonPrometheusFields: monitoringv1.CommonPrometheusFields{EnforcedNamespaceLabel: "tenant"}},
	})
	require.NoError(t, err)
	for expr, message := range map[string]string{
		nested(999):                                "",
		nested(1000):                               "spec.groups[0].rules[0].expr: is nested deeper than 1000",
		nested(2000):                               "spec.groups[0].rules[0].expr: is nested deeper than 1000",
		nested(2500):                               "spec.groups[0].rules[0].expr: has 5001 bytes, more than 5000",
		"x" + strings.Repeat("+x", 1100):           "spec.groups[0].rules[0].expr: is nested deeper than 1000",
		strings.Repeat("-", 4000) + "x":            "spec.groups[0].rules[0].expr: is nested deeper than 1000",
		"f(" + strings.Repeat("x,", 2000) + "x)":   "unknown function",
		"absent(" + strings.Repeat("(", 100) + ")": "parse error",
	} {
		r := g.PrometheusRule(ruleOf(expr))
		if message == "" {
			require.Nil(t, r.Rejection)
			continue
		}
		require.NotNil(t, r.Rejection, expr)
		require.Contains(t, r.Rejection.Message, message)
		require.Nil(t, r.Rules)
	}

	m := ruleOf("x")
	for i := range 200 {
		m.Spec.Groups = append(m.Spec.Groups, monitoringv1.RuleGroup{Name: fmt.Sprintf("a group with a name of some length %d", i)})
	}
	require.Contains(t, g.PrometheusRule(m).Rejection.Message, "bytes, more than 10000")
}

func nested(levels int) string {
	return strings.Repeat("(", levels) + "x" + strings.Repeat(")", levels)
}

// TestParserIsTheServers: what the server's own parser knows is no fault.
func TestParserIsTheServers(t *testing.T) {
	const expr = "limitk(2, x)"
	options := Options{Namespace: "shop", Name: "a"}
	g, err := New(options)
	require.NoError(t, err)
	require.Contains(t, g.PrometheusRule(ruleOf(expr)).Rejection.Message, "spec.groups[0].rules[0].expr: ")

	options.Parser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
	g, err = New(options)
	require.NoError(t, err)
	require.Nil(t, g.PrometheusRule(ruleOf(expr)).Rejection)
}
