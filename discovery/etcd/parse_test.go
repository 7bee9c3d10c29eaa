package etcd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

func testParser(t testing.TB, template string) *parser {
	t.Helper()
	tmpl, err := ParseTemplate(template)
	require.NoError(t, err)
	return &parser{template: tmpl, source: "etcd/h:1:", maxValueSize: 4 << 10}
}

// addressed returns the label set of a target.
func addressed(address string, more ...string) model.LabelSet {
	set := model.LabelSet{model.AddressLabel: model.LabelValue(address)}
	for i := 0; i < len(more); i += 2 {
		set[model.LabelName(more[i])] = model.LabelValue(more[i+1])
	}
	return set
}

func TestParseGoodValues(t *testing.T) {
	const template = "/s/{job}/{instance}"
	ofKey := model.LabelSet{"__meta_etcd_key": "/s/api/1", "__meta_etcd_job": "api", "__meta_etcd_instance": "1"}
	for _, c := range []struct {
		name, template, key, value string
		targets                    []model.LabelSet
		labels                     model.LabelSet
	}{
		{
			"object", "", "/k", `{"targets":["a:1","b:2"],"labels":{"env":"prod"}}`,
			[]model.LabelSet{addressed("a:1"), addressed("b:2")},
			model.LabelSet{"__meta_etcd_key": "/k", "env": "prod"},
		},
		{
			"object without labels", "", "/k", " \n{\"targets\":[\"a:1\"]}\n",
			[]model.LabelSet{addressed("a:1")}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"object with labels of the key", template, "/s/api/1", `{"targets":["a:1"]}`,
			[]model.LabelSet{addressed("a:1")}, ofKey,
		},
		{
			"object under another key", template, "/s/other", `{"targets":["a:1"]}`,
			[]model.LabelSet{addressed("a:1")}, model.LabelSet{"__meta_etcd_key": "/s/other"},
		},
		{
			"the key's labels win", template, "/s/api/1", `{"targets":["a:1"],"labels":{"__meta_etcd_job":"x"}}`,
			[]model.LabelSet{addressed("a:1")}, ofKey,
		},
		{
			"a URL for a prober", "", "/k", `{"targets":["https://example.com/health?x=1"]}`,
			[]model.LabelSet{addressed("https://example.com/health?x=1")}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"no targets on purpose", "", "/k", `{"targets":[]}`,
			[]model.LabelSet{}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"list", "", "/k", `[{"targets":["a:1"],"labels":{"env":"prod","__meta_etcd_key":"x"}},{"targets":["b:2","c:3"]}]`,
			[]model.LabelSet{addressed("a:1", "env", "prod"), addressed("b:2"), addressed("c:3")},
			model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"a label cannot move a listed target", "", "/k", `[{"targets":["a:1"],"labels":{"__address__":"b:2"}}]`,
			[]model.LabelSet{addressed("a:1")}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{"empty list", "", "/k", ` [ ] `, nil, model.LabelSet{"__meta_etcd_key": "/k"}},
		{
			"plain", template, "/s/api/1", "10.0.0.1:9100",
			[]model.LabelSet{addressed("10.0.0.1:9100")}, ofKey,
		},
		{
			"plain with a newline and no template", "", "/k", "host.example:9100\n",
			[]model.LabelSet{addressed("host.example:9100")}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"plain IPv6", "", "/k", "[::1]:9100",
			[]model.LabelSet{addressed("[::1]:9100")}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"plain IPv6 that begins with a letter", "", "/k", "[fe80::1%eth0]:9100",
			[]model.LabelSet{addressed("[fe80::1%eth0]:9100")}, model.LabelSet{"__meta_etcd_key": "/k"},
		},
		{
			"UTF-8 label name", "", "/k", `{"targets":["a:1"],"labels":{"k8s.pod":"ü"}}`,
			[]model.LabelSet{addressed("a:1")}, model.LabelSet{"__meta_etcd_key": "/k", "k8s.pod": "ü"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := testParser(t, c.template).parse(c.key, []byte(c.value))
			require.Nil(t, err)
			require.Equal(t, &targetgroup.Group{Source: "etcd/h:1:" + c.key, Targets: c.targets, Labels: c.labels}, got)
		})
	}
}

func TestParseBadValues(t *testing.T) {
	const template = "/s/{job}"
	for _, c := range []struct{ key, value, reason, err string }{
		{"/s/a", "", reasonSyntax, "the value is empty"},
		{"/s/a", " \n", reasonSyntax, "the value is empty"},
		{"/s/a", `{"targets":["a:1"]`, reasonSyntax, "the JSON ends too early"},
		{"/s/a", `{"targets":["a:1"]} x`, reasonSyntax, "byte 21: text follows the JSON value"},
		{"/s/a", `{"targets":["a:1"]}{}`, reasonSyntax, "text follows the JSON value"},
		{"/s/a", `{"targets":[a]}`, reasonSyntax, "byte 13: invalid character 'a' looking for beginning of value"},
		{"/s/a", `{"targets":"a:1"}`, reasonSyntax, "targets must not be a string"},
		{"/s/a", `{"targets":[1]}`, reasonSyntax, "targets must not be a number"},
		{"/s/a", `{"target":["a:1"]}`, reasonSyntax, `unknown field "target"`},
		{"/s/a", `{"labels":{"a":"b"}}`, reasonSyntax, `the field "targets" is missing`},
		{"/s/a", `{"targets":null}`, reasonSyntax, `the field "targets" is missing`},
		{"/s/a", `{"targets":["a:1"," "]}`, reasonSyntax, "targets[1] is empty"},
		{"/s/a", `{"targets":["a:1"],"labels":{"":"x"}}`, reasonSyntax, `"" is not a valid label name`},
		{"/s/a", `{"targets":["a:1"],"labels":{"a":1}}`, reasonSyntax, "must not be a number"},
		{"/s/a", `[{"targets":["a:1"]},null]`, reasonSyntax, "group 2 of the list is null"},
		{"/s/a", `[{"targets":["a:1"]},{}]`, reasonSyntax, `group 2 of the list: the field "targets" is missing`},
		{"/s/a", `["a:1"]`, reasonSyntax, "must not be a string"},
		{"/s/a", "a", reasonSyntax, "the value is neither JSON nor an address: missing port in address, want host:port"},
		{"/s/a", ":9100", reasonSyntax, "the host is missing, want host:port"},
		{"/s/a", "a:0", reasonSyntax, `the port is "0"`},
		{"/s/a", "a:http", reasonSyntax, `the port is "http"`},
		{"/s/a", "a:65536", reasonSyntax, `the port is "65536"`},
		{"/s/a", "a b:1", reasonSyntax, `the host holds ' '`},
		{"/s/a", "http://a:1", reasonSyntax, "too many colons"},
		{"/s/a", "a:1\xff", reasonSyntax, "the value is not valid UTF-8"},
		{"/s/a/b", "a:1", reasonTemplate, "the key does not match key_template"},
		{"/s/\xff", "a:1", reasonKey, "the key is not valid UTF-8"},
		{"/s/a", `{"targets":["` + strings.Repeat("a", 4<<10) + `"]}`, reasonSize, "the value has 4112 bytes, more than max_value_size, 4096"},
	} {
		_, err := testParser(t, template).parse(c.key, []byte(c.value))
		require.NotNil(t, err, c.value)
		require.ErrorContains(t, err, c.err, c.value)
		require.Equal(t, c.reason, err.reason, c.value)
	}
}

// TestParseBoundsRepetition writes a value whose labels, repeated for each target, would
// take a thousand times its size.
func TestParseBoundsRepetition(t *testing.T) {
	p := testParser(t, "")
	p.maxValueSize = 1 << 20
	var labels, targets []string
	for i := range 2000 {
		labels = append(labels, fmt.Sprintf(`"l%d":"v"`, i))
		targets = append(targets, `"a:1"`)
	}
	object := fmt.Sprintf(`{"targets":[%s],"labels":{%s}}`, strings.Join(targets, ","), strings.Join(labels, ","))
	for _, value := range []string{object, "[" + object + "]"} {
		_, err := p.parse("/k", []byte(value))
		require.NotNil(t, err)
		require.Equal(t, reasonSize, err.reason)
		require.ErrorContains(t, err, "4002000 labels in all, more than 500000")
	}
}

// FuzzParse checks that no value crashes the parser and that what it accepts can be used:
// every target has an address, all labels are valid, the key is recorded.
func FuzzParse(f *testing.F) {
	for _, v := range []string{
		`{"targets":["a:1"],"labels":{"env":"prod"}}`,
		`[{"targets":["a:1"]},{"targets":[],"labels":{"a":"b"}}]`,
		`[`, `[]`, `[::1]:9100`, "10.0.0.1:9100\n", `{"targets":null}`, `{"targets":[""]}`,
		`{"targets":["a:1"],"labels":{"\ud800":"x"}}`, `{"labels":`, "\xff\xfe", "{}{}", "null", "[null]",
	} {
		f.Add("/s/api/1", []byte(v))
	}
	f.Add("/s/\xff/1", []byte("a:1"))
	p := testParser(f, "/s/{job}/{instance}")
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		g, err := p.parse(key, value)
		if err != nil {
			require.Nil(t, g)
			require.NotEmpty(t, err.Error())
			require.Contains(t, reasons, err.reason)
			return
		}
		require.Equal(t, p.sourceOf(key), g.Source)
		require.Equal(t, key, string(g.Labels[keyLabel]))
		for _, set := range append([]model.LabelSet{g.Labels}, g.Targets...) {
			for n, v := range set {
				require.True(t, model.UTF8Validation.IsValidLabelName(string(n)), "%q", n)
				require.True(t, utf8.ValidString(string(v)), "%q", v)
			}
		}
		for _, target := range g.Targets {
			require.NotEmpty(t, strings.TrimSpace(string(target[model.AddressLabel])))
		}
	})
}

func TestValueErrorUnwraps(t *testing.T) {
	cause := errors.New("cause")
	require.ErrorIs(t, &valueError{reasonSyntax, cause}, cause)
}
