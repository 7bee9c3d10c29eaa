package main

import (
	"net/url"

	"github.com/gnomonhq/gnomon/alerting/notify"
	"github.com/gnomonhq/gnomon/alerting/rules"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/web/api"
)

// apiRules shows the rule groups to the HTTP API.
type apiRules struct{ manager *rules.Manager }

func (r apiRules) RuleGroups(withAlerts bool) []api.RuleGroup {
	groups := r.manager.Groups(withAlerts)
	out := make([]api.RuleGroup, len(groups))
	for i, g := range groups {
		out[i] = api.RuleGroup{
			Name: g.Name, File: g.File, Interval: g.Interval, Limit: g.Limit,
			EvaluationTime: g.EvaluationTime, LastEvaluation: g.LastEvaluation,
			Rules: make([]api.Rule, len(g.Rules)),
		}
		for k := range g.Rules {
			out[i].Rules[k] = apiRule(&g.Rules[k])
		}
	}
	return out
}

func apiRule(r *rules.RuleStatus) api.Rule {
	out := api.Rule{
		Name: r.Name, Query: r.Query, Labels: r.Labels, Health: string(r.Health),
		EvaluationTime: r.EvaluationDuration, LastEvaluation: r.LastEvaluation,
	}
	if r.LastError != nil {
		out.LastError = r.LastError.Error()
	}
	if !r.Alerting {
		return out
	}
	out.Kind = api.AlertingRule
	out.State, out.HoldDuration, out.KeepFiringFor = r.State.String(), r.Duration, r.KeepFiringFor
	out.Annotations = r.Annotations
	for i := range r.Alerts {
		out.Alerts = append(out.Alerts, apiAlert(&r.Alerts[i]))
	}
	return out
}

func apiAlert(a *state.Alert) api.Alert {
	return api.Alert{
		Labels: a.Labels, Annotations: a.Annotations, State: a.State.String(),
		ActiveAt: a.ActiveAt, KeepFiringSince: a.KeepFiringSince, Value: a.Value,
	}
}

// apiAlertmanagers shows where alerts go to the HTTP API.
type apiAlertmanagers struct{ manager *notify.Manager }

func (a apiAlertmanagers) Alertmanagers() []string { return texts(a.manager.Alertmanagers()) }
func (a apiAlertmanagers) DroppedAlertmanagers() []string {
	return texts(a.manager.DroppedAlertmanagers())
}

func texts(urls []*url.URL) []string {
	out := make([]string, len(urls))
	for i, u := range urls {
		out[i] = u.String()
	}
	return out
}
