package operator

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
)

// scrapeClasses are the sets of defaults that objects choose from.
type scrapeClasses struct {
	byName map[string]*monitoringv1.ScrapeClass
	// otherwise is the class of objects that choose none, one without any setting if the
	// spec has no default.
	otherwise *monitoringv1.ScrapeClass
}

// noClass changes nothing.
var noClass = &monitoringv1.ScrapeClass{}

// newScrapeClasses checks the classes of a spec.
func newScrapeClasses(classes []monitoringv1.ScrapeClass, scheme model.ValidationScheme) (scrapeClasses, error) {
	known := scrapeClasses{byName: map[string]*monitoringv1.ScrapeClass{}, otherwise: noClass}
	var (
		faults    []error
		defaulted bool
	)
	for i := range classes {
		c := &classes[i]
		fault := func(field string, err error) {
			if err != nil {
				faults = append(faults, fmt.Errorf("spec.scrapeClasses[%d] (%s)%s: %w", i, c.Name, field, err))
			}
		}
		checkRelabelings(c.Relabelings, scheme, func(at int, err error) { fault(fmt.Sprintf(".relabelings[%d]", at), err) })
		checkRelabelings(c.MetricRelabelings, scheme, func(at int, err error) { fault(fmt.Sprintf(".metricRelabelings[%d]", at), err) })
		fault(".tlsConfig", c.TLSConfig.Validate())
		fault(".authorization", c.Authorization.Validate())
		if known.byName[c.Name] != nil {
			fault("", errors.New("the name is repeated"))
		}
		known.byName[c.Name] = c
		if c.Default == nil || !*c.Default {
			continue
		}
		if defaulted {
			fault(".default", errors.New("there is a default class already"))
		}
		defaulted, known.otherwise = true, c
	}
	return known, errors.Join(faults...)
}

// class returns the scrape class of an object. One that is not there is a fault.
func (o *object) class(path string, name *string) *monitoringv1.ScrapeClass {
	if name == nil || *name == "" {
		return o.classes.otherwise
	}
	c, known := o.classes.byName[*name]
	if !known {
		o.fault(path, fmt.Errorf("there is no scrape class %q in the settings", *name))
		return noClass
	}
	return c
}
