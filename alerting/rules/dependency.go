package rules

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// sequence returns n batches of one rule each.
func sequence(n int) [][]int {
	batches := make([][]int, n)
	for i := range batches {
		batches[i] = []int{i}
	}
	return batches
}

// independent returns the rules in batches such that evaluating those of a
// batch concurrently, and the batches one after the other, gives what
// evaluating all of them in order gives: of two rules of which one reads what
// the other writes, the later one is in a later batch.
func independent(rules []rule) [][]int {
	reads := make([]readSet, len(rules))
	for i, r := range rules {
		reads[i] = readsOf(r)
	}
	var (
		level   = make([]int, len(rules))
		batches [][]int
	)
	for j := range rules {
		for i := range j {
			if reads[j].has(rules[i]) || reads[i].has(rules[j]) {
				level[j] = max(level[j], level[i]+1)
			}
		}
		for len(batches) <= level[j] {
			batches = append(batches, nil)
		}
		batches[level[j]] = append(batches[level[j]], j)
	}
	return batches
}

// readSet is what the expression of a rule reads.
type readSet struct {
	// everything is set if that cannot be told.
	everything bool
	selectors  []selectorNames
}

// selectorNames has the matchers of a selector that tell which rules write
// what it reads.
type selectorNames struct {
	metric []*labels.Matcher
	alert  []*labels.Matcher
}

// readsOf returns what a rule reads.
func readsOf(r rule) readSet {
	var s readSet
	if a, ok := r.(*alertingRule); ok {
		// A template can query as well.
		a.annotations.Range(func(l labels.Label) { s.everything = s.everything || mayQuery(l.Value) })
		a.labels.Range(func(l labels.Label) { s.everything = s.everything || mayQuery(l.Value) })
	}
	parser.Inspect(r.core().expr, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		var names selectorNames
		for _, m := range v.LabelMatchers {
			switch m.Name {
			case model.MetricNameLabel:
				names.metric = append(names.metric, m)
			case labels.AlertName:
				names.alert = append(names.alert, m)
			}
		}
		s.everything = s.everything || len(names.metric) == 0
		s.selectors = append(s.selectors, names)
		return nil
	})
	return s
}

func mayQuery(text string) bool {
	return strings.Contains(text, "{{") && strings.Contains(text, "query")
}

// has reports whether a rule may write what is read.
func (s readSet) has(r rule) bool {
	if s.everything {
		return true
	}
	name := r.core().name
	_, isAlerting := r.(*alertingRule)
	return slices.ContainsFunc(s.selectors, func(n selectorNames) bool {
		if !isAlerting {
			return allMatch(n.metric, name)
		}
		return (allMatch(n.metric, alertsMetric) || allMatch(n.metric, forStateMetric)) && allMatch(n.alert, name)
	})
}

func allMatch(matchers []*labels.Matcher, v string) bool {
	for _, m := range matchers {
		if !m.Matches(v) {
			return false
		}
	}
	return true
}
