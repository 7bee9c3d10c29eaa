package operator

//lint:file-ignore SA1019 Objects use deprecated fields for as long as the API server takes them.

import (
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// bearerTokenSecret returns the Secret with a token, nil if there is none. One without
// a name is what some charts leave behind.
func bearerTokenSecret(c *monitoringv1.HTTPConfigWithoutTLS) *corev1.SecretKeySelector {
	if c.BearerTokenSecret == nil || c.BearerTokenSecret.Name == "" {
		return nil
	}
	return c.BearerTokenSecret
}

// bearerTokenFile returns the file of this server that holds the token of an endpoint.
func bearerTokenFile(e *monitoringv1.Endpoint) string { return e.BearerTokenFile }

// podTargetPort returns the port that an endpoint of pods had before portNumber.
func podTargetPort(e *monitoringv1.PodMetricsEndpoint) *intstr.IntOrString { return e.TargetPort }

// apiServerToken adds the token for the API server.
func apiServerToken(s *section, c *monitoringv1.APIServerConfig) {
	s.text("bearer_token", c.BearerToken)
	s.text("bearer_token_file", c.BearerTokenFile)
}

// excludedRules returns the rules that the namespace label is not enforced on.
func excludedRules(spec *monitoringv1.PrometheusSpec) []monitoringv1.PrometheusRuleExcludeConfig {
	return spec.PrometheusRulesExcludedFromEnforce
}
