package rules

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	upstream "github.com/prometheus/prometheus/rules"
	upstreamstorage "github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/storage"
)

// benchStore is a store that costs nothing.
type benchStore struct {
	nullStore
	storage.Queryable
}

// nullAppender costs nothing either.
type nullAppender struct{ upstreamstorage.Appender }

type nullAppendable struct{}

func (nullAppendable) Appender(context.Context) upstreamstorage.Appender { return nullAppender{} }

func (nullAppender) SetOptions(*upstreamstorage.AppendOptions) {}
func (nullAppender) Commit() error                             { return nil }
func (nullAppender) Append(upstreamstorage.SeriesRef, labels.Labels, int64, float64) (upstreamstorage.SeriesRef, error) {
	return 0, nil
}

// BenchmarkEvaluate measures what an evaluation costs beside the query and the
// store, here and in upstream's implementation.
func BenchmarkEvaluate(b *testing.B) {
	const series = 1000
	ours, theirs := make(alerting.Vector, series), make(promql.Vector, series)
	for i := range series {
		ls := labels.FromStrings("__name__", "requests", "instance", fmt.Sprintf("host-%d:9100", i), "job", "web")
		ours[i] = alerting.Sample{Labels: ls, V: 1}
		theirs[i] = promql.Sample{Metric: ls, F: 1}
	}
	for name, rule := range map[string]string{
		"recording": "{record: out, expr: in, labels: {team: a}}",
		"alerting":  "{alert: A, expr: in, labels: {team: a}, annotations: {summary: '{{ $labels.instance }} is at {{ $value | humanize }}'}}",
	} {
		path := filepath.Join(b.TempDir(), "r.yml")
		require.NoError(b, os.WriteFile(path, []byte("groups: [{name: g, rules: ["+rule+"]}]"), 0o600))
		slot := func(n int) time.Time { return time.Unix(int64(1_700_000_000+60*n), 0) }
		b.Run("rule="+name+"/of=gnomon", func(b *testing.B) {
			m, err := New(Options{Store: benchStore{}, Query: func(context.Context, string, time.Time) (alerting.Vector, error) {
				return slices.Clone(ours), nil
			}})
			require.NoError(b, err)
			require.NoError(b, m.Update(Config{Files: []string{path}}))
			g := m.mu.groups[groupKey(path, "g")]
			for _, r := range g.rules {
				if a, ok := r.(*alertingRule); ok {
					a.restored = true
				}
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				g.evaluate(b.Context(), slot(n))
			}
		})
		b.Run("rule="+name+"/of=upstream", func(b *testing.B) {
			m := upstream.NewManager(&upstream.ManagerOptions{
				Appendable: nullAppendable{}, Logger: slog.New(slog.DiscardHandler), ResendDelay: time.Minute,
				QueryFunc: func(context.Context, string, time.Time) (promql.Vector, error) {
					return slices.Clone(theirs), nil
				},
				NotifyFunc: func(context.Context, string, ...*upstream.Alert) {},
			})
			groups, errs := m.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, path)
			require.Empty(b, errs)
			g := groups[upstream.GroupKey(path, "g")]
			for _, r := range g.Rules() {
				if a, ok := r.(*upstream.AlertingRule); ok {
					a.SetRestored(true)
				}
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				g.Eval(b.Context(), slot(n))
			}
		})
	}
}
