package rules

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

func TestIndependent(t *testing.T) {
	for name, c := range map[string]struct {
		rules []string
		want  [][]int
	}{
		"none": {},
		"one":  {rules: []string{"{record: a, expr: x}"}, want: [][]int{{0}}},
		"all independent": {
			rules: []string{"{record: a, expr: x}", "{record: b, expr: x}", "{alert: C, expr: y}"},
			want:  [][]int{{0, 1, 2}},
		},
		"a chain": {
			rules: []string{"{record: a, expr: x}", "{record: b, expr: a}", "{record: c, expr: b + x}"},
			want:  [][]int{{0}, {1}, {2}},
		},
		"a diamond": {
			rules: []string{"{record: a, expr: x}", "{record: b, expr: a}", "{record: c, expr: 'sum(rate(a[5m]))'}", "{record: d, expr: b / c}", "{record: e, expr: x}"},
			want:  [][]int{{0, 4}, {1, 2}, {3}},
		},
		"one reads what a later one writes": {
			rules: []string{"{record: a, expr: b}", "{record: b, expr: x}"},
			want:  [][]int{{0}, {1}},
		},
		"by pattern": {
			rules: []string{"{record: job:a, expr: x}", `{record: b, expr: '{__name__=~"job:.*"}'}`, `{record: c, expr: '{__name__=~"x.*"}'}`},
			want:  [][]int{{0, 2}, {1}},
		},
		"a selector without a name reads everything": {
			rules: []string{"{record: a, expr: x}", `{record: b, expr: '{job="x"}'}`, "{record: c, expr: x}"},
			want:  [][]int{{0}, {1}, {2}},
		},
		"alerts": {
			rules: []string{
				"{alert: A, expr: x}", "{alert: B, expr: x}", `{record: c, expr: 'ALERTS{alertname="A"}'}`,
				"{record: d, expr: count(ALERTS_FOR_STATE)}", `{record: e, expr: 'ALERTS{alertname="Z"}'}`,
			},
			want: [][]int{{0, 1, 4}, {2, 3}},
		},
		"a template that queries reads everything": {
			rules: []string{"{record: a, expr: x}", `{alert: B, expr: x, annotations: {n: '{{ query "a" }}'}}`, "{record: c, expr: x}"},
			want:  [][]int{{0}, {1}, {2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, storagetest.NewModel(0), func(o *Options) { o.ConcurrentEvals = true })
			lines := []string{"groups:", "- name: g", "  rules:"}
			for _, rule := range c.rules {
				lines = append(lines, "  - "+rule)
			}
			r.file("r.yml", lines...)
			require.NoError(t, r.update())
			for _, g := range r.manager.mu.groups {
				require.Equal(t, c.want, g.batches)
			}
		})
	}
}

// TestConcurrentEvaluation holds that independent rules overlap, no more of them
// than allowed, and that results equal those of the sequence.
func TestConcurrentEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storagetest.NewModel(0), func(o *Options) { o.ConcurrentEvals, o.MaxConcurrentEvals = true, 2 })
		var mu sync.Mutex
		running, most := 0, 0
		for _, in := range []string{"in1", "in2", "in3", "in4", "in5", "in6"} {
			r.answerFunc(in, func(time.Time) (alerting.Vector, error) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running--
				mu.Unlock()
				return vec(`up{in="`+in+`"}`, 1.0), nil
			})
		}
		r.file("r.yml", "groups:", "- name: g", "  rules:",
			"  - {record: a1, expr: in1}", "  - {record: a2, expr: in2}", "  - {record: a3, expr: in3}",
			"  - {record: a4, expr: in4}", "  - {record: a5, expr: in5}", "  - {alert: A6, expr: in6}", "  - {record: last, expr: a5}")
		require.NoError(t, r.update())
		r.start()
		g := r.group("g")
		time.Sleep(time.Until(slotBefore(time.Now(), g.Interval, slotOffset(g.File, g.Name, g.Interval)).Add(g.Interval + 30*time.Second)))
		g = r.group("g")
		require.Equal(t, 3, most, "two and the group's own")
		require.LessOrEqual(t, g.EvaluationTime, 3*time.Second, "in sequence it would be six")
		require.Equal(t, 6.0, r.metric("prometheus_rule_group_last_rule_duration_sum_seconds", ";g"))
		require.Equal(t, map[string]string{`{__name__="last", in="in5"}`: "1@0"}, r.samples("last", g.LastSlot))
		require.Equal(t, 6.0, r.metric("prometheus_rule_group_last_evaluation_samples", ";g"))
	})
}
