package rules

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// inBubble runs a test in virtual time with a rig that has a rule file.
func inBubble(t *testing.T, test func(*testing.T, *rig), lines ...string) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storagetest.NewModel(0), nil)
		r.file("r.yml", lines...)
		require.NoError(t, r.update())
		test(t, r)
	})
}

func TestGroupEvaluatesOnItsSlots(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec("up", 1.0))
		r.start()
		before := time.Now()
		r.afterEvaluation("g", 3)
		g := r.group("g")
		first := slotBefore(before, g.Interval, slotOffset(g.File, g.Name, g.Interval)).Add(g.Interval)
		require.Equal(t, []string{
			fmt.Sprintf("in@%d", first.UnixMilli()),
			fmt.Sprintf("in@%d", first.Add(time.Minute).UnixMilli()),
			fmt.Sprintf("in@%d", first.Add(2*time.Minute).UnixMilli()),
		}, r.queries())
		require.Equal(t, map[string]string{`{__name__="out"}`: "1@0 1@60 1@120"}, r.samples("out", first))
		require.Equal(t, first.Add(2*time.Minute), g.LastSlot)
		require.Equal(t, 3.0, r.metric("prometheus_rule_group_iterations_total", ";g"))
		require.Equal(t, 0.0, r.metric("prometheus_rule_group_iterations_missed_total", ";g"))
		require.Equal(t, 3.0, r.metric("prometheus_rule_evaluations_total", ";g"))
		require.Equal(t, 60.0, r.metric("prometheus_rule_group_interval_seconds", ";g"))
		require.Equal(t, 1.0, r.metric("prometheus_rule_group_last_evaluation_samples", ";g"))
	}, "groups:", "- name: g", "  rules: [{record: out, expr: in}]")
}

func TestGroupCountsMissedSlots(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		slow := true
		r.answerFunc("in", func(time.Time) (alerting.Vector, error) {
			if slow {
				slow = false
				time.Sleep(150 * time.Second)
			}
			return vec("up", 1.0), nil
		})
		r.start()
		r.afterEvaluation("g", 5)
		queries := r.queries()
		require.Len(t, queries, 4, "five slots, of which one passed during the evaluation of the first")
		require.Equal(t, 5.0, r.metric("prometheus_rule_group_iterations_total", ";g"))
		require.Equal(t, 1.0, r.metric("prometheus_rule_group_iterations_missed_total", ";g"))
		first := r.group("g").LastSlot.Add(-4 * time.Minute)
		require.Equal(t, "1@0 1@120 1@180 1@240", r.samples("out", first)[`{__name__="out"}`])
	}, "groups:", "- name: g", "  rules: [{record: out, expr: in}]")
}

func TestRulesSeeWhatThoseBeforeThemWrote(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		n := 0.0
		r.answerFunc("in", func(time.Time) (alerting.Vector, error) {
			n++
			return vec(`up{job="x"}`, n), nil
		})
		r.start()
		r.afterEvaluation("g", 3)
		first := r.group("g").LastSlot.Add(-2 * time.Minute)
		require.Equal(t, map[string]string{`{__name__="late", job="x"}`: "1@60 2@120"}, r.samples("late", first), "the evaluation before")
		require.Equal(t, map[string]string{`{__name__="b", job="x"}`: "1@0 2@60 3@120"}, r.samples("b", first), "the same evaluation")
	}, "groups:", "- name: g", "  rules:",
		"  - {record: late, expr: a}", "  - {record: a, expr: in}", "  - {record: b, expr: a}")
}

func TestRecordingRuleLabels(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec(`up{job="x",drop="y",over="ridden"}`, 1.0, `{job="z"}`, 2.0))
		r.start()
		r.afterEvaluation("g", 1)
		require.Equal(t, map[string]string{
			`{__name__="out", group="1", job="x", over="rule"}`: "1@0",
			`{__name__="out", group="1", job="z", over="rule"}`: "2@0",
		}, r.samples("out", r.group("g").LastSlot))
	}, "groups:", "- name: g", "  labels: {group: '1', over: group}", "  rules:",
		"  - {record: out, expr: in, labels: {over: rule, drop: ''}}")
}

func TestRecordingRuleFaults(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(time.Time) (alerting.Vector, error)
		want   string
	}{
		"query fails": {
			answer: func(time.Time) (alerting.Vector, error) { return nil, errors.New("out of luck") },
			want:   "out of luck",
		},
		"same labels after relabelling": {
			answer: func(time.Time) (alerting.Vector, error) { return vec(`a{x="1"}`, 1.0, `b{x="1"}`, 2.0), nil },
			want:   "vector contains metrics with the same labelset after applying rule labels",
		},
		"limit": {
			answer: func(time.Time) (alerting.Vector, error) {
				return vec(`a{x="1"}`, 1.0, `a{x="2"}`, 2.0, `a{x="3"}`, 2.0), nil
			},
			want: "exceeded limit of 2 with 3 series",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.answer("in", vec(`up{x="1"}`, 1.0))
				r.start()
				r.afterEvaluation("g", 1)
				require.Equal(t, HealthOK, r.group("g").Rules[0].Health)
				r.answerFunc("in", c.answer)
				r.afterEvaluation("g", 1)
				bad := r.group("g").Rules[0]
				require.Equal(t, HealthError, bad.Health)
				require.EqualError(t, bad.LastError, c.want)
				require.Equal(t, 1.0, r.metric("prometheus_rule_evaluation_failures_total", ";g"))
				require.Equal(t, HealthOK, r.group("g").Rules[1].Health, "the next rule is evaluated all the same")
				r.answer("in", vec(`up{x="1"}`, 5.0))
				r.afterEvaluation("g", 1)
				require.Equal(t, HealthOK, r.group("g").Rules[0].Health)
				require.NoError(t, r.group("g").Rules[0].LastError)
				require.Equal(t, "1@-120 5@0", r.samples("out", r.group("g").LastSlot)[`{__name__="out", x="1"}`],
					"a failed evaluation ends no series")
			}, "groups:", "- name: g", "  limit: 2", "  rules:", "  - {record: out, expr: in}", "  - {record: other, expr: out}")
		})
	}
}

func TestRuleHealthAfterRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec("up", 1.0))
		r.answer("more", vec("up", 2.0))
		r.start()
		r.afterEvaluation("g", 1)
		g := r.group("g")
		require.Equal(t, HealthOK, g.Rules[0].Health)
		require.Equal(t, HealthError, g.Rules[1].Health)
		require.ErrorContains(t, g.Rules[1].LastError, "duplicate sample")
		require.Equal(t, 1.0, r.metric("gnomon_rule_samples_discarded_total", "duplicate"))
	}, "groups:", "- name: g", "  rules:", "  - {record: out, expr: in}", "  - {record: out, expr: more}")
}

func TestQueryOffset(t *testing.T) {
	lines := []string{
		"groups:", "- name: default", "  rules: [{record: a, expr: in1}]",
		"- name: own", "  query_offset: 2m", "  rules: [{alert: A, expr: in2}]",
		"- name: none", "  query_offset: 0s", "  rules: [{record: c, expr: in3}]",
	}
	inBubble(t, func(t *testing.T, r *rig) {
		require.NoError(t, r.manager.Update(Config{Files: []string{r.dir + "/*.yml"}, QueryOffset: 30 * time.Second}))
		for _, in := range []string{"in1", "in2", "in3"} {
			r.answer(in, vec("up", 1.0))
		}
		r.start()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		queries := r.queries()
		for name, c := range map[string]struct {
			offset       time.Duration
			expr, metric string
		}{
			"default": {30 * time.Second, "in1", "a"},
			"own":     {2 * time.Minute, "in2", alertsMetric},
			"none":    {0, "in3", "c"},
		} {
			g := r.group(name)
			require.Equal(t, c.offset, g.QueryOffset)
			at := g.LastSlot.Add(-c.offset)
			require.Contains(t, queries, fmt.Sprintf("%s@%d", c.expr, at.UnixMilli()))
			for _, samples := range r.samples(c.metric, at) {
				require.Regexp(t, `1@0$`, samples, "the result has the time of the query")
			}
		}
		require.Equal(t, r.group("own").LastSlot, r.group("own").Rules[0].Alerts[0].FiredAt.Add(2*time.Minute),
			"alerts have the time of the evaluation")
	}, lines...)
}

func TestAlertingRule(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		require.NoError(t, r.manager.Update(Config{
			Files: []string{r.dir + "/*.yml"}, ExternalLabels: labels.FromStrings("cluster", "c1"),
		}))
		r.start()
		rule := r.group("g").Rules[0]
		require.Equal(t, state.Unknown, rule.State)
		require.Equal(t, HealthUnknown, rule.Health)
		require.True(t, rule.LastEvaluation.IsZero())

		r.answer("in", nil)
		r.afterEvaluation("g", 2)
		t0 := r.group("g").LastSlot
		require.Equal(t, state.Inactive, r.group("g").Rules[0].State)

		r.answer("in", vec(`up{job="x",severity="over"}`, 7.5))
		r.afterEvaluation("g", 1)
		rule = r.group("g").Rules[0]
		require.Equal(t, state.Pending, rule.State)
		require.Len(t, rule.Alerts, 1)
		alert := rule.Alerts[0]
		require.Equal(t, `{alertname="A", job="x", severity="high-c1"}`, alert.Labels.String())
		require.Equal(t, `{bad="<error expanding template: error executing template __alert_A: template: __alert_A:1:130: executing \"__alert_A\" at <first>: error calling first: first() called on vector with no elements>", summary="x at 7.5"}`,
			alert.Annotations.String())
		require.Equal(t, 7.5, alert.Value)
		require.Equal(t, t0.Add(time.Minute), alert.ActiveAt)
		require.Equal(t, 1.0, r.metric("prometheus_template_text_expansion_failures_total", ""))
		require.Empty(t, r.sent())

		r.afterEvaluation("g", 2)
		require.Equal(t, state.Firing, r.group("g").Rules[0].State)
		require.Equal(t, []string{`in {alertname="A", job="x", severity="high-c1"} firing`}, r.sent())

		r.answer("in", nil)
		r.afterEvaluation("g", 1)
		require.Equal(t, state.Inactive, r.group("g").Rules[0].State)
		require.Empty(t, r.group("g").Rules[0].Alerts)
		require.Equal(t, []string{`in {alertname="A", job="x", severity="high-c1"} inactive`}, r.sent())

		require.Equal(t, map[string]string{
			`{__name__="ALERTS", alertname="A", alertstate="pending", job="x", severity="high-c1"}`: "1@60 1@120 stale@180",
			`{__name__="ALERTS", alertname="A", alertstate="firing", job="x", severity="high-c1"}`:  "1@180 stale@240",
		}, r.samples("ALERTS", t0))
		at := fmt.Sprint(float64(t0.Add(time.Minute).Unix()))
		require.Equal(t, map[string]string{
			`{__name__="ALERTS_FOR_STATE", alertname="A", job="x", severity="high-c1"}`: at + "@60 " + at + "@120 " + at + "@180 stale@240",
		}, r.samples("ALERTS_FOR_STATE", t0))
	}, "groups:", "- name: g", "  rules:", "  - alert: A", "    expr: in", "    for: 2m",
		"    labels: {severity: 'high-{{ $externalLabels.cluster }}'}",
		"    annotations:", "      summary: '{{ $labels.job }} at {{ $value }}'", "      bad: '{{ query \"none\" | first }}'")
}

// TestAlertLabelThatExpandsToNothing pins a difference to Prometheus, whose
// ALERTS series has the text of the template as the label's value.
func TestAlertLabelThatExpandsToNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec(`up{job="x"}`, 1.0))
		r.start()
		r.afterEvaluation("g", 3)
		require.Equal(t, map[string]string{
			`{__name__="ALERTS", alertname="A", alertstate="firing", job="x"}`: "1@0",
		}, r.samples("ALERTS", r.group("g").LastSlot))
	}, "groups:", "- name: g", "  rules:", "  - {alert: A, expr: in, labels: {gone: '{{ $labels.nope }}'}}")
}

func TestAlertingRuleFaults(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec(`a{x="1"}`, 1.0))
		r.start()
		r.afterEvaluation("g", 3)
		require.Equal(t, HealthOK, r.group("g").Rules[0].Health)
		r.sent()

		r.answer("in", vec(`a{x="1"}`, 1.0, `b{x="1"}`, 2.0))
		r.afterEvaluation("g", 1)
		rule := r.group("g").Rules[0]
		require.EqualError(t, rule.LastError, "vector contains metrics with the same labelset after applying alert labels")
		require.Equal(t, state.Firing, rule.State, "alerts outlive a failed evaluation")

		r.answer("in", vec(`a{x="1"}`, 1.0, `a{x="2"}`, 2.0, `a{x="3"}`, 2.0))
		r.afterEvaluation("g", 1)
		rule = r.group("g").Rules[0]
		require.EqualError(t, rule.LastError, "exceeded limit of 2 with 3 alerts")
		require.Equal(t, state.Inactive, rule.State)
		require.Empty(t, r.sent())
	}, "groups:", "- name: g", "  limit: 2", "  rules: [{alert: A, expr: in}]")
}

func TestAlertOfHistogram(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", alerting.Vector{{Labels: mustLabels("m"), H: &histogram.FloatHistogram{Count: 3, Sum: 6}}})
		r.start()
		r.afterEvaluation("g", 1)
		require.Equal(t, "{count:3, sum:6}", r.group("g").Rules[0].Alerts[0].Annotations.Get("v"))
	}, "groups:", "- name: g", "  rules: [{alert: A, expr: in, annotations: {v: '{{ $value }}'}}]")
}

func TestNotificationsAreRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.answer("in", vec("a", 1.0))
		r.start()
		r.afterEvaluation("g", 1)
		require.Len(t, r.sent(), 1)
		sent := 0
		for range 12 {
			r.afterEvaluation("g", 1)
			sent += len(r.sent())
		}
		require.Equal(t, 3, sent, "evaluated every 20 s, sent when more than 60 s have passed")
	}, "groups:", "- name: g", "  interval: 20s", "  rules: [{alert: A, expr: in}]")
}
