package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/config"
)

var update = flag.Bool("update", false, "write the reference documentation anew")

// requireReference compares a page of documentation/reference with what the
// source says, or writes it.
func requireReference(t *testing.T, page string, want []byte) {
	t.Helper()
	path := "../../documentation/reference/" + page
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "%s is out of date: go test ./cmd/gnomon -run TestReference -update", path)
}

func TestReferenceOfFlags(t *testing.T) {
	var out bytes.Buffer
	_, err := parseFlags([]string{"--write-documentation"}, &out)
	require.ErrorIs(t, err, errInformed)
	requireReference(t, "flags.md", out.Bytes())
}

func TestReferenceOfMetrics(t *testing.T) {
	root, err := os.Getwd()
	require.NoError(t, err)
	s, _ := testServer(t)
	stop := startServer(t, s)
	rows := ownMetrics(t, s.registry) // the database registers its own when it opens
	stop()
	t.Chdir(root)
	var out bytes.Buffer
	fmt.Fprintln(&out, "# Metrics\n\nWhat the server says of itself under `/metrics`, apart from `go_*` and `process_*` of the Go\nclient library. `prometheus_*` means the same as in Prometheus. Generated from the source by\n`go test ./cmd/gnomon -run TestReference -update`.")
	fmt.Fprintln(&out, "\n| metric | labels | what it says |\n|---|---|---|")
	for _, row := range rows {
		fmt.Fprintln(&out, row)
	}
	requireReference(t, "metrics.md", out.Bytes())
}

func TestReferenceOfConfiguration(t *testing.T) {
	var out bytes.Buffer
	fmt.Fprintln(&out, "# Configuration of our own\n\nThe configuration file is that of Prometheus. What Prometheus does not have is in a section `gnomon` of its\nown, at the top level. A reload applies it. Generated from the source by\n`go test ./cmd/gnomon -run TestReference -update`.")
	fmt.Fprintln(&out, "\n```yaml\ngnomon:\n  operator:\n    namespace: monitoring\n    name: k8s\n    spec:\n      serviceMonitorSelector: {}\n      serviceMonitorNamespaceSelector: {}\n      ruleSelector:\n        matchLabels: {role: alert-rules}\n  scrape:\n    limits:\n      - series_per_target: 50000\n      - job: kubernetes-pods\n        series_per_target: 5000\n  storage:\n    retention_rules:\n      - match: '{job=\"debug\"}'\n        time: 2d\n      - match: '{__name__=~\"slo:.*\"}'\n        time: 2y\n    rollups:\n      - resolution: 5m\n        retention: 90d\n      - resolution: 1h\n    limits:\n      series: 5000000\n      series_per_job: 500000\n```")
	fmt.Fprintln(&out, "\n| setting | type | what it says |\n|---|---|---|")
	describeSettings(&out, "gnomon", reflect.TypeFor[config.Section]())
	requireReference(t, "configuration.md", out.Bytes())
}

// describeSettings writes a row of a table for each setting of a section.
func describeSettings(out *bytes.Buffer, path string, section reflect.Type) {
	for f := range section.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		name = path + "." + name
		kind, inner := "", f.Type
		switch {
		case f.Type == reflect.TypeFor[config.Matchers]():
			kind, inner = "selector", nil
		case f.Type == reflect.TypeFor[model.Duration]():
			kind, inner = "duration", nil
		case f.Type.Kind() == reflect.Map:
			kind, inner = "mapping", nil
		case f.Type.Kind() == reflect.Slice:
			name, kind, inner = name+"[]", "list", f.Type.Elem()
		case f.Type.Kind() == reflect.Struct:
			kind = "section"
		default:
			kind, inner = f.Type.String(), nil
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", name, kind, f.Tag.Get("doc"))
		if inner != nil {
			describeSettings(out, name, inner)
		}
	}
}

// description takes apart the text of a prometheus.Desc, which has no other way
// in.
var description = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), (?:unit: "(?:[^"\\]|\\.)*", )?constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

// ownMetrics describes every metric of the registry, in ascending order of the
// name, a row of a table each.
func ownMetrics(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		reg.Describe(descriptions)
		close(descriptions)
	}()
	var rows []string
	for d := range descriptions {
		parts := description.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("the client library describes metrics in a form that is not known here: %s", d)
		}
		name, _ := strconv.Unquote(parts[1])
		help, _ := strconv.Unquote(parts[2])
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", name, strings.ReplaceAll(parts[3], ",", ", "), strings.ReplaceAll(strings.ReplaceAll(help, "|", "\\|"), "\n", " ")))
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}
