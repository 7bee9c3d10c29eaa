package promql

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb"
)

var compliance = flag.String("compliance", "", "promql/promql-test-queries.yml of github.com/prometheus/compliance")

// complianceValues are what the variables of the queries of the compliance tests
// stand for.
var complianceValues = map[string][]string{
	"range":                {"1s", "15s", "1m", "5m", "15m", "1h"},
	"offset":               {"1m", "5m", "10m"},
	"quantile":             {"-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"},
	"simpleAggrOp":         {"sum", "avg", "max", "min", "count", "stddev", "stdvar"},
	"simpleTimeAggrOp":     {"sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last"},
	"topBottomOp":          {"topk", "bottomk"},
	"arithBinOp":           {"+", "-", "*", "/", "%", "^"},
	"compBinOp":            {"==", "!=", "<", ">", "<=", ">="},
	"binOp":                {"+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="},
	"simpleMathFunc":       {"abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"},
	"extrapolatedRateFunc": {"delta", "rate", "increase"},
	"instantRateFunc":      {"idelta", "irate"},
	"clampFunc":            {"clamp_min", "clamp_max"},
	"dateFunc":             {"day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"},
}

// complianceCase is a query of the compliance tests. Each combination of its
// variables is one to ask.
type complianceCase struct {
	Query     string   `yaml:"query"`
	Variables []string `yaml:"variant_args"`
}

// expand appends the queries that a case stands for.
func (c *complianceCase) expand(t *testing.T, list []string, variables []string, values map[string]string) []string {
	if len(variables) == 0 {
		var b strings.Builder
		require.NoError(t, template.Must(template.New("query").Parse(c.Query)).Execute(&b, values))
		return append(list, b.String())
	}
	require.Contains(t, complianceValues, variables[0])
	for _, v := range complianceValues[variables[0]] {
		values[variables[0]] = v
		list = c.expand(t, list, variables[1:], values)
	}
	return list
}

// TestCompliance asks what the PromQL compliance tests of the Prometheus project
// ask, of our engine and of upstream's. Their list is no Go module, so it has to be
// fetched:
//
//	go test ./promql -run TestCompliance -v -args -compliance=FILE
func TestCompliance(t *testing.T) {
	if *compliance == "" {
		t.Skip("-compliance names no file of queries")
	}
	text, err := os.ReadFile(*compliance)
	require.NoError(t, err)
	var list struct {
		Cases []complianceCase `yaml:"test_cases"`
	}
	require.NoError(t, yaml.Unmarshal(text, &list))
	require.NotEmpty(t, list.Cases)

	store := complianceData(t)
	opts := scriptOptions()
	ours, theirs := newTestEngine(t, store, func(o *Options) { *o = opts }), newOracle(opts, store)
	asked := 0
	for _, c := range list.Cases {
		for _, expr := range c.expand(t, nil, c.Variables, map[string]string{}) {
			end := time.UnixMilli(dataEnd)
			for _, d := range []differential{
				{expr: expr, start: end, end: end},
				{expr: expr, start: end.Add(-10 * time.Minute), end: end, step: 10 * time.Second},
			} {
				what, _ := d.compare(ours, theirs)
				require.Empty(t, what, "%s", &d)
				asked++
			}
		}
	}
	t.Logf("%d answers are those of upstream's engine", asked)
}

// complianceData has the series of the service that the queries are about.
func complianceData(t *testing.T) *tsdb.DB {
	db, err := tsdb.Open(context.Background(), "data", tsdb.Options{
		FS: vfs.NewMem(), MaintenanceInterval: -1, WALSync: tsdb.WALSync{Never: true}, Reloadable: tsdb.Reloadable{Retention: -1},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	app := db.Appender(context.Background())
	w := &dataWriter{r: rand.New(rand.NewPCG(1, 2)), app: app, interval: 5000}
	add := func(kind byte, name string, more ...string) {
		for port := 10000; port < 10003; port++ {
			ls := append([]string{"__name__", name, "job", "demo", "instance", fmt.Sprintf("demo.promlabs.com:%d", port)}, more...)
			w.series(randomMetric{kind: kind}, labels.FromStrings(ls...))
		}
	}
	for _, kind := range []string{"buffers", "cached", "free", "used"} {
		add('f', "demo_memory_usage_bytes", "type", kind)
	}
	for _, mode := range []string{"idle", "system", "user"} {
		add('c', "demo_cpu_usage_seconds_total", "mode", mode)
	}
	for _, le := range []string{"0.0001", "0.001", "0.01", "0.1", "+Inf"} {
		for _, method := range []string{"GET", "POST"} {
			add('b', "demo_api_request_duration_seconds_bucket", "method", method, "path", "/api/foo", "status", "200", "le", le)
		}
	}
	for _, part := range []string{"sum", "count"} {
		add('c', "demo_api_request_duration_seconds_"+part, "method", "GET", "path", "/api/foo", "status", "200")
	}
	add('1', "demo_num_cpus")
	add('f', "demo_disk_usage_bytes")
	add('f', "demo_intermittent_metric")
	add('c', "demo_batch_last_success_timestamp_seconds")
	require.NoError(t, app.Commit())
	return db
}
