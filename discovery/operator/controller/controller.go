package controller

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/prometheus/config"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gnomonhq/gnomon/discovery/kubernetes"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

const (
	// gatherTime is how long further events are waited for after the first.
	gatherTime = 100 * time.Millisecond
	// pendingTime is the time between looks at what has not been read yet.
	pendingTime = 50 * time.Millisecond
)

var namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// Options are the parts of a controller.
type Options struct {
	// Client reads the objects. The caller closes it once Run has returned.
	Client *kubernetes.Client
	// Generator makes jobs and rules of them.
	Generator *operator.Generator
	// KubeConfigFile is where jobs find the API server that their objects name none of;
	// empty for the service account of the pod.
	KubeConfigFile string
	// CheckJob returns what is wrong with a job that only its scraper can tell, such as a
	// certificate that is none; nil if nothing is checked.
	CheckJob func(*config.ScrapeConfig) error
	// OnChange is told the results of all selected objects, by kind, namespace and name,
	// whenever one has changed; first when all objects were looked at. One goroutine calls
	// it, and the list is not changed afterwards.
	OnChange func([]operator.Result)
	// Writer writes what became of objects into their status; nil if nobody does.
	Writer *StatusWriter
	// MaxSources is how many Secrets and ConfigMaps are followed at most, each by a watch
	// of its own; 0 is DefaultMaxSources. An object that refers to more is rejected.
	MaxSources int
	Logger     *slog.Logger
}

// DefaultMaxSources is the default of Options.MaxSources.
const DefaultMaxSources = 1000

// Controller follows the objects of one cluster for one generator.
type Controller struct {
	Options
	notes      *notes
	values     *values
	namespaces *kubernetes.Objects
	objects    map[operator.Kind]*kubernetes.Objects
	// own stands for the Prometheus object, whose spec the generator has.
	own     identity
	results map[identity]operator.Result
	// waiting are the objects that refer to something that was not read yet.
	waiting map[identity]bool
	// crowded are those that were rejected because too many sources are followed.
	crowded map[identity]bool
	told    bool
}

// New returns a controller, which does nothing until it is run.
func New(o Options) *Controller {
	c := &Controller{Options: o, notes: newNotes(), objects: map[operator.Kind]*kubernetes.Objects{}, results: map[identity]operator.Result{}, waiting: map[identity]bool{}, crowded: map[identity]bool{}}
	c.own.kind = operator.KindPrometheus
	c.own.namespace, c.own.name = o.Generator.Object()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.values = &values{client: o.Client, changed: c.notes.source, max: cmp.Or(o.MaxSources, DefaultMaxSources), sources: map[source]*kubernetes.Objects{}}
	return c
}

// Run follows the objects until ctx ends. It is called once.
func (c *Controller) Run(ctx context.Context) {
	c.follow()
	defer c.unfollow()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var again <-chan time.Time
		if len(c.waiting) > 0 || !c.told {
			timer.Reset(pendingTime)
			again = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-c.notes.news:
			timer.Reset(gatherTime)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		c.step()
	}
}

// follow starts the watches. Cluster-wide ones are used where a namespace selector might
// select any namespace.
func (c *Controller) follow() {
	everywhere := false
	c.notes.object(c.own)
	for _, k := range kinds {
		if !c.Generator.SelectsAny(k.name) {
			continue
		}
		q := kubernetes.Query{Resource: k.resource}
		if own, only := c.Generator.OnlyNamespace(k.name); only {
			q.Namespace = own
		} else {
			everywhere = true
		}
		c.objects[k.name] = c.Client.Follow(q, eachChange(func(namespace, name string) {
			c.notes.object(identity{kind: k.name, namespace: namespace, name: name})
		}))
	}
	if everywhere {
		c.namespaces = c.Client.Follow(kubernetes.Query{Resource: namespaceResource}, eachChange(func(_, name string) { c.notes.namespace(name) }))
	}
}

func (c *Controller) unfollow() {
	for _, objects := range c.objects {
		objects.Close()
	}
	if c.namespaces != nil {
		c.namespaces.Close()
	}
	c.values.keep(nil)
}

// step generates what is dirty and tells the owner if anything has changed.
func (c *Controller) step() {
	dirty, sources, namespaces := c.notes.take()
	for id, r := range c.results {
		if slices.ContainsFunc(r.References, func(ref operator.Reference) bool { return sources[sourceOf(ref)] }) {
			dirty[id] = true
		}
	}
	for id := range c.waiting {
		dirty[id] = true
	}
	for kind, objects := range c.objects {
		if len(namespaces) == 0 {
			break
		}
		for _, u := range objects.List() {
			if namespaces[u.GetNamespace()] {
				dirty[identity{kind: kind, namespace: u.GetNamespace(), name: u.GetName()}] = true
			}
		}
	}
	changed := false
	for id := range dirty {
		changed = c.generate(id) || changed
	}
	if !c.settled() {
		return
	}
	if changed || !c.told {
		c.told = true
		c.tell()
	}
}

// settled reports whether everything that there was at first has been looked at, as far as
// the server lets us. While the server is out of reach it has not: what a controller before
// this one has found stays. Once it has been, it is for ever.
func (c *Controller) settled() bool {
	if c.told {
		return true
	}
	for _, objects := range c.objects {
		if !objects.Synced() && !refused(objects.Err()) {
			return false
		}
	}
	if c.namespaces != nil && !c.namespaces.Synced() && !refused(c.namespaces.Err()) {
		return false
	}
	return len(c.waiting) == 0
}

// refused reports whether the server has said that objects may not be read, or that it has
// no such kind. Other errors are expected to pass.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}

// generate makes the result of an object anew, and reports whether it has changed.
func (c *Controller) generate(id identity) bool {
	delete(c.waiting, id)
	delete(c.crowded, id)
	before, known := c.results[id]
	pending := false
	lookup := func(r operator.Reference) (string, error) {
		value, err := c.values.lookup(r)
		pending = pending || errors.Is(err, errPending)
		if errors.Is(err, errFull) {
			c.crowded[id] = true
		}
		return value, err
	}
	var (
		result operator.Result
		k      kind
		u      *unstructured.Unstructured
	)
	if id == c.own {
		if result = c.Generator.Additional(lookup); len(result.References) == 0 {
			return false // The spec has no additional jobs.
		}
	} else {
		k = kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == id.kind })]
		u = c.objects[id.kind].Get(id.namespace, id.name)
		if u == nil || !c.Generator.Selects(id.kind, u, c.labelsOf(id.namespace)) {
			delete(c.results, id)
			if c.Writer != nil && u != nil {
				c.Writer.withdraw(k.resource, u, id)
			}
			return known
		}
		result = k.generate(c.Generator, u, lookup)
	}
	if pending {
		// What was known stays until all is read.
		c.waiting[id] = true
		return false
	}
	c.reach(result.Jobs)
	c.check(&result)
	c.log(before, result)
	c.results[id] = result
	if c.Writer != nil && u != nil {
		c.Writer.write(k.resource, u, result)
	}
	return !known || !reflect.DeepEqual(before, result)
}

// check rejects an object one of whose jobs cannot be scraped.
func (c *Controller) check(result *operator.Result) {
	if c.CheckJob == nil {
		return
	}
	for _, job := range result.Jobs {
		if err := c.CheckJob(job); err != nil {
			result.Jobs, result.Rejection = nil, &operator.Rejection{Reason: operator.ReasonInvalid, Message: err.Error()}
			return
		}
	}
}

// reach lets jobs look into the cluster that their objects are from.
func (c *Controller) reach(jobs []*config.ScrapeConfig) {
	for _, job := range jobs {
		for _, sd := range job.ServiceDiscoveryConfigs {
			if k, ok := sd.(*upstream.SDConfig); ok && k.APIServer.URL == nil && k.KubeConfig == "" {
				k.KubeConfig = c.KubeConfigFile
			}
		}
	}
}

// labelsOf returns the labels of a namespace.
func (c *Controller) labelsOf(namespace string) map[string]string {
	if c.namespaces == nil {
		return nil
	}
	if u := c.namespaces.Get("", namespace); u != nil {
		return u.GetLabels()
	}
	return nil
}

// log says what is rejected, once for each reason, and what no longer is.
func (c *Controller) log(before, after operator.Result) {
	where := []any{"kind", after.Kind, "object", after.Namespace + "/" + after.Name}
	switch {
	case after.Rejection != nil && (before.Rejection == nil || *before.Rejection != *after.Rejection):
		c.Logger.Warn("an object is rejected; the others are not affected", append(where, "reason", after.Rejection.Reason, "err", after.Rejection.Message)...)
	case after.Rejection == nil && before.Rejection != nil:
		c.Logger.Info("an object is accepted again", where...)
	}
}

// tell gives the results to the owner, and stops following what nobody refers to.
func (c *Controller) tell() {
	results := make([]operator.Result, 0, len(c.results))
	used := map[source]bool{}
	for _, r := range c.results {
		results = append(results, r)
		for _, ref := range r.References {
			used[sourceOf(ref)] = true
		}
	}
	slices.SortFunc(results, func(a, b operator.Result) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	if len(c.waiting) == 0 && c.values.keep(used) {
		for id := range c.crowded {
			c.notes.object(id) // there is room now
		}
	}
	c.OnChange(results)
}
