package promql

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	upstream "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/logging"
	"github.com/stretchr/testify/require"
)

// logLines returns the lines of a query log, without what differs from run to run.
func logLines(t *testing.T, file string) (lines []map[string]any) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var m map[string]any
		require.NoError(t, json.Unmarshal(line, &m), "%s", line)
		require.NotEmpty(t, m["time"])
		delete(m, "time")
		delete(m, "source")
		timings := m["stats"].(map[string]any)["timings"].(map[string]any)
		for key := range timings {
			timings[key] = "some time"
		}
		if m["error"] != nil { // what was in memory then is not told
			delete(m["stats"].(map[string]any)["samples"].(map[string]any), "peakSamples")
		}
		lines = append(lines, m)
	}
	return lines
}

// TestQueryLogLikeUpstream asks both engines the same, and compares their logs.
func TestQueryLogLikeUpstream(t *testing.T) {
	dir := t.TempDir()
	opts := scriptOptions()
	opts.PerStepStats = true
	store := fill(t)
	ours, theirs := newTestEngine(t, store, func(o *Options) { *o = opts }), newOracle(opts, store)
	ourFile, theirFile := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	l, err := OpenLog(ourFile)
	require.NoError(t, err)
	ours.SetLog(l)
	require.Equal(t, 1.0, testutil.ToFloat64(ours.metrics.logEnabled))
	theirLog, err := logging.NewJSONFileLogger(theirFile)
	require.NoError(t, err)
	theirs.engine.SetQueryLogger(theirLog)

	http := Origin{ClientIP: "10.0.0.1", Method: "POST", Path: "/prefix/api/v1/query"}
	rule := Origin{RuleFile: "/etc/rules.yml", RuleGroup: "group"}
	httpCtx := upstream.NewOriginContext(context.Background(), map[string]any{"httpRequest": map[string]string{
		"clientIP": http.ClientIP, "method": http.Method, "path": http.Path}})
	ruleCtx := upstream.NewOriginContext(context.Background(), map[string]any{"ruleGroup": map[string]string{"file": rule.RuleFile, "name": rule.RuleGroup}})
	at := time.UnixMilli(30_000)
	for _, q := range []struct {
		expr   string
		origin Origin
		ctx    context.Context
		step   time.Duration
	}{
		{`up{i="0"}`, http, httpCtx, 0},
		{`sum(up)`, http, httpCtx, 1500 * time.Millisecond},
		{`up`, rule, ruleCtx, 0},
		{"up\n+ 1", Origin{}, context.Background(), 10 * time.Second},
		{`up + on() up`, Origin{}, context.Background(), 0},
		{`up{`, Origin{}, context.Background(), 0},
	} {
		ask := func(e evaluator, ctx context.Context) {
			o := QueryOptions{PerStepStats: q.step > 0, Origin: q.origin}
			var r *Result
			var err error
			if q.step == 0 {
				r, err = e.Instant(ctx, q.expr, at, o)
			} else {
				r, err = e.Range(ctx, q.expr, at, at.Add(20*time.Second), q.step, o)
			}
			if err == nil {
				r.Close()
			}
		}
		ask(ours, context.Background())
		ask(theirs, q.ctx)
	}
	got, want := logLines(t, ourFile), logLines(t, theirFile)
	require.Len(t, got, 5, "what does not parse is not logged")
	require.Equal(t, want, got)

	// Another file, then none.
	next, err := OpenLog(filepath.Join(dir, "next"))
	require.NoError(t, err)
	ours.SetLog(next)
	_, err = ours.Instant(context.Background(), "up", at, QueryOptions{})
	require.NoError(t, err)
	require.Len(t, logLines(t, filepath.Join(dir, "next")), 1)
	require.Len(t, logLines(t, ourFile), 5)
	ours.SetLog(nil)
	require.Zero(t, testutil.ToFloat64(ours.metrics.logEnabled))
	_, err = ours.Instant(context.Background(), "up", at, QueryOptions{})
	require.NoError(t, err)
	_, err = OpenLog(filepath.Join(dir, "no", "such", "folder"))
	require.ErrorContains(t, err, "query log")
}

// TestQueryLogThatCannotBeWritten costs no query.
func TestQueryLogThatCannotBeWritten(t *testing.T) {
	e := newTestEngine(t, fill(t))
	l, err := OpenLog(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	e.SetLog(l)
	require.NoError(t, l.file.Close())
	for range 2 {
		r, err := e.Instant(context.Background(), "up", time.UnixMilli(30_000), QueryOptions{})
		require.NoError(t, err)
		r.Close()
	}
	require.Equal(t, 2.0, testutil.ToFloat64(e.metrics.logFailures))
}
