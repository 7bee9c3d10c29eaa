package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Rules knows the rules and their alerts. It is used by any number of
// goroutines.
type Rules interface {
	// RuleGroups returns the rule groups in the order of the configuration. The
	// alerts of the alerting rules are left out unless withAlerts is true.
	RuleGroups(withAlerts bool) []RuleGroup
}

// RuleGroup is a rule group with the outcome of its last evaluation.
type RuleGroup struct {
	Name, File string
	Interval   time.Duration
	// Limit is the greatest number of series or alerts that a rule may yield;
	// 0 is no limit.
	Limit int
	Rules []Rule
	// EvaluationTime is how long the last evaluation took and LastEvaluation
	// when it began; zero if there was none.
	EvaluationTime time.Duration
	LastEvaluation time.Time
}

// RuleKind says what a rule does.
type RuleKind uint8

// The kinds of rules.
const (
	RecordingRule RuleKind = iota
	AlertingRule
)

// Rule is a recording or an alerting rule.
type Rule struct {
	Kind RuleKind
	// Name is the name of the recorded metric or of the alert.
	Name string
	// Query is the expression as the parser prints it.
	Query  string
	Labels labels.Labels
	// Health is "ok", "err" or "unknown", LastError the error of the last
	// evaluation.
	Health, LastError string
	// EvaluationTime is how long the last evaluation took and LastEvaluation
	// when it began; zero if there was none.
	EvaluationTime time.Duration
	LastEvaluation time.Time

	// What follows is of alerting rules only.

	// State is "inactive", "pending", "firing" or "unknown".
	State string
	// HoldDuration is the rule's for, KeepFiringFor its keep_firing_for.
	HoldDuration, KeepFiringFor time.Duration
	Annotations                 labels.Labels
	// Alerts are the active alerts.
	Alerts []Alert
}

// Alert is an active alert.
type Alert struct {
	Labels, Annotations labels.Labels
	// State is "pending" or "firing".
	State    string
	ActiveAt time.Time
	// KeepFiringSince is when the expression stopped yielding the alert; zero
	// if it has not.
	KeepFiringSince time.Time
	Value           float64
}

// ruleFilter is what a request wants of the rules.
type ruleFilter struct {
	names, groups, files []string
	matcherSets          [][]*labels.Matcher
	kind                 string // "", "alert" or "record"
	excludeAlerts        bool
	// groupLimit is the number of groups of a page, 0 all of them; nextToken
	// names the group that the page begins with, "" the first.
	groupLimit int
	nextToken  string
}

// ruleFilter reads the parameters of /rules.
func (a *API) ruleFilter(r *http.Request) (f ruleFilter, err error) {
	f.names = r.Form["rule_name[]"]
	f.groups = r.Form["rule_group[]"]
	f.files = r.Form["file[]"]
	if f.matcherSets, err = a.matcherSets(r); err != nil {
		return f, badData(err)
	}
	f.kind = strings.ToLower(r.Form.Get("type"))
	if f.kind != "" && f.kind != "alert" && f.kind != "record" {
		return f, invalidParam("type", fmt.Errorf("not supported value %q", f.kind))
	}
	if s := strings.ToLower(r.Form.Get("exclude_alerts")); s != "" {
		if f.excludeAlerts, err = strconv.ParseBool(s); err != nil {
			return f, invalidParam("exclude_alerts", fmt.Errorf("error converting exclude_alerts: %w", err))
		}
	}
	return f, f.page(r.Form.Get("group_limit"), r.Form.Get("group_next_token"))
}

// page reads the parameters of pagination.
func (f *ruleFilter) page(limit, token string) error {
	if limit == "" {
		if token != "" {
			return invalidParam("group_next_token", errors.New("group_limit needs to be present in order to paginate over the groups"))
		}
		return nil
	}
	n, err := strconv.ParseInt(limit, 10, 32)
	if err != nil {
		return invalidParam("group_limit", fmt.Errorf("group_limit needs to be a valid number: %w", err))
	}
	if n <= 0 {
		return invalidParam("group_limit", errors.New("group_limit needs to be greater than 0"))
	}
	f.groupLimit, f.nextToken = int(n), token
	return nil
}

// wants reports whether the filter lets a rule through.
func (f *ruleFilter) wants(r *Rule) bool {
	if f.kind == "alert" && r.Kind != AlertingRule || f.kind == "record" && r.Kind != RecordingRule {
		return false
	}
	if len(f.names) > 0 && !slices.Contains(f.names, r.Name) {
		return false
	}
	if len(f.matcherSets) == 0 {
		return true
	}
	return slices.ContainsFunc(f.matcherSets, func(set []*labels.Matcher) bool {
		return matches(r.Labels, set)
	})
}

// apply returns the wanted groups with their wanted rules; groups without any
// are left out. next is the token of the next page, if there is one.
func (f *ruleFilter) apply(groups []RuleGroup) (wanted []RuleGroup, next string, err error) {
	found := f.nextToken == ""
	for _, g := range groups {
		token := groupToken(g.File, g.Name)
		if !found {
			if token != f.nextToken {
				continue
			}
			found = true
		}
		if len(f.groups) > 0 && !slices.Contains(f.groups, g.Name) ||
			len(f.files) > 0 && !slices.Contains(f.files, g.File) {
			continue
		}
		rules := make([]Rule, 0, len(g.Rules))
		for i := range g.Rules {
			if f.wants(&g.Rules[i]) {
				rules = append(rules, g.Rules[i])
			}
		}
		if len(rules) == 0 {
			continue
		}
		if f.groupLimit > 0 && len(wanted) == f.groupLimit {
			return wanted, token, nil
		}
		g.Rules = rules
		wanted = append(wanted, g)
	}
	if !found {
		return nil, "", invalidParam("group_next_token", fmt.Errorf("invalid group_next_token '%v'. were rule groups changed?", f.nextToken))
	}
	return wanted, "", nil
}

// groupToken names a rule group in pagination.
func groupToken(file, group string) string {
	sum := sha256.Sum256([]byte(file + ";" + group))
	return hex.EncodeToString(sum[:])
}

// rules serves /rules.
func (a *API) rules(r *http.Request) (response, error) {
	if a.opts.Rules == nil {
		return response{}, unavailable("rules")
	}
	filter, err := a.ruleFilter(r)
	if err != nil {
		return response{}, err
	}
	groups, next, err := filter.apply(a.opts.Rules.RuleGroups(!filter.excludeAlerts))
	if err != nil {
		return response{}, err
	}
	return response{data: func(e *encoder) {
		e.raw(`{"groups":[`)
		for i := range groups {
			e.comma(i)
			e.ruleGroup(&groups[i], filter.excludeAlerts)
		}
		e.rawByte(']')
		if next != "" {
			e.raw(`,"groupNextToken":`)
			e.str(next)
		}
		e.rawByte('}')
	}}, nil
}

// alerts serves /alerts.
func (a *API) alerts(*http.Request) (response, error) {
	if a.opts.Rules == nil {
		return response{}, unavailable("rules")
	}
	groups := a.opts.Rules.RuleGroups(true)
	return response{data: func(e *encoder) {
		e.raw(`{"alerts":[`)
		n := 0
		for i := range groups {
			for j := range groups[i].Rules {
				for k := range groups[i].Rules[j].Alerts {
					e.comma(n)
					n++
					e.alert(&groups[i].Rules[j].Alerts[k])
					e.spill()
				}
			}
		}
		e.raw(`]}`)
	}}, nil
}

func (e *encoder) ruleGroup(g *RuleGroup, excludeAlerts bool) {
	e.raw(`{"name":`)
	e.str(g.Name)
	e.raw(`,"file":`)
	e.str(g.File)
	e.raw(`,"rules":[`)
	for i := range g.Rules {
		e.comma(i)
		e.rule(&g.Rules[i], excludeAlerts)
		e.spill()
	}
	e.raw(`],"interval":`)
	e.seconds(g.Interval)
	e.raw(`,"limit":`)
	e.integer(int64(g.Limit))
	e.raw(`,"evaluationTime":`)
	e.seconds(g.EvaluationTime)
	e.raw(`,"lastEvaluation":`)
	e.time(g.LastEvaluation)
	e.rawByte('}')
}

func (e *encoder) rule(r *Rule, excludeAlerts bool) {
	alerting := r.Kind == AlertingRule
	e.rawByte('{')
	if alerting {
		e.raw(`"state":`)
		e.str(r.State)
		e.rawByte(',')
	}
	e.raw(`"name":`)
	e.str(r.Name)
	e.raw(`,"query":`)
	e.str(r.Query)
	if alerting {
		e.raw(`,"duration":`)
		e.seconds(r.HoldDuration)
		e.raw(`,"keepFiringFor":`)
		e.seconds(r.KeepFiringFor)
	}
	e.raw(`,"labels":`)
	e.labels(r.Labels)
	if alerting {
		e.raw(`,"annotations":`)
		e.labels(r.Annotations)
		e.raw(`,"alerts":`)
		e.ruleAlerts(r.Alerts, excludeAlerts)
	}
	e.raw(`,"health":`)
	e.str(r.Health)
	if r.LastError != "" {
		e.raw(`,"lastError":`)
		e.str(r.LastError)
	}
	e.raw(`,"evaluationTime":`)
	e.seconds(r.EvaluationTime)
	e.raw(`,"lastEvaluation":`)
	e.time(r.LastEvaluation)
	if alerting {
		e.raw(`,"type":"alerting"}`)
	} else {
		e.raw(`,"type":"recording"}`)
	}
}

// ruleAlerts appends the alerts of a rule, or null if they are not wanted.
func (e *encoder) ruleAlerts(alerts []Alert, exclude bool) {
	if exclude {
		e.raw("null")
		return
	}
	e.rawByte('[')
	for i := range alerts {
		e.comma(i)
		e.alert(&alerts[i])
		e.spill()
	}
	e.rawByte(']')
}

func (e *encoder) alert(a *Alert) {
	e.raw(`{"labels":`)
	e.labels(a.Labels)
	e.raw(`,"annotations":`)
	e.labels(a.Annotations)
	e.raw(`,"state":`)
	e.str(a.State)
	e.raw(`,"activeAt":`)
	e.time(a.ActiveAt)
	if !a.KeepFiringSince.IsZero() {
		e.raw(`,"keepFiringSince":`)
		e.time(a.KeepFiringSince)
	}
	e.raw(`,"value":"`)
	e.buf = strconv.AppendFloat(e.buf, a.Value, 'e', -1, 64)
	e.raw(`"}`)
}
