package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/bench/queries"
	"github.com/gnomonhq/gnomon/bench/recording"
)

// TestMain is the main function of the children that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childCommand {
		if err := childMain(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// writeRecordings makes recordings of a few series: constants, counters, a float, and one that
// comes and goes.
func writeRecordings(t *testing.T) string {
	dir := t.TempDir()
	for _, kind := range []string{"node", "victoriametrics", apiServer} {
		var raw []byte
		for i := range 100 {
			var b strings.Builder
			for c := range 20 {
				fmt.Fprintf(&b, "%s_constant{c=\"%d\"} %d\n%s_total{c=\"%d\"} %d\n", kind, c, c, kind, c, i*c)
			}
			fmt.Fprintf(&b, "seconds %g\n", float64(i)*0.37)
			if i%10 > 3 {
				b.WriteString("sometimes 1\n")
			}
			raw = binary.BigEndian.AppendUint64(raw, uint64(i*5000))
			raw = binary.BigEndian.AppendUint32(raw, uint32(b.Len()))
			raw = append(raw, b.String()...)
		}
		z, err := zstd.NewWriter(nil)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, kind+recording.Suffix), z.EncodeAll(raw, nil), 0o644))
	}
	return dir
}

// TestEveryRowIsMeasured runs the whole command at a tiny scale: each row of the table gets a
// value from each engine that can have one. How great it is is not judged.
func TestEveryRowIsMeasured(t *testing.T) {
	p, err := parsePlan([]string{"-data", writeRecordings(t), "-tmp", t.TempDir(), "-scale", "1", "-count", "1", "-rows", "200", "-sets", mixed})
	require.NoError(t, err)
	p.tiny = true
	p.progress = testWriter{t}
	got, err := p.run(t.Context())
	require.NoError(t, err)
	for _, r := range rows {
		sets := 0
		for _, set := range []string{noSet, mixed} {
			for _, engine := range []string{ours, upstream} {
				if len(got[key{r.metric, set, engine, 1}]) > 0 {
					sets++
				}
			}
		}
		require.GreaterOrEqual(t, sets, 2, "row %q lacks a value", r.what)
	}
	for _, metric := range []string{"disk", "index", "ingest_ns", "memory", "encode_ns", "decode_ns", "changing_ns", "row_ns", "labels_ns", "join_ns", "equal_block_ms", "regexp_head_ms", "churn_growth"} {
		found := false
		for _, set := range []string{noSet, mixed} {
			found = found || len(got[key{metric, set, victoria, 1}]) > 0
		}
		require.True(t, found, "%s of VictoriaMetrics", metric)
	}
	for i, q := range queries.List {
		for _, engine := range []string{ours, upstream} {
			require.Len(t, got[key{fmt.Sprintf("query_%02d_ms", i), noSet, engine, 1}], 1, "query %s of %s", q.Expr, engine)
		}
	}
	require.Len(t, got[key{"query_00_ms", noSet, thanos, 1}], 1)
	var b strings.Builder
	printQueries(&b, p, got)
	require.Greater(t, strings.Count(b.String(), "\n"), len(queries.List))
	require.NotContains(t, b.String(), "another result")
	b.Reset()
	printTable(&b, p, got)
	require.Greater(t, strings.Count(b.String(), "\n"), len(rows))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func TestTable(t *testing.T) {
	p := plan{groups: []string{"disk"}, sets: []string{small, mixed}, scales: []int{1, 4}}
	got := results{
		{"disk", small, ours, 1}:     {0.15, 0.14, 0.16},
		{"disk", small, upstream, 1}: {1.4},
		{"disk", small, victoria, 1}: {0.2},
		{"disk", mixed, ours, 4}:     {0.05},
		{"disk", mixed, upstream, 4}: {0.8},
	}
	var b strings.Builder
	printTable(&b, p, got)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, "| disk after compaction, values and timestamps | B/sample | small | 1× | 0.140 (0.150) | 1.40 | 0.200 | 0.100 | 0.700 | ≤ 0.160, ≤ 0.167×upstream, ≤ 0.650×victoria | **no** |", lines[2])
	require.Equal(t, "| disk after compaction, values and timestamps | B/sample | mixed | 4× | 0.050 | 0.800 | – | 0.062 | – | ≤ 0.100, ≤ 0.100×upstream | yes |", lines[3])
}

func TestCommandLine(t *testing.T) {
	p, err := parsePlan([]string{"-run", "disk,replay", "-scale", "4", "-sets", "mixed"})
	require.NoError(t, err)
	require.Equal(t, []string{"disk", "replay"}, p.groups)
	require.Equal(t, []int{4}, p.scales)
	require.Equal(t, len(chain), p.lastOfChain())
	for flag, wrong := range map[string]string{"-run": "speed", "-engines": "influx", "-sets": "large", "-scale": "0", "-rows": "1"} {
		_, err := parsePlan([]string{flag, wrong})
		require.ErrorContains(t, err, wrong)
	}
}

func TestFailedChildIsNamed(t *testing.T) {
	_, err := runChild(t.Context(), "", job{What: "codec", Engine: ours, Set: small, Scale: 1, Data: t.TempDir()})
	require.ErrorContains(t, err, "codec of ours, small x1")
	require.ErrorContains(t, err, "none of the recordings")
}
