package etcd

import (
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestTemplateMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         model.LabelSet // nil: no match
	}{
		{
			"/services/{job}/{instance}", "/services/api/web-1",
			model.LabelSet{"__meta_etcd_job": "api", "__meta_etcd_instance": "web-1"},
		},
		{"/services/{job}/{instance}", "/services/api", nil},
		{"/services/{job}/{instance}", "/services/api/", nil},
		{"/services/{job}/{instance}", "/services//web-1", nil},
		{"/services/{job}/{instance}", "/services/api/web/1", nil},
		{"/services/{job}/{instance}", "x/services/api/web-1", nil},
		{"/services/{job}/{instance}", "", nil},
		{"{job}", "a", model.LabelSet{"__meta_etcd_job": "a"}},
		{"{job}", "a\nb", model.LabelSet{"__meta_etcd_job": "a\nb"}},
		{"/n/node-{n}.{dc}", "/n/node-a.b.eu", model.LabelSet{"__meta_etcd_n": "a.b", "__meta_etcd_dc": "eu"}},
		{"/a+b/(c)/{x}", "/a+b/(c)/1", model.LabelSet{"__meta_etcd_x": "1"}},
		{"/a+b/{x}", "/aab/1", nil},
		{"/{{x}}/{y}", "/{x}/1", model.LabelSet{"__meta_etcd_y": "1"}},
		{"/{_}/{job}/{_}", "/eu/api/7", model.LabelSet{"__meta_etcd_job": "api"}},
		{"/{job}/{path...}", "/api/a/b/c", model.LabelSet{"__meta_etcd_job": "api", "__meta_etcd_path": "a/b/c"}},
		{"/{job}/{path...}", "/api/", nil},
		{"/{job}/{_...}", "/api/a/b", model.LabelSet{"__meta_etcd_job": "api"}},
		{"/s/{a}", "/s/\u00fc", model.LabelSet{"__meta_etcd_a": "\u00fc"}},
	} {
		tmpl, err := ParseTemplate(c.pattern)
		require.NoError(t, err, c.pattern)
		got, ok := tmpl.Match(c.key)
		require.Equal(t, c.want != nil, ok, "%s on %q", c.pattern, c.key)
		require.Equal(t, c.want, got, "%s on %q", c.pattern, c.key)
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct{ pattern, err string }{
		{"/services/", `"/services/" has no placeholder, such as {job}`},
		{"/services/{job", `"/services/{job", byte 11: { without }; write {{ for the character`},
		{"/services}/{job}", `"/services}/{job}", byte 10: } without {; write }} for the character`},
		{"/{}", `"/{}", byte 2: placeholder {}: the name must be letters, digits and underscores, not beginning with a digit`},
		{"/{1a}", `"/{1a}", byte 2: placeholder {1a}: the name must be letters, digits and underscores, not beginning with a digit`},
		{"/{a-b}", `"/{a-b}", byte 2: placeholder {a-b}: the name must be letters, digits and underscores, not beginning with a digit`},
		{"/{a}/{a}", `"/{a}/{a}", byte 6: placeholder {a} appears twice`},
		{"/{a}{b}", `"/{a}{b}", byte 5: two placeholders need text between them`},
		{"/{key}", `"/{key}", byte 2: placeholder {key}: the label __meta_etcd_key already holds the whole key`},
		{"/{a...}/{b}", `"/{a...}/{b}", byte 8: nothing may follow a placeholder with three dots`},
		{"/\xff{a}", `error parsing regexp: invalid UTF-8`},
		{strings.Repeat("/{_}", 33), "more than 32 placeholders"},
	} {
		_, err := ParseTemplate(c.pattern)
		require.ErrorContains(t, err, c.err)
	}
}

func TestTemplateCompatibleWith(t *testing.T) {
	for _, c := range []struct {
		pattern, prefix string
		want            bool
	}{
		{"/services/{job}/{i}", "/services/", true},
		{"/services/{job}/{i}", "/serv", true},
		{"/services/{job}/{i}", "/services/api/", true},
		{"/services/{job}/{i}", "/targets/", false},
		{"services/{job}", "/services/", false},
		{"{job}/x", "/services/", true},
		{"/{{a}}/{b}", "/{a}/", true},
	} {
		tmpl, err := ParseTemplate(c.pattern)
		require.NoError(t, err)
		require.Equal(t, c.want, tmpl.CompatibleWith(c.prefix), "%s under %s", c.pattern, c.prefix)
	}
}

// FuzzTemplate checks that no pattern and key crash, and that a match can be undone:
// putting the labels back into the pattern gives the key.
func FuzzTemplate(f *testing.F) {
	for _, s := range [][2]string{
		{"/services/{job}/{instance}", "/services/api/web-1"},
		{"/{a}-{b}/{c...}", "/x-y-z/1/2"},
		{"/{{lit}}/{x}", "/{lit}/1"},
		{"{", "}"},
		{"/{_}/{_...}", "/a/b"},
		{"/{a\xff}", "/"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, key string) {
		tmpl, err := ParseTemplate(pattern)
		if err != nil {
			return
		}
		labels, ok := tmpl.Match(key)
		if !ok {
			return
		}
		require.True(t, tmpl.CompatibleWith(key[:min(len(key), len(tmpl.head))]))
		if strings.Contains(pattern, "{_") || strings.Contains(pattern, "{{") || strings.Contains(pattern, "}}") {
			return
		}
		filled := pattern
		for name, value := range labels {
			name := strings.TrimPrefix(string(name), metaPrefix)
			// A value cannot be mistaken for a placeholder if the key has no braces.
			if strings.ContainsAny(string(value), "{}") {
				return
			}
			filled = strings.Replace(filled, "{"+name+"}", string(value), 1)
			filled = strings.Replace(filled, "{"+name+"...}", string(value), 1)
		}
		require.Equal(t, key, filled)
	})
}
