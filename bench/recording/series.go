package recording

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// parseSeries reads a metric name and its labels as the text format has them, the part of a
// line before the number.
func parseSeries(text string) (labels.Labels, error) {
	var b labels.ScratchBuilder
	name, rest, braces := strings.Cut(text, "{")
	b.Add(model.MetricNameLabel, strings.TrimSpace(name))
	for braces && rest != "" && rest[0] != '}' {
		label, quoted, ok := strings.Cut(rest, `="`)
		if !ok {
			return labels.EmptyLabels(), fmt.Errorf("labels of %q", text)
		}
		value, after, ok := unquote(quoted)
		if !ok {
			return labels.EmptyLabels(), fmt.Errorf("label %s of %q has no end", label, text)
		}
		if value != "" {
			b.Add(strings.TrimSpace(label), value)
		}
		rest = strings.TrimLeft(after, ", ")
	}
	b.Sort()
	return b.Labels(), nil
}

// unquote reads up to the closing quote, and returns what is after it.
func unquote(s string) (value, after string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
