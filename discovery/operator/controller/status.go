package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/gnomonhq/gnomon/discovery/operator"
)

const (
	// writeTimeout bounds the writing of one status.
	writeTimeout = 10 * time.Second
	// writeRetry is the time after which what failed is tried again.
	writeRetry = 5 * time.Minute
)

// StatusWriter writes what became of objects into their status, as the Operator does: a
// binding to the Prometheus object with a condition Accepted, which is taken away when the
// object is not selected any more. Bindings of others are left as they are. What is to be written waits by object, so that a slow server costs no more
// than the objects there are. What fails is counted and tried again after five minutes. Safe for concurrent use.
type StatusWriter struct {
	client  dynamic.Interface
	binding monitoringv1.WorkloadBinding
	logger  *slog.Logger
	writes  *prometheus.CounterVec
	news    chan struct{}

	mu struct {
		sync.Mutex
		due map[identity]status
		// failing has the last error of each kind, so that it is reported once.
		failing map[schema.GroupVersionResource]string
	}
}

// status is what is to be written about an object.
type status struct {
	resource schema.GroupVersionResource
	object   *unstructured.Unstructured
	result   operator.Result
	// withdrawn says that the object is not selected: it is to have no binding.
	withdrawn bool
}

func (s status) identity() identity {
	return identity{kind: s.result.Kind, namespace: s.result.Namespace, name: s.result.Name}
}

// NewStatusWriter returns a writer for the Prometheus object of a namespace and name. The
// counter has the labels kind and result.
func NewStatusWriter(client dynamic.Interface, namespace, name string, writes *prometheus.CounterVec, logger *slog.Logger) *StatusWriter {
	w := &StatusWriter{
		client: client, logger: logger, writes: writes, news: make(chan struct{}, 1),
		binding: monitoringv1.WorkloadBinding{
			Group: monitoringv1.SchemeGroupVersion.Group, Resource: monitoringv1.PrometheusName, Name: name, Namespace: namespace,
		},
	}
	w.mu.due = map[identity]status{}
	w.mu.failing = map[schema.GroupVersionResource]string{}
	return w
}

// write notes that the status of an object is to be written.
func (w *StatusWriter) write(resource schema.GroupVersionResource, u *unstructured.Unstructured, r operator.Result) {
	w.note(status{resource: resource, object: u, result: r})
}

// withdraw notes that the status of an object, which is not selected, is to have nothing
// of ours.
func (w *StatusWriter) withdraw(resource schema.GroupVersionResource, u *unstructured.Unstructured, id identity) {
	w.note(status{resource: resource, object: u, withdrawn: true, result: operator.Result{Kind: id.kind, Namespace: id.namespace, Name: id.name}})
}

func (w *StatusWriter) note(s status) {
	w.mu.Lock()
	w.mu.due[s.identity()] = s
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends. It is called once.
func (w *StatusWriter) Run(ctx context.Context) {
	retry := time.NewTicker(writeRetry)
	defer retry.Stop()
	failed := map[identity]status{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.news:
		case <-retry.C:
			w.again(failed)
			clear(failed)
		}
		for {
			s, ok := w.next()
			if !ok || ctx.Err() != nil {
				break
			}
			if !w.writeOne(ctx, s) {
				failed[s.identity()] = s
			}
		}
	}
}

// again notes statuses that could not be written, unless there is something newer about
// their objects.
func (w *StatusWriter) again(failed map[identity]status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range failed {
		if _, newer := w.mu.due[id]; !newer {
			w.mu.due[id] = s
		}
	}
}

func (w *StatusWriter) next() (status, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range w.mu.due {
		delete(w.mu.due, id)
		return s, true
	}
	return status{}, false
}

// writeOne writes a status unless the object has it already. It reports whether that is
// settled.
func (w *StatusWriter) writeOne(ctx context.Context, s status) bool {
	patch, due, err := w.patch(s, time.Now())
	if err == nil && due {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		_, err = w.client.Resource(s.resource).Namespace(s.result.Namespace).
			Patch(ctx, s.result.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "gnomon"}, "status")
	}
	switch {
	case apierrors.IsNotFound(err) && isGone(err, s):
		return true // deleted meanwhile
	case apierrors.IsConflict(err):
		return true // changed meanwhile, which leads here again
	case err != nil:
		w.writes.WithLabelValues(string(s.result.Kind), "failed").Inc()
		w.report(s, err)
		return false
	case due:
		w.writes.WithLabelValues(string(s.result.Kind), "written").Inc()
		w.report(s, nil)
	}
	return true
}

// isGone reports whether it is the object that was not found, and not its kind.
func isGone(err error, s status) bool {
	e, ok := err.(apierrors.APIStatus)
	return ok && e.Status().Details != nil && e.Status().Details.Name == s.result.Name
}

// report logs an error when it is news.
func (w *StatusWriter) report(s status, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := ""
	if err != nil {
		text = string(apierrors.ReasonForError(err))
	}
	if before, failing := w.mu.failing[s.resource]; err == nil || failing && before == text {
		if err == nil {
			delete(w.mu.failing, s.resource)
		}
		return
	}
	w.mu.failing[s.resource] = text
	w.logger.Warn("the status of an object is not written; jobs and rules are not affected",
		"kind", s.result.Kind, "object", s.result.Namespace+"/"+s.result.Name, "err", err)
}

// patch returns what has to be merged into the object, and whether that is anything.
func (w *StatusWriter) patch(s status, now time.Time) (patch []byte, due bool, err error) {
	var have struct {
		Status monitoringv1.ConfigResourceStatus `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"status": s.object.Object["status"]}, &have); err != nil {
		return nil, false, fmt.Errorf("the status there is cannot be read: %w", err)
	}
	bindings := have.Status.Bindings
	i := slices.IndexFunc(bindings, func(b monitoringv1.WorkloadBinding) bool {
		return b.Group == w.binding.Group && b.Resource == w.binding.Resource && b.Name == w.binding.Name && b.Namespace == w.binding.Namespace
	})
	if s.withdrawn {
		if i < 0 {
			return nil, false, nil
		}
		patch, err = statusPatch(s.object, slices.Delete(bindings, i, i+1))
		return patch, true, err
	}
	condition := w.condition(s)
	condition.LastTransitionTime = metav1.NewTime(now)
	if i >= 0 && len(bindings[i].Conditions) == 1 {
		old := bindings[i].Conditions[0]
		if old.Status == condition.Status {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		if reflect.DeepEqual(old, condition) {
			return nil, false, nil
		}
	}
	binding := w.binding
	binding.Conditions = []monitoringv1.ConfigResourceCondition{condition}
	if i < 0 {
		bindings = append(bindings, binding)
	} else {
		bindings[i] = binding
	}
	patch, err = statusPatch(s.object, bindings)
	return patch, true, err
}

// statusPatch gives an object other bindings, unless it has changed meanwhile.
func statusPatch(u *unstructured.Unstructured, bindings []monitoringv1.WorkloadBinding) ([]byte, error) {
	if bindings == nil {
		bindings = []monitoringv1.WorkloadBinding{}
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": u.GetResourceVersion()},
		"status":   map[string]any{"bindings": bindings},
	})
}

// condition says whether the object was accepted.
func (*StatusWriter) condition(s status) monitoringv1.ConfigResourceCondition {
	c := monitoringv1.ConfigResourceCondition{
		Type: monitoringv1.Accepted, Status: monitoringv1.ConditionTrue, ObservedGeneration: s.object.GetGeneration(),
	}
	if r := s.result.Rejection; r != nil {
		c.Status, c.Reason, c.Message = monitoringv1.ConditionFalse, string(r.Reason), r.Message
	}
	return c
}
