package etcd

import (
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/model/rulefmt"
	promql "github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// TestDocumentationIsComplete holds the user document against the code: it names every
// field, metric and reason, and its examples are valid.
func TestDocumentationIsComplete(t *testing.T) {
	b, err := os.ReadFile("../../documentation/how-to/etcd-discovery.md")
	require.NoError(t, err)
	text := string(b)

	for _, f := range reflect.VisibleFields(reflect.TypeFor[SDConfig]()) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		require.Contains(t, text, "`"+name+"`")
	}
	descs := make(chan *prometheus.Desc, 100)
	m := newMetrics(prometheus.NewRegistry(), discovery.NewRefreshMetrics(prometheus.NewRegistry()))
	m.badValues.Describe(descs)
	m.relists.Describe(descs)
	m.reconnects.Describe(descs)
	(*gaugeCollector)(m).Describe(descs)
	close(descs)
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		require.Contains(t, text, "`"+name.FindStringSubmatch(d.String())[1]+"`")
	}
	for _, r := range append([]string{relistStart, relistRefresh, relistCompaction, relistHistory, relistOversize}, reasons...) {
		require.Contains(t, text, "`"+r+"`")
	}

	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	require.Len(t, blocks, 2)
	_, err = promconfig.Load(blocks[0][1], slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, errs := rulefmt.Parse([]byte(blocks[1][1]), false, model.UTF8Validation, promql.NewParser(promql.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
}
