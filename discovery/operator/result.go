package operator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind is a kind of object that makes jobs or rules.
type Kind string

// The kinds, in the order of results.
const (
	KindServiceMonitor Kind = "ServiceMonitor"
	KindPodMonitor     Kind = "PodMonitor"
	KindProbe          Kind = "Probe"
	KindScrapeConfig   Kind = "ScrapeConfig"
	KindPrometheusRule Kind = "PrometheusRule"
	// KindPrometheus is the object that the settings come from: its
	// additionalScrapeConfigs make jobs.
	KindPrometheus Kind = "Prometheus"
)

// Result is what became of one object. It either has jobs or rules, or a rejection.
type Result struct {
	Kind      Kind
	Namespace string
	Name      string
	// Jobs are complete: they were validated against the settings, and a second
	// validation against other global settings changes at most limits that are
	// nowhere set.
	Jobs []*config.ScrapeConfig
	// Rules is the rule file of a PrometheusRule.
	Rules *RuleFile
	// References are the keys of Secrets and ConfigMaps that the object depends on,
	// sorted, those that were not found included. A change of their values changes the
	// result; a change of anything else does not.
	References []Reference
	// Rejection says why there are neither jobs nor rules; nil if the object is in order.
	Rejection *Rejection
}

// RuleFile is a rule file that is in memory only.
type RuleFile struct {
	// Path identifies it; there is no such file. It is prometheusRule/<namespace>/<name>.
	Path string
	// Content is YAML in the form of a rule file.
	Content []byte
}

// Reason is why an object was rejected, in the form of a reason of a Kubernetes
// condition.
type Reason string

const (
	// ReasonInvalid is that of the Operator: the object has to be changed.
	ReasonInvalid Reason = "InvalidConfiguration"
	// ReasonUnresolved is that a Secret, a ConfigMap or a key of one is missing, and
	// nothing else is wrong: the object is fine as soon as it is there.
	ReasonUnresolved Reason = "UnresolvedReference"
)

// Rejection says why an object was rejected.
type Rejection struct {
	Reason Reason
	// Message names the bad fields, each by its path in the object.
	Message string
}

// ReferenceKind is what a reference points to.
type ReferenceKind string

// The kinds of references.
const (
	ReferenceSecret    ReferenceKind = "Secret"
	ReferenceConfigMap ReferenceKind = "ConfigMap"
)

// Reference is one key of a Secret or ConfigMap.
type Reference struct {
	Kind      ReferenceKind
	Namespace string
	Name      string
	Key       string
}

// String returns the reference for messages. It never has the value.
func (r Reference) String() string {
	return fmt.Sprintf("key %q of the %s %s/%s", r.Key, r.Kind, r.Namespace, r.Name)
}

func (r Reference) compare(other Reference) int {
	return cmp.Or(
		cmp.Compare(r.Kind, other.Kind),
		cmp.Compare(r.Namespace, other.Namespace),
		cmp.Compare(r.Name, other.Name),
		cmp.Compare(r.Key, other.Key),
	)
}

// Lookup returns the value that a reference points to, or an error if there is none.
// The error goes into the message of the rejection and must not have values of Secrets.
type Lookup func(Reference) (string, error)

// maxFaults bounds the faults that a message lists.
const maxFaults = 10

// object is the work on one object: whose it is, what it refers to, what is wrong.
type object struct {
	*Generator
	kind   Kind
	meta   *metav1.ObjectMeta
	lookup Lookup
	// names is how names of labels are validated.
	names model.ValidationScheme

	references map[Reference]struct{}
	faults     []string
	// moreFaults counts those that the message does not list.
	moreFaults int
	// invalid is set by the first fault that is no missing reference.
	invalid bool
}

// begin starts the work on an object and checks its identity, which job names and
// messages are made of.
func (g *Generator) begin(kind Kind, meta *metav1.ObjectMeta, lookup Lookup) *object {
	o := &object{Generator: g, kind: kind, meta: meta, lookup: lookup, names: g.global.MetricNameValidationScheme}
	if meta.Namespace == "" || strings.Contains(meta.Namespace, "/") {
		o.fault("metadata.namespace", fmt.Errorf("%q is no namespace", meta.Namespace))
	}
	if meta.Name == "" || strings.Contains(meta.Name, "/") {
		o.fault("metadata.name", fmt.Errorf("%q is no name", meta.Name))
	}
	return o
}

// fault notes that the field at path is bad.
func (o *object) fault(path string, err error) {
	o.invalid = true
	o.note(path, err)
}

// note adds a fault to the message, once: what belongs to the object as a whole is
// looked at for each of its jobs.
func (o *object) note(path string, err error) {
	text := path + ": " + err.Error()
	switch {
	case slices.Contains(o.faults, text):
	case len(o.faults) == maxFaults:
		o.moreFaults++
	default:
		o.faults = append(o.faults, text)
	}
}

// sound reports whether nothing is wrong so far.
func (o *object) sound() bool { return len(o.faults) == 0 }

// result returns what became of the object. The caller adds jobs or rules to one that
// has no rejection.
func (o *object) result() Result {
	r := Result{
		Kind:       o.kind,
		Namespace:  o.meta.Namespace,
		Name:       o.meta.Name,
		References: slices.SortedFunc(maps.Keys(o.references), Reference.compare),
	}
	if o.sound() {
		return r
	}
	r.Rejection = &Rejection{Reason: ReasonUnresolved, Message: strings.Join(o.faults, "; ")}
	if o.moreFaults > 0 {
		r.Rejection.Message += fmt.Sprintf("; and %d more", o.moreFaults)
	}
	if o.invalid {
		r.Rejection.Reason = ReasonInvalid
	}
	return r
}

// withJobs returns the result with jobs, unless the object is rejected.
func (o *object) withJobs(jobs []*config.ScrapeConfig) Result {
	r := o.result()
	if r.Rejection == nil {
		r.Jobs = jobs
	}
	return r
}
