package config

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// addScripts seeds a fuzz target with the configurations of the scripts.
func addScripts(f *testing.F) {
	names, err := filepath.Glob("testdata/scripts/*")
	require.NoError(f, err)
	require.NotEmpty(f, names)
	for _, name := range names {
		script, err := os.ReadFile(name)
		require.NoError(f, err)
		for part := range strings.SplitSeq(string(script), "\nload\n") {
			if text, _, ok := strings.Cut(part, "\n----"); ok {
				f.Add([]byte(text))
			}
		}
	}
	f.Add([]byte("\uFEFFgnomon: {}\nglobal: {}\n"))
	f.Add([]byte("  gnomon: {}\r\n  global: {}\r\n"))
	f.Add([]byte("--- {a: ü, gnomon: {b: '}'}, c: d} # }\n..."))
	f.Add([]byte("a: &a [b, *a]\ngnomon: *a\n"))
	f.Add([]byte("? gnomon\n: {}\n? global\n: {}\n"))
}

// FuzzCutSection holds the cutter to its promise: what is left parses to the
// same tree without our section, and every other line is as it was.
func FuzzCutSection(f *testing.F) {
	addScripts(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		doc := parseDocument("f.yml", text)
		original := doc.text
		before := child(doc.root, sectionKey)
		section, err := doc.cutSection()
		if err != nil {
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, original, doc.text)
			return
		}
		require.Equal(t, before != nil, section != nil)
		if section == nil {
			require.Equal(t, original, doc.text)
			return
		}
		require.Nil(t, child(doc.root, sectionKey))
		rest := bytes.Split(doc.text, []byte("\n"))
		for i, line := range bytes.Split(original, []byte("\n")) {
			if len(bytes.TrimSpace(rest[i])) > 0 && len(rest[i]) == len(line) {
				for j := range line {
					require.True(t, rest[i][j] == ' ' || rest[i][j] == line[j])
				}
			}
		}
		require.Equal(t, bytes.Count(original, []byte("\n")), bytes.Count(doc.text, []byte("\n")))
		require.True(t, bytes.Contains(original, bytes.TrimRight(bytes.TrimLeft(section, "{ \t\r\n\u0085\u2028\u2029"), "}")))
	})
}

// FuzzLoad: no text makes loading panic, every refusal has a message, and a
// text without our section loads exactly if upstream loads it.
func FuzzLoad(f *testing.F) {
	addScripts(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		others := memoryFiles(map[string]string{"prometheus.yml": string(text)})
		c, err := load(Source{Path: "prometheus.yml"}, others, Options{})
		if doc := parseDocument("", text); child(doc.root, sectionKey) == nil {
			theirs, upstreamErr := decodeUpstream(doc.text, slog.New(slog.DiscardHandler))
			if upstreamErr != nil {
				require.Error(t, err)
			} else if len(theirs.RuleFiles)+len(theirs.ScrapeConfigFiles) == 0 {
				require.NoError(t, err)
			}
		}
		if err == nil {
			require.NotEmpty(t, c.String())
			require.True(t, len(Compare(c, c).Unchanged) == len(c.ScrapeConfigs))
			return
		}
		var e *Error
		if errors.As(err, &e) {
			require.NotEmpty(t, e.Faults)
			lines := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) + 1
			for _, fault := range e.Faults {
				require.NotEmpty(t, fault.Message)
				require.GreaterOrEqual(t, fault.Line, 0)
				require.LessOrEqual(t, fault.Line, lines+strings.Count(string(text), "\u0085")+strings.Count(string(text), "\u2028")+strings.Count(string(text), "\u2029"))
			}
		}
	})
}
