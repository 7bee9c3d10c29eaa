package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	_ "github.com/prometheus/prometheus/discovery/file"
	_ "github.com/prometheus/prometheus/discovery/http"
)

// memoryFiles is a file system of a map from path to content.
func memoryFiles(content map[string]string) files {
	return files{
		read: func(name string) ([]byte, error) {
			text, ok := content[name]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
		glob: func(pattern string) ([]string, error) {
			var names []string
			for _, name := range slices.Sorted(maps.Keys(content)) {
				ok, err := path.Match(pattern, name)
				if err != nil {
					return nil, err
				}
				if ok {
					names = append(names, name)
				}
			}
			return names, nil
		},
	}
}

// TestScripts runs the scripts in testdata/scripts: files are put with `file`,
// and `load` prints the error of loading the main file, one fault a line, or
// what was loaded. Expectations are rewritten by
//
//	go test ./config -run TestScripts -args -rewrite
//
// which is right only after every change in them was understood.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		content := map[string]string{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "file":
				var name string
				d.ScanArgs(t, "path", &name)
				content[name] = d.Input
				return ""
			case "load":
				content["prometheus.yml"] = strings.ReplaceAll(d.Input, `\t`, "\t")
				c, err := load(Source{Path: "prometheus.yml"}, memoryFiles(content), Options{})
				if err != nil {
					return strings.ReplaceAll(describe(t, err), "; ", "\n") + "\n"
				}
				return summary(c)
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

// describe returns the message of an error of load and checks what holds for
// every one of them.
func describe(t *testing.T, err error) string {
	var e *Error
	if errors.As(err, &e) {
		require.NotEmpty(t, e.Faults)
		for _, f := range e.Faults {
			require.NotEmpty(t, f.File)
			require.NotEmpty(t, f.Message)
		}
	}
	return err.Error()
}

// summary lists what a configuration consists of.
func summary(c *Config) string {
	var b strings.Builder
	for _, job := range c.ScrapeConfigs {
		fmt.Fprintf(&b, "job %s every %s within %s\n", job.JobName, job.ScrapeInterval, job.ScrapeTimeout)
	}
	for _, f := range c.RuleFiles {
		fmt.Fprintf(&b, "rules %s\n", filepath.ToSlash(f))
	}
	for _, f := range c.Files {
		fmt.Fprintf(&b, "%s file %s\n", f.Kind, f.Path)
	}
	return b.String()
}
