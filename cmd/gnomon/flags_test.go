package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/tsdb"
)

// parsed parses a command line that must be right.
func parsed(t *testing.T, args ...string) *options {
	t.Helper()
	var out bytes.Buffer
	o, err := parseFlags(args, &out)
	require.NoError(t, err)
	require.Empty(t, out.String())
	return o
}

// upstreamSource parses Prometheus's main.go from the module cache.
func upstreamSource(t *testing.T) *ast.File {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	require.NoError(t, err)
	path := filepath.Join(strings.TrimSpace(string(dir)), "cmd", "prometheus", "main.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	return file
}

// upstreamFlags returns the names of Prometheus's flags: the first string
// among the arguments of every call that declares one.
func upstreamFlags(t *testing.T) []string {
	t.Helper()
	var names []string
	ast.Inspect(upstreamSource(t), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		position := -1
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			if f.Sel.Name == "Flag" {
				position = 0
			}
		case *ast.Ident:
			if f.Name == "serverOnlyFlag" || f.Name == "agentOnlyFlag" {
				position = 1
			}
		}
		if position >= 0 {
			if name, ok := call.Args[position].(*ast.BasicLit); ok && name.Kind == token.STRING {
				text, err := strconv.Unquote(name.Value)
				require.NoError(t, err)
				names = append(names, text)
			}
		}
		return true
	})
	return append(names, "log.level", "log.format")
}

func TestFlagsOfPrometheus(t *testing.T) {
	upstream := upstreamFlags(t)
	require.Greater(t, len(upstream), 70, "the scan of Prometheus's source found too little")
	ours := parsed(t).status()
	for _, name := range upstream {
		require.Contains(t, ours, name, "a flag of Prometheus is missing")
	}
	added := []string{"storage.tsdb.wal-sync", "storage.tsdb.wal-checkpoint-size", "storage.tsdb.reserved-space",
		"query.max-waiting", "query.max-memory", "query.max-memory-total", "query.result-cache-size"}
	for name := range ours {
		require.True(t, slices.Contains(upstream, name) || slices.Contains(added, name), "%s is neither Prometheus's nor known as ours", name)
	}
}

func TestFeaturesOfPrometheus(t *testing.T) {
	var upstream []string
	ast.Inspect(upstreamSource(t), func(n ast.Node) bool {
		function, ok := n.(*ast.FuncDecl)
		if !ok || function.Name.Name != "setFeatureListOptions" {
			return true
		}
		ast.Inspect(function.Body, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				for _, e := range c.List {
					name, err := strconv.Unquote(e.(*ast.BasicLit).Value)
					require.NoError(t, err)
					upstream = append(upstream, name)
				}
			}
			return true
		})
		return false
	})
	slices.Sort(upstream)
	var ours []string
	for _, f := range features {
		ours = append(ours, f.name)
	}
	require.Equal(t, upstream, ours)
}

// Values that Prometheus accepts and shows for a flag are accepted and shown.
func TestFlagValues(t *testing.T) {
	for _, c := range []struct{ arg, name, want string }{
		{"--storage.tsdb.retention.time=2w", "storage.tsdb.retention.time", "2w"},
		{"--storage.tsdb.retention.time=1d12h", "storage.tsdb.retention.time", "1d12h"},
		{"--storage.tsdb.retention.size=512MB", "storage.tsdb.retention.size", "512MiB"},
		{"--storage.tsdb.wal-segment-size=100MB", "storage.tsdb.wal-segment-size", "100MiB"},
		{"--storage.remote.read-sample-limit=5e7", "storage.remote.read-sample-limit", "50000000"},
		{"--query.max-samples=1e6", "query.max-samples", "1000000"},
		{"--web.enable-lifecycle", "web.enable-lifecycle", "true"},
		{"--no-storage.tsdb.wal-compression", "storage.tsdb.wal-compression", "false"},
		{"--storage.agent.retention.max-time=6h", "storage.agent.retention.max-time", "6h"},
		{"--scrape.timestamp-tolerance=10ms", "scrape.timestamp-tolerance", "10ms"},
		{"--log.level=debug", "log.level", "debug"},
		{"--log.format=json", "log.format", "json"},
		{"--storage.tsdb.wal-sync=always", "storage.tsdb.wal-sync", "always"},
		{"--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest", "web.remote-write-receiver.accepted-protobuf-messages", "prometheus.WriteRequest"},
	} {
		require.Equal(t, c.want, parsed(t, c.arg).status()[c.name], c.arg)
	}
	status := parsed(t).status()
	require.Equal(t, "127.0.0.1:9090", status["web.listen-address"])
	require.Equal(t, "5m", status["query.lookback-delta"])
	require.Equal(t, "prometheus.WriteRequest,io.prometheus.write.v2.Request", status["web.remote-write-receiver.accepted-protobuf-messages"])
	require.NotContains(t, status, "help")
	require.NotContains(t, status, "version")
}

func TestOptionsDefaults(t *testing.T) {
	o := parsed(t)
	require.Equal(t, configFlags{file: "prometheus.yml", autoReloadInterval: 30 * time.Second}, o.config)
	require.Equal(t, storageFlags{path: "data/", minBlockDuration: 2 * time.Hour, walSync: tsdb.WALSync{Interval: time.Second}, walCompression: true}, o.storage)
	require.Equal(t, rulesFlags{outageTolerance: time.Hour, forGracePeriod: 10 * time.Minute, resendDelay: time.Minute, maxConcurrentEvals: 4}, o.rules)
	require.Equal(t, notifyFlags{queueCapacity: 10000, batchSize: 256, drainOnShutdown: true}, o.notify)
	require.Equal(t, queryFlags{lookbackDelta: 5 * time.Minute, timeout: 2 * time.Minute, maxConcurrency: 20, maxWaiting: 1024, resultCache: 64 << 20, maxSamples: 50_000_000}, o.query)
	require.Equal(t, runtimeFlags{autoMaxProcs: true, autoMemLimit: true, memLimitRatio: 0.9}, o.runtime)
	require.Equal(t, 5*time.Second, o.discovery.updateInterval)
	require.Equal(t, featureSet{}, o.features)
	require.Empty(t, o.warnings)
	require.Equal(t, []string{"127.0.0.1:9090"}, o.web.listenAddresses)
	require.Equal(t, "http://127.0.0.1:9090", o.web.externalURL.String())
	require.Equal(t, "/", o.web.routePrefix)
	require.Equal(t, 512, o.web.maxConnections)
	require.Equal(t, 5*time.Minute, o.web.readTimeout)
	require.True(t, o.web.corsOrigin.MatchString("https://any.where"))
}

func TestConfigFileGiven(t *testing.T) {
	require.False(t, parsed(t).config.given)
	require.True(t, parsed(t, "--config.file=prometheus.yml").config.given)
	require.Equal(t, time.Second, parsed(t, "--config.auto-reload-interval=10ms").config.autoReloadInterval)
}

func TestLoadOptions(t *testing.T) {
	got := parsed(t, "--storage.tsdb.retention.time=3d", "--storage.tsdb.retention.size=1GB", "--log.level=warn", "--enable-feature=extra-scrape-metrics").
		loadOptions(slog.New(slog.DiscardHandler))
	require.Equal(t, model.Duration(72*time.Hour), got.Retention.Time)
	require.EqualValues(t, 1<<30, got.Retention.Size)
	require.Equal(t, "warn", got.LogLevel)
	require.True(t, got.ExtraScrapeMetrics)
}

func TestWebURLs(t *testing.T) {
	for _, c := range []struct {
		args        []string
		url, prefix string
	}{
		{[]string{"--web.external-url=https://x.org/prom/"}, "https://x.org/prom", "/prom"},
		{[]string{"--web.external-url=https://x.org/prom", "--web.route-prefix=/"}, "https://x.org/prom", "/"},
		{[]string{"--web.external-url=https://x.org", "--web.route-prefix=a/b/"}, "https://x.org", "/a/b"},
		{[]string{"--web.external-url=/only/path"}, "/only/path", "/only/path"},
		{[]string{"--web.listen-address=localhost:81", "--web.listen-address=[::1]:82"}, "http://localhost:81", "/"},
		{[]string{"--web.listen-address=[::1]:82"}, "http://[::1]:82", "/"},
	} {
		o := parsed(t, c.args...)
		require.Equal(t, c.url, o.web.externalURL.String(), c.args)
		require.Equal(t, c.prefix, o.web.routePrefix, c.args)
	}
	require.Regexp(t, regexp.MustCompile(`^http://[^:]+:90$`), parsed(t, "--web.listen-address=:90").web.externalURL.String())
	require.NotContains(t, parsed(t, "--web.listen-address=0.0.0.0:90").web.externalURL.String(), "0.0.0.0")
	origins := parsed(t, `--web.cors.origin=https?://(a|b)\.com`).web.corsOrigin
	require.True(t, origins.MatchString("http://b.com"))
	require.False(t, origins.MatchString("http://b.com.evil.org"))
}

func TestFlagErrors(t *testing.T) {
	for arg, want := range map[string]string{
		"--agent":                                "agent mode",
		"--no-such-flag":                         "no-such-flag",
		"word":                                   "word",
		"--query.timeout=fast":                   "not a valid duration",
		"--storage.tsdb.retention.size=many":     "many",
		"--storage.tsdb.wal-sync=sometimes":      "sometimes",
		"--storage.tsdb.wal-compression-type=gz": "gz",
		"--web.max-connections=few":              "few",
		"--web.external-url='http://x'":          "quote",
		"--web.external-url=http://%zz":          "web.external-url",
		"--web.cors.origin=(":                    "web.cors.origin",
		"--web.cors.origin=a)(b":                 "web.cors.origin",
		"--web.listen-address=9090":              "web.listen-address",
		"--auto-gomemlimit.ratio=1.5":            "auto-gomemlimit.ratio",
		"--auto-gomemlimit.ratio=NaN":            "auto-gomemlimit.ratio",
		"--log.level=loud":                       "loud",
		"--web.remote-write-receiver.accepted-protobuf-messages=x":            "x",
		"--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion": "exclude each other",
	} {
		o, err := parseFlags([]string{arg}, &bytes.Buffer{})
		require.Nil(t, o, arg)
		require.ErrorContains(t, err, want, arg)
		require.NotErrorIs(t, err, errInformed, arg)
	}
	_, err := parseFlags([]string{"--auto-gomemlimit.ratio=0", "--web.cors.origin=("}, &bytes.Buffer{})
	require.ErrorContains(t, err, "ratio")
	require.ErrorContains(t, err, "origin", "all errors are reported at once")
}

func TestInertFlagsWarnOnce(t *testing.T) {
	require.Equal(t, []string{
		"--web.console.templates has no effect: console templates are not built yet",
		"--storage.agent.path has no effect: there is no agent mode",
	}, parsed(t, "--storage.agent.path=x", "--web.console.templates=/etc/consoles").warnings)
	for _, f := range inertFlags {
		arg := "--" + f.name
		if f.kind != boolean {
			arg += "=" + map[valueKind]string{text: "x", integer: "1", span: "1h", size: "1MB", compression: "zstd", writeMessages: writeMessageNames[1]}[f.kind]
		}
		require.Len(t, parsed(t, arg).warnings, 1, arg)
		require.NotEmpty(t, f.missing, f.name)
	}
	var log bytes.Buffer
	parsed(t, "--web.user-assets=x").warn(slog.New(slog.NewTextHandler(&log, nil)))
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), "--web.user-assets")
}

func TestFeatures(t *testing.T) {
	o := parsed(t, "--enable-feature=promql-experimental-functions,promql-delayed-name-removal", "--enable-feature=concurrent-rule-eval")
	require.Equal(t, featureSet{experimentalFunctions: true, delayedNameRemoval: true, concurrentRuleEval: true}, o.features)
	require.Empty(t, o.warnings)
	require.True(t, o.features.parserOptions().EnableExperimentalFunctions)
	require.True(t, o.features.parserOptions().ExperimentalDurationExpr)

	o = parsed(t, "--enable-feature=nonsense,nonsense,xor2-encoding,auto-reload-config")
	require.Len(t, o.warnings, 3)
	require.Contains(t, o.warnings[0], `unknown feature "nonsense"`)
	require.Contains(t, o.warnings[1], "--enable-feature=xor2-encoding has no effect")
	require.Contains(t, o.warnings[2], "use --config.auto-reload")
	require.True(t, o.config.autoReload)

	// Every known feature does something or says why not.
	for _, f := range features {
		set, warnings, err := parseFeatures([]string{f.name})
		require.NoError(t, err)
		require.Equal(t, f.set != nil, set != featureSet{}, f.name)
		require.True(t, f.set != nil || len(warnings) == 1, f.name)
	}
	require.True(t, slices.IsSortedFunc(features, func(a, b feature) int { return strings.Compare(a.name, b.name) }))
}

func TestInformation(t *testing.T) {
	for arg, want := range map[string]string{
		"--help":                "--config.file",
		"-h":                    "--storage.tsdb.wal-sync",
		"--version":             "gnomon, version",
		"--write-documentation": "| `--[no-]web.enable-lifecycle` |",
	} {
		var out bytes.Buffer
		o, err := parseFlags([]string{arg}, &out)
		require.ErrorIs(t, err, errInformed, arg)
		require.Nil(t, o)
		require.Contains(t, out.String(), want, arg)
	}
	var out bytes.Buffer
	_, err := parseFlags([]string{"--write-documentation"}, &out)
	require.ErrorIs(t, err, errInformed)
	for name := range parsed(t).status() {
		require.Contains(t, out.String(), name+"`")
	}
}
