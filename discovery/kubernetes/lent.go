package kubernetes

import (
	"errors"

	"k8s.io/client-go/tools/cache"
)

// lent is the informer of a watch as a feed gets it. It remembers what the feed's builder
// wants to be told, as builders never take that back.
type lent struct {
	cache.SharedIndexInformer
	handlers []cache.ResourceEventHandlerRegistration
}

// AddEventHandler implements cache.SharedInformer.
func (l *lent) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	r, err := l.SharedIndexInformer.AddEventHandler(lastState{h})
	if err == nil {
		l.handlers = append(l.handlers, r)
	}
	return r, err
}

// giveBack ends what the builder is told.
func (l *lent) giveBack() error {
	var errs []error
	for _, r := range l.handlers {
		errs = append(errs, l.RemoveEventHandler(r))
	}
	return errors.Join(errs...)
}

// lastState tells of objects whose deletion was missed by their last known state. Upstream's
// builders expect one, and some of them panic without.
type lastState struct{ cache.ResourceEventHandler }

// OnDelete implements cache.ResourceEventHandler.
func (h lastState) OnDelete(object any) {
	if missed, ok := object.(cache.DeletedFinalStateUnknown); ok && missed.Obj != nil {
		object = missed.Obj
	}
	h.ResourceEventHandler.OnDelete(object)
}
