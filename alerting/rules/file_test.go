package rules

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

const goodFile = `
groups:
  - name: recording
    interval: 30s
    query_offset: 1m
    limit: 10
    labels:
      team: a
      severity: low
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {severity: 1}
  - name: alerting
    rules:
      - alert: Down
        expr: |
          up == 0
        for: 5m
        keep_firing_for: 1h
        labels:
          severity: "{{ $value }}"
        annotations:
          summary: "{{ $labels.instance }} is down"
`

func TestParse(t *testing.T) {
	f, err := Reader{}.Parse("r.yml", []byte(goodFile))
	require.NoError(t, err)
	require.Equal(t, "r.yml", f.Path)
	require.Len(t, f.Groups, 2)

	g := f.Groups[0]
	offset := time.Minute
	require.Equal(t, "recording", g.Name)
	require.Equal(t, 30*time.Second, g.Interval)
	require.Equal(t, &offset, g.QueryOffset)
	require.Equal(t, 10, g.Limit)
	require.Len(t, g.Rules, 1)
	require.Equal(t, "job:up:sum", g.Rules[0].Record)
	require.Equal(t, "sum by (job) (up)", g.Rules[0].Expr.String())
	require.Equal(t, `{severity="1", team="a"}`, g.Rules[0].mergedLabels(g.Labels).String())

	g = f.Groups[1]
	require.Nil(t, g.QueryOffset)
	require.Zero(t, g.Interval)
	r := g.Rules[0]
	require.Equal(t, "Down", r.Alert)
	require.Equal(t, "up == 0", r.Expr.String())
	require.Equal(t, 5*time.Minute, r.For)
	require.Equal(t, time.Hour, r.KeepFiringFor)
	require.Equal(t, map[string]string{"severity": "{{ $value }}"}, r.Labels)
	require.Equal(t, map[string]string{"summary": "{{ $labels.instance }} is down"}, r.Annotations)
}

// rulesOf returns a file of one group with the given lines as its rules.
func rulesOf(lines ...string) string {
	return "groups:\n- name: g\n  rules:\n" + strings.Join(lines, "\n") + "\n"
}

// faults are files with what is wrong with them. The golden texts are what a
// user reads, so that they are spelled out.
var faults = map[string]struct {
	content string
	want    []string
}{
	"not yaml": {
		content: "groups:\n- name: [",
		want:    []string{"f.yml:2: did not find expected node content"},
	},
	"bracket that is not closed": {
		content: "groups:\n- name: [g\n",
		want:    []string{"f.yml:2: did not find expected ',' or ']'"},
	},
	"quote that is not closed": {
		content: "groups:\n- name: g\n  rules:\n  - record: \"a\n    expr: up\n",
		want:    []string{"f.yml:4: found unexpected end of stream"},
	},
	"not a mapping": {
		content: "- groups",
		want:    []string{"f.yml:1: cannot unmarshal !!seq"},
	},
	"unknown field of the file": {
		content: "groups: []\nrules: []\n",
		want:    []string{`f.yml:2: unknown field "rules"`},
	},
	"unknown fields of a group and a rule": {
		content: "groups:\n- name: g\n  every: 5m\n  rules:\n  - record: a\n    expr: b\n    fro: 1m\n",
		want:    []string{`f.yml:3: unknown field "every"`, `f.yml:7: unknown field "fro"`},
	},
	"repeated key": {
		content: "groups:\n- name: g\n  name: h\n",
		want:    []string{`f.yml:3: mapping key "name" already defined at line 2`},
	},
	"group without name": {
		content: "groups:\n- rules: []\n",
		want:    []string{"f.yml:2:3: group name must not be empty"},
	},
	"repeated group": {
		content: "groups:\n- name: g\n- name: g\n",
		want:    []string{`f.yml:3:3: group "g": group name "g" is repeated in the same file`},
	},
	"interval of a group": {
		content: "groups:\n- name: g\n  interval: soon\n  query_offset: -1m\n  limit: many\n",
		want: []string{
			`f.yml:3:13: group "g": field 'interval': not a valid duration string: "soon"`,
			`f.yml:4:17: group "g": field 'query_offset': not a valid duration string: "-1m"`,
			`f.yml:5:10: group "g": field 'limit' must be a whole number, not "many"`,
		},
	},
	"value of a label": {
		content: "groups:\n- name: g\n  labels: {a: \"\\xff\"}\n  rules:\n  - alert: a\n    expr: up\n    labels: {b: !!binary /w==}\n",
		want:    []string{`f.yml:7:17: group "g", rule 1, "a": invalid label value: "\xff"`},
	},
	"labels of a group": {
		content: "groups:\n- name: g\n  labels:\n    __name__: x\n    ok: [1]\n",
		want: []string{
			`f.yml:5:9: group "g": label "ok" must be a text`,
			`f.yml:4:15: group "g": invalid label name: __name__`,
		},
	},
	"neither record nor alert": {
		content: rulesOf("  - expr: up"),
		want:    []string{`f.yml:4:5: group "g", rule 1, "": one of 'record' or 'alert' must be set`},
	},
	"both record and alert": {
		content: rulesOf("  - record: a", "    alert: b", "    expr: up"),
		want:    []string{`f.yml:5:12: group "g", rule 1, "b": only one of 'record' and 'alert' must be set`},
	},
	"no expression": {
		content: rulesOf("  - record: a", "  - record: b", "    expr: ''"),
		want: []string{
			`f.yml:4:5: group "g", rule 1, "a": field 'expr' must be set in rule`,
			`f.yml:6:11: group "g", rule 2, "b": field 'expr' must be set in rule`,
		},
	},
	"expression does not parse": {
		content: rulesOf("  - record: a", "    expr: sum(", "  - record: b", "    expr: up +"),
		want: []string{
			`f.yml:5:11: group "g", rule 1, "a": could not parse expression: 1:5: parse error: unclosed left parenthesis`,
			`f.yml:7:11: group "g", rule 2, "b": could not parse expression: 1:5: parse error: unexpected end of input`,
		},
	},
	"fields of alerts in a recording rule": {
		content: rulesOf("  - record: a", "    expr: up", "    for: 1m", "    keep_firing_for: 1m", "    annotations: {x: y}"),
		want: []string{
			`f.yml:4:13: group "g", rule 1, "a": invalid field 'annotations' in recording rule`,
			`f.yml:6:10: group "g", rule 1, "a": invalid field 'for' in recording rule`,
			`f.yml:7:22: group "g", rule 1, "a": invalid field 'keep_firing_for' in recording rule`,
		},
	},
	"durations of a rule": {
		content: rulesOf("  - alert: a", "    expr: up", "    for: 5", "    keep_firing_for: [1m]"),
		want: []string{
			`f.yml:6:10: group "g", rule 1, "a": field 'for': not a valid duration string: "5"`,
			`f.yml:7:22: group "g", rule 1, "a": field 'keep_firing_for' must be a text`,
		},
	},
	"braces in the name": {
		content: rulesOf("  - record: a{b=\"c\"}", "    expr: up"),
		want:    []string{`f.yml:4:13: group "g", rule 1, "a{b=\"c\"}": braces present in the recording rule name; should it be in expr?: a{b="c"}`},
	},
	"names of labels and annotations": {
		content: rulesOf("  - alert: a", "    expr: up", "    labels:", "      __name__: x", "    annotations:", "      '': y"),
		want: []string{
			`f.yml:7:17: group "g", rule 1, "a": invalid label name: __name__`,
			`f.yml:9:11: group "g", rule 1, "a": invalid annotation name: `,
		},
	},
	"templates": {
		content: rulesOf("  - alert: a", "    expr: up", "    labels:", "      x: '{{ $nope }}'", "    annotations:", "      y: '{{ if }}'"),
		want: []string{
			`f.yml:7:10: group "g", rule 1, "a": label "x": template: __alert_a:1: undefined variable "$nope"`,
			`f.yml:9:10: group "g", rule 1, "a": annotation "y": template: __alert_a:1: missing value for if`,
		},
	},
	"an empty rule does not shift positions": {
		content: rulesOf("  -", "  - expr: up"),
		want:    []string{`f.yml:5:5: group "g", rule 1, "": one of 'record' or 'alert' must be set`},
	},
}

func TestParseFaults(t *testing.T) {
	for name, c := range faults {
		t.Run(name, func(t *testing.T) {
			_, err := Reader{}.Parse("f.yml", []byte(c.content))
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), "%v", err)
			for i, want := range c.want {
				require.True(t, strings.HasPrefix(lines[i], want), "got  %s\nwant %s", lines[i], want)
			}
			for _, line := range err.(interface{ Unwrap() []error }).Unwrap() {
				var fault *FileError
				require.ErrorAs(t, line, &fault)
				require.Positive(t, fault.Line)
			}
		})
	}
}

func TestParseLegacyNames(t *testing.T) {
	content := []byte(rulesOf("  - record: ä", "    expr: up", "    labels: {ö: x}"))
	_, err := Reader{}.Parse("f.yml", content)
	require.NoError(t, err)
	_, err = Reader{NameValidation: model.LegacyValidation}.Parse("f.yml", content)
	require.ErrorContains(t, err, `f.yml:4:13: group "g", rule 1, "ä": invalid recording rule name: ä`)
	require.ErrorContains(t, err, `f.yml:6:17: group "g", rule 1, "ä": invalid label name: ö`)
}

func TestParseIgnoresUnknownFields(t *testing.T) {
	_, err := Reader{IgnoreUnknownFields: true}.Parse("f.yml", []byte("more: 1\n"+goodFile))
	require.NoError(t, err)
}

func TestParseSecondDocument(t *testing.T) {
	var log bytes.Buffer
	r := Reader{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	f, err := r.Parse("f.yml", []byte(goodFile+"\n---\ngroups: [{name: ignored}]\n"))
	require.NoError(t, err)
	require.Len(t, f.Groups, 2)
	require.Contains(t, log.String(), "more than one yaml document")
}

func TestParseAnchorsAndMerges(t *testing.T) {
	f, err := Reader{}.Parse("f.yml", []byte(`
groups:
- name: &n g
  rules:
  - &base
    alert: A
    expr: &e up == 0
    for: &d 5m
    labels: &l {a: b}
  - <<: *base
    alert: B
  - alert: C
    expr: *e
    for: *d
    labels:
      <<: *l
      c: d
`))
	require.NoError(t, err)
	require.Len(t, f.Groups[0].Rules, 3)
	for _, r := range f.Groups[0].Rules {
		require.Equal(t, "up == 0", r.Expr.String())
		require.Equal(t, 5*time.Minute, r.For)
		require.Equal(t, "b", r.Labels["a"])
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	write("a.yml", goodFile)
	write("b.yml", rulesOf("  - record: r", "    expr: up"))
	write("broken.yaml", "groups: 3")

	files, err := Reader{}.ReadFiles([]string{filepath.Join(dir, "*.yml"), filepath.Join(dir, "a*"), filepath.Join(dir, "none*")})
	require.NoError(t, err)
	require.Len(t, files, 2, "a file that two patterns match is read once")
	require.Equal(t, filepath.Join(dir, "a.yml"), files[0].Path)

	_, err = Reader{}.ReadFiles([]string{filepath.Join(dir, "*")})
	require.ErrorContains(t, err, filepath.Join(dir, "broken.yaml")+":1: ")

	_, err = Reader{}.ReadFiles([]string{"["})
	require.ErrorContains(t, err, `rule file pattern "["`)

	_, err = Reader{}.ReadFile(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "absent"))
}

func TestReadFileBounds(t *testing.T) {
	dir := t.TempDir()
	_, err := Reader{}.ReadFile(dir)
	require.ErrorContains(t, err, dir+": ")

	path := filepath.Join(dir, "huge.yml")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(MaxFileBytes+1))
	require.NoError(t, f.Close())
	_, err = Reader{}.ReadFile(path)
	require.EqualError(t, err, path+": rule file is larger than 67108864 bytes, split it")
}

// upstreamAccepts reports whether upstream's reader finds no fault.
func upstreamAccepts(content []byte) bool {
	_, errs := rulefmt.Parse(content, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	return len(errs) == 0
}

func TestAcceptsWhatUpstreamAccepts(t *testing.T) {
	require.True(t, upstreamAccepts([]byte(goodFile)))
	for name, c := range faults {
		require.False(t, upstreamAccepts([]byte(c.content)), name)
	}
}

// FuzzParse holds that a file never crashes the reader and that it accepts what
// upstream's accepts.
func FuzzParse(f *testing.F) {
	f.Add([]byte(goodFile))
	for _, c := range faults {
		f.Add([]byte(c.content))
	}
	for _, s := range []string{"", "groups:", "groups: [null]", "groups: [{name: g, rules: null}]", "a: &a [*a]", "groups: &a [{name: x, rules: *a}]", "\x00", "groups: [{name: 1, rules: [{record: 2, expr: 3}]}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Reader{}.Parse("f.yml", content)
		require.Equal(t, upstreamAccepts(content), err == nil, "our error: %v", err)
		if err != nil {
			return
		}
		for _, g := range file.Groups {
			require.NotEmpty(t, g.Name)
			for _, r := range g.Rules {
				require.NotNil(t, r.Expr)
				require.NotEmpty(t, r.Name())
			}
		}
	})
}
