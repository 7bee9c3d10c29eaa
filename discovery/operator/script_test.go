package operator

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
)

// TestScripts runs the files of testdata/scripts. Their commands:
//
//	settings [replica=] [shard=]  reads a spec and prints what is ignored, or why it is refused
//	global                                        prints the global section of the settings
//	objects                                       adds the objects of a stream of YAML documents
//	corpus <case>                                 takes the settings and objects of a case of testdata/corpus
//	results [references]                          prints what became of the objects
//	job <name>                                    prints a job in the form of a configuration file
//	rules                                         prints the rule files
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/scripts/*")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := &script{corpus: &corpus{namespaces: Namespaces{}, values: map[Reference]string{}}}
			datadriven.RunTest(t, path, s.run)
		})
	}
}

type script struct{ corpus *corpus }

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "settings":
		return s.settings(t, d)
	case "global":
		g, err := New(s.corpus.options)
		require.NoError(t, err)
		content, err := yaml.Marshal(g.Global())
		require.NoError(t, err)
		return string(content)
	case "objects":
		s.corpus.addAll(t, d.Input)
		return ""
	case "corpus":
		s.corpus = readCorpus(t, d.CmdArgs[0].Key)
		return ""
	case "job":
		return s.job(t, d.CmdArgs[0].Key)
	case "rules":
		var b strings.Builder
		for _, r := range s.corpus.generate(t) {
			if r.Rules != nil {
				fmt.Fprintf(&b, "%s\n%s", r.Rules.Path, r.Rules.Content)
			}
		}
		return b.String()
	case "results":
		return s.results(t, d.HasArg("references"))
	}
	return "unknown command " + d.Cmd
}

func (s *script) settings(t *testing.T, d *datadriven.TestData) string {
	o := Options{Namespace: "monitoring", Name: "k8s", CheckRules: checkRules}
	if d.HasArg("replica") {
		d.ScanArgs(t, "replica", &o.Replica)
	}
	if d.HasArg("shard") {
		d.ScanArgs(t, "shard", &o.Shard)
	}
	var err error
	if o.Spec, err = ReadSpec([]byte(d.Input)); err != nil {
		return "error: " + err.Error()
	}
	g, err := New(o)
	if err != nil {
		return "error: " + err.Error()
	}
	s.corpus = &corpus{options: o, namespaces: Namespaces{}, values: map[Reference]string{}}
	return "ignored: " + strings.Join(g.Ignored(), " ")
}

func (s *script) job(t *testing.T, name string) string {
	for _, r := range s.corpus.generate(t) {
		for _, j := range r.Jobs {
			if j.JobName == name {
				content, err := yaml.Marshal(j)
				require.NoError(t, err)
				return string(content)
			}
		}
	}
	return "there is no such job"
}

func (s *script) results(t *testing.T, references bool) string {
	var b strings.Builder
	for _, r := range s.corpus.generate(t) {
		fmt.Fprintf(&b, "%s %s/%s:", r.Kind, r.Namespace, r.Name)
		for _, j := range r.Jobs {
			fmt.Fprintf(&b, " %s", j.JobName)
		}
		if r.Rules != nil {
			fmt.Fprintf(&b, " %s", r.Rules.Path)
		}
		if r.Rejection != nil {
			fmt.Fprintf(&b, " %s: %s", r.Rejection.Reason, r.Rejection.Message)
		}
		b.WriteByte('\n')
		for _, ref := range r.References {
			if references {
				fmt.Fprintf(&b, "  %s\n", ref)
			}
		}
	}
	return b.String()
}
