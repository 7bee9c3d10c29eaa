package operator

import (
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Additional makes the jobs of the settings' additionalScrapeConfigs, which is a list of
// sections of a configuration file in a Secret. Without it there are none. All of them
// are rejected if one is bad.
func (g *Generator) Additional(lookup Lookup) Result {
	o := g.begin(KindPrometheus, &metav1.ObjectMeta{Namespace: g.options.Namespace, Name: g.options.Name}, lookup)
	selector := g.spec.AdditionalScrapeConfigs
	if selector == nil {
		return o.result()
	}
	const path = "spec.additionalScrapeConfigs"
	var sections []yaml.MapSlice
	content := o.secret(path, g.options.Namespace, *selector)
	if err := yaml.Unmarshal([]byte(content), &sections); err != nil {
		o.fault(path, withoutLines(err))
	}
	var jobs []*config.ScrapeConfig
	names := map[string]bool{}
	for i, s := range sections {
		if !o.checkJobs(path, len(sections)) {
			break
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		job := o.job(at, o.shardSection(section(s)))
		if job == nil {
			continue
		}
		if names[job.JobName] {
			o.fault(at, fmt.Errorf("the job name %q is repeated", job.JobName))
		}
		names[job.JobName] = true
		jobs = append(jobs, job)
	}
	return o.withJobs(jobs)
}

// shardSection adds the steps of sharding to a section that has no hashing of its own.
func (o *object) shardSection(s section) section {
	if shardsOf(o.spec) == 1 {
		return s
	}
	var (
		sharded section
		steps   []any
	)
	for _, item := range s {
		if item.Key != "relabel_configs" {
			sharded = append(sharded, item)
			continue
		}
		list, isList := item.Value.([]any)
		if !isList && item.Value != nil {
			return s // Reading it as a job says what is wrong.
		}
		steps = list
	}
	for _, step := range steps {
		fields, _ := step.(yaml.MapSlice)
		for _, f := range fields {
			if action, _ := f.Value.(string); f.Key == "action" && strings.EqualFold(action, "hashmod") {
				return s
			}
		}
	}
	var r relabelings
	o.shard(&r, "__address__")
	for _, step := range r.section() {
		steps = append(steps, step)
	}
	sharded.set("relabel_configs", steps)
	return sharded
}
