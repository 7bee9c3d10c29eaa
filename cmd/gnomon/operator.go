package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/prometheus/config"

	"github.com/gnomonhq/gnomon/alerting/rules"
	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/discovery/operator"
	"github.com/gnomonhq/gnomon/web/api"
)

// The parts of the server that are given the jobs of the Operator's objects, by the names of
// their appliers.
const (
	partScraper         = "the scraper"
	partTargetDiscovery = "the discovery of targets"
)

// operatorRetry is the time after which a cluster that could not be connected to, say
// because of a file that is missing, is tried again.
const operatorRetry = 10 * time.Second

// operatorObjects are the Prometheus Operator's objects as jobs and rules, if the
// configuration wants them. What follows them is made anew when its section changes; until
// the new one has looked around, the jobs and rules of the one before stay.
type operatorObjects struct {
	logger *slog.Logger
	// follow runs until ctx ends and tells of every state.
	follow func(ctx context.Context, section config.Operator, g *operator.Generator, tell func(results []operator.Result)) error
	// parser and parse read the expressions of rules and rule files, as the rule evaluator
	// does.
	parser operator.ExprParser
	parse  func(path string, content []byte) (rules.File, error)
	// changed is told that jobs and rules are others now.
	changed func() error

	news  chan struct{}
	state atomic.Pointer[[]operator.Result]

	mu      sync.Mutex
	section config.Operator
	stop    func()
	// lifetime ends when the server does; nothing is followed before it has begun.
	lifetime context.Context
}

var operatorObjectsDesc = prometheus.NewDesc("gnomon_operator_objects",
	"Selected objects of the Prometheus Operator, by kind and by whether they are accepted or rejected.", []string{"kind", "state"}, nil)

func newOperatorObjects(reg prometheus.Registerer, logger *slog.Logger) *operatorObjects {
	o := &operatorObjects{logger: logger, news: make(chan struct{}, 1)}
	reg.MustRegister(o)
	return o
}

// Describe implements prometheus.Collector.
func (*operatorObjects) Describe(ch chan<- *prometheus.Desc) { ch <- operatorObjectsDesc }

// Collect implements prometheus.Collector.
func (o *operatorObjects) Collect(ch chan<- prometheus.Metric) {
	counts := map[[2]string]int{}
	for _, r := range o.results() {
		state := "accepted"
		if r.Rejection != nil {
			state = "rejected"
		}
		counts[[2]string{string(r.Kind), state}]++
	}
	for labels, n := range counts {
		ch <- prometheus.MustNewConstMetric(operatorObjectsDesc, prometheus.GaugeValue, float64(n), labels[:]...)
	}
}

// generator makes the generator of a section; nil if it is off.
func (o *operatorObjects) generator(section config.Operator) (*operator.Generator, error) {
	if !section.Enabled() {
		return nil, nil
	}
	text, err := json.Marshal(section.Spec)
	if err != nil {
		return nil, fmt.Errorf("gnomon.operator.spec: %w", err)
	}
	spec, err := operator.ReadSpec(text)
	if err != nil {
		return nil, fmt.Errorf("gnomon.operator: %w", err)
	}
	g, err := operator.New(operator.Options{
		Namespace: section.Namespace, Name: section.Name, Spec: spec, Parser: o.parser,
		CheckRules: func(path string, content []byte) error { _, err := o.parse(path, content); return err },
	})
	if err != nil {
		return nil, fmt.Errorf("gnomon.operator.spec: %w", err)
	}
	return g, nil
}

// check returns what is wrong with the section of a configuration.
func (o *operatorObjects) check(c *config.Config) error {
	if _, err := o.generator(c.Gnomon.Operator); err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	return nil
}

// apply follows the objects that the configuration wants, if that changes.
func (o *operatorObjects) apply(c *config.Config) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if reflect.DeepEqual(o.section, c.Gnomon.Operator) {
		return nil
	}
	o.section = c.Gnomon.Operator
	return o.restart()
}

// run follows objects from now on until ctx ends, and passes on that they have changed.
func (o *operatorObjects) run(ctx context.Context) error {
	o.mu.Lock()
	o.lifetime = ctx
	err := o.restart()
	o.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			o.mu.Lock()
			defer o.mu.Unlock()
			o.end()
			return nil
		case <-o.news:
			if err := o.changed(); err != nil {
				o.logger.Error("changed objects were not applied", "err", err)
			}
		}
	}
}

// end stops the following. It is called under the lock.
func (o *operatorObjects) end() {
	if o.stop != nil {
		o.stop()
		o.stop = nil
	}
}

// restart follows the section in force. It is called under the lock.
func (o *operatorObjects) restart() error {
	if o.lifetime == nil {
		return nil
	}
	o.end()
	g, err := o.generator(o.section)
	if err != nil {
		return err
	}
	if g == nil {
		if len(o.results()) > 0 {
			o.tell(nil)
		}
		return nil
	}
	ignored := g.Ignored()
	if o.section.Spec["externalLabels"] != nil {
		ignored = append(ignored, "externalLabels (use global.external_labels)")
	}
	if len(ignored) > 0 {
		o.logger.Warn("fields of gnomon.operator.spec have no effect", "fields", strings.Join(ignored, " "))
	}
	ctx, cancel := context.WithCancel(o.lifetime)
	var running sync.WaitGroup
	section := o.section
	running.Go(func() {
		for ctx.Err() == nil {
			if err := o.follow(ctx, section, g, o.tell); err != nil {
				o.logger.Error("the objects of the Prometheus Operator are not followed; it is tried again", "after", operatorRetry, "err", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(operatorRetry):
			}
		}
	})
	o.stop = func() {
		cancel()
		running.Wait()
	}
	return nil
}

// tell takes a state. It does not wait for the state to be applied: whoever stops the
// following may hold what that needs.
func (o *operatorObjects) tell(results []operator.Result) {
	o.state.Store(&results)
	select {
	case o.news <- struct{}{}:
	default:
	}
}

func (o *operatorObjects) results() []operator.Result {
	if results := o.state.Load(); results != nil {
		return *results
	}
	return nil
}

// jobs returns those of all objects. A job whose name is taken, by the configuration file or
// an object before it, is left out: only additional jobs have names that are not their own.
func (o *operatorObjects) jobs(ofFile []*promconfig.ScrapeConfig) []*promconfig.ScrapeConfig {
	taken := map[string]bool{}
	for _, job := range ofFile {
		taken[job.JobName] = true
	}
	var out []*promconfig.ScrapeConfig
	for _, r := range o.results() {
		for _, job := range r.Jobs {
			if taken[job.JobName] {
				o.logger.Warn("a job of an object is left out, as there is one of the name", "kind", r.Kind, "object", r.Namespace+"/"+r.Name, "job", job.JobName)
				continue
			}
			taken[job.JobName] = true
			out = append(out, job)
		}
	}
	return out
}

// ruleFiles returns those of all objects.
func (o *operatorObjects) ruleFiles() []rules.File {
	var out []rules.File
	for _, r := range o.results() {
		if r.Rules == nil {
			continue
		}
		f, err := o.parse(r.Rules.Path, r.Rules.Content)
		if err != nil {
			// It was checked when the state came; the parser does not change.
			o.logger.Error("the rules of an object are left out", "file", r.Rules.Path, "err", err)
			continue
		}
		out = append(out, f)
	}
	return out
}

// shown shows the objects to the HTTP API.
func (o *operatorObjects) shown() []api.OperatorObject {
	results := o.results()
	out := make([]api.OperatorObject, len(results))
	for i, r := range results {
		out[i] = api.OperatorObject{Kind: string(r.Kind), Namespace: r.Namespace, Name: r.Name}
		for _, job := range r.Jobs {
			out[i].Jobs = append(out[i].Jobs, job.JobName)
		}
		if r.Rules != nil {
			out[i].RuleFile = r.Rules.Path
		}
		if r.Rejection != nil {
			out[i].Reason, out[i].Message = string(r.Rejection.Reason), r.Rejection.Message
		}
	}
	return out
}
