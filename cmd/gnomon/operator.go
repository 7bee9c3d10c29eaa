package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
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

// The parts of the server that depend on the Operator's objects, by the names of their
// appliers.
const (
	partScraper         = "the scraper"
	partTargetDiscovery = "the discovery of targets"
	partRules           = "the rules"
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
	// parse reads a rule file.
	parse func(operator.RuleFile) (rules.File, error)
	// changed is told that jobs and rules are others now.
	changed func() error

	objects *prometheus.GaugeVec
	news    chan struct{}
	state   atomic.Pointer[[]operator.Result]

	mu      sync.Mutex
	section config.Operator
	stop    func()
	// lifetime ends when the server does; nothing is followed before it has begun.
	lifetime context.Context
}

func newOperatorObjects(reg prometheus.Registerer, logger *slog.Logger) *operatorObjects {
	o := &operatorObjects{
		logger: logger, news: make(chan struct{}, 1),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gnomon_operator_objects",
			Help: "Selected objects of the Prometheus Operator, by kind and by whether they are accepted or rejected.",
		}, []string{"kind", "state"}),
	}
	reg.MustRegister(o.objects)
	return o
}

// generator makes the generator of a section; nil if it is off.
func (*operatorObjects) generator(section config.Operator) (*operator.Generator, error) {
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
	replica, _ := os.Hostname() // the name of the pod, in one
	g, err := operator.New(operator.Options{Namespace: section.Namespace, Name: section.Name, Spec: spec, Replica: replica})
	if err != nil {
		return nil, fmt.Errorf("gnomon.operator.spec: %w", err)
	}
	return g, nil
}

// check returns what is wrong with the section of a configuration.
func (o *operatorObjects) check(c *config.Config) error {
	_, err := o.generator(c.Gnomon.Operator)
	return err
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
		o.tell(nil)
		return nil
	}
	if ignored := g.Ignored(); len(ignored) > 0 {
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
	o.objects.Reset()
	for _, r := range results {
		state := "accepted"
		if r.Rejection != nil {
			state = "rejected"
		}
		o.objects.WithLabelValues(string(r.Kind), state).Inc()
	}
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

// jobs returns those of all objects. A job that the configuration file has already is left
// out.
func (o *operatorObjects) jobs(ofFile []*promconfig.ScrapeConfig) []*promconfig.ScrapeConfig {
	var out []*promconfig.ScrapeConfig
	for _, r := range o.results() {
		for _, job := range r.Jobs {
			if slices.ContainsFunc(ofFile, func(x *promconfig.ScrapeConfig) bool { return x.JobName == job.JobName }) {
				o.logger.Warn("a job of an object is left out, as the configuration file has one of the name", "job", job.JobName)
				continue
			}
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
		f, err := o.parse(*r.Rules)
		if err != nil {
			// It was checked when the state came; the parser does not change.
			o.logger.Error("the rules of an object are left out", "file", r.Rules.Path, "err", err)
			continue
		}
		out = append(out, f)
	}
	return out
}

// checkObject returns what the scraper and the rule evaluator would refuse of an object's
// jobs and rules. They take all or nothing, and one object must not keep the others out.
func (s *server) checkObject(r operator.Result) error {
	var errs []error
	for _, job := range r.Jobs {
		errs = append(errs, s.scraper.Check(job))
	}
	if r.Rules != nil {
		_, err := s.operator.parse(*r.Rules)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
