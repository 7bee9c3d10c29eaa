package promql

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/common/promslog"
	"go.opentelemetry.io/otel/trace"

	"github.com/gnomonhq/gnomon/promql/plan"
)

// Log is a file that queries are logged in, a line of JSON for each that was
// evaluated, also if it failed. Lines have the keys of Prometheus's query log.
type Log struct {
	handler slog.Handler
	file    *os.File
}

// OpenLog opens a query log, and makes the file if there is none. It is closed by
// the engine that it is given to.
func OpenLog(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open the query log: %w", err)
	}
	format := promslog.NewFormat()
	if err := format.Set("json"); err != nil {
		panic(err)
	}
	return &Log{promslog.New(&promslog.Config{Format: format, Writer: file}).Handler(), file}, nil
}

// SetLog logs queries in l from now on, or nowhere if it is nil. The log before
// is closed.
func (e *Engine) SetLog(l *Log) {
	e.log.Lock()
	defer e.log.Unlock()
	if before := e.log.to; before != nil {
		if err := before.file.Close(); err != nil {
			e.opts.Logger.Warn("the query log cannot be closed", "file", before.file.Name(), "err", err)
		}
	}
	e.log.to = l
	enabled := 0.0
	if l != nil {
		enabled = 1
	}
	e.metrics.logEnabled.Set(enabled)
}

// logQuery logs a query that ended. failed is nil if it did not fail.
func (e *Engine) logQuery(ctx context.Context, expr string, times plan.Times, o Origin, s *Stats, failed error) {
	e.log.RLock()
	defer e.log.RUnlock()
	if e.log.to == nil {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "promql query logged", 0)
	r.AddAttrs(slog.Any("params", map[string]any{
		"query": expr, "start": logTime(times.Start), "end": logTime(times.End), "step": int64(times.Step / time.Second),
	}))
	if failed != nil {
		r.AddAttrs(slog.Any("error", failed))
	}
	span := trace.SpanContextFromContext(ctx)
	r.AddAttrs(slog.Any("stats", s.logged()), slog.Any("spanID", span.SpanID()), slog.Any("traceID", span.TraceID()))
	if o.Path != "" {
		r.AddAttrs(slog.Any("httpRequest", map[string]string{"clientIP": o.ClientIP, "method": o.Method, "path": o.Path}))
	}
	if o.RuleGroup != "" {
		r.AddAttrs(slog.Any("ruleGroup", map[string]string{"file": o.RuleFile, "name": o.RuleGroup}))
	}
	if err := e.log.to.handler.Handle(context.Background(), r); err != nil {
		e.metrics.logFailures.Inc()
		e.logTrouble.Do(func() {
			e.opts.Logger.Error("queries cannot be logged, which is said once", "file", e.log.to.file.Name(), "err", err)
		})
	}
}

// logTime writes a time as the query log has it.
func logTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// loggedStats are statistics in the log: times are in seconds.
type loggedStats struct {
	Timings struct {
		EvalTotal        float64 `json:"evalTotalTime"`
		ResultSort       float64 `json:"resultSortTime"`
		QueryPreparation float64 `json:"queryPreparationTime"`
		InnerEval        float64 `json:"innerEvalTime"`
		ExecQueue        float64 `json:"execQueueTime"`
		ExecTotal        float64 `json:"execTotalTime"`
	} `json:"timings"`
	Samples struct {
		TotalPerStep []loggedCount `json:"totalQueryableSamplesPerStep,omitempty"`
		Total        int64         `json:"totalQueryableSamples"`
		ReadPerStep  []loggedCount `json:"samplesReadPerStep,omitempty"`
		Read         int64         `json:"samplesRead"`
		Peak         int64         `json:"peakSamples"`
	} `json:"samples"`
}

// loggedCount is a count at a step: [1790000000.000, 5].
type loggedCount StepCount

// MarshalJSON implements json.Marshaler.
func (c loggedCount) MarshalJSON() ([]byte, error) {
	return json.Marshal([...]any{float64(c.T) / 1000, c.N})
}

func loggedCounts(list []StepCount) []loggedCount {
	out := make([]loggedCount, len(list))
	for i, c := range list {
		out[i] = loggedCount(c)
	}
	return out
}

func (s *Stats) logged() *loggedStats {
	var l loggedStats
	l.Timings.EvalTotal, l.Timings.ResultSort = s.EvalTotal.Seconds(), s.ResultSort.Seconds()
	l.Timings.QueryPreparation, l.Timings.InnerEval = s.QueryPreparation.Seconds(), s.InnerEval.Seconds()
	l.Timings.ExecQueue, l.Timings.ExecTotal = s.ExecQueue.Seconds(), s.ExecTotal.Seconds()
	l.Samples.Total, l.Samples.Read, l.Samples.Peak = s.TotalSamples, s.SamplesRead, s.PeakSamples
	l.Samples.TotalPerStep, l.Samples.ReadPerStep = loggedCounts(s.TotalPerStep), loggedCounts(s.ReadPerStep)
	return &l
}
