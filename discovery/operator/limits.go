package operator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/units"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// limits are those of an object that the settings may lower. Nil and 0 are no limit.
type limits struct {
	samples, targets, labels, labelName, labelValue, keepDropped *int64
	body                                                         *monitoringv1.ByteSize
}

// numberedLimit is a limit by number: that of an object, the settings' own, and the one
// that the settings enforce.
type numberedLimit struct {
	// field is the name in objects and key that in a configuration file.
	field, key                 string
	object, settings, enforced *int64
}

func (l limits) numbered(spec *monitoringv1.PrometheusSpec) []numberedLimit {
	return []numberedLimit{
		{"sampleLimit", "sample_limit", l.samples, spec.SampleLimit, spec.EnforcedSampleLimit},
		{"targetLimit", "target_limit", l.targets, spec.TargetLimit, spec.EnforcedTargetLimit},
		{"labelLimit", "label_limit", l.labels, spec.LabelLimit, spec.EnforcedLabelLimit},
		{"labelNameLengthLimit", "label_name_length_limit", l.labelName, spec.LabelNameLengthLimit, spec.EnforcedLabelNameLengthLimit},
		{"labelValueLengthLimit", "label_value_length_limit", l.labelValue, spec.LabelValueLengthLimit, spec.EnforcedLabelValueLengthLimit},
		{"keepDroppedTargets", "keep_dropped_targets", l.keepDropped, spec.KeepDroppedTargets, spec.EnforcedKeepDroppedTargets},
	}
}

// lower returns the lower of two limits, where 0 is none.
func lower(limit, enforced *int64) int64 {
	l, e := value(limit), value(enforced)
	if e > 0 && (l == 0 || l > e) {
		return e
	}
	return l
}

// value returns what an optional field has, the zero value if it is absent.
func value[T any](field *T) T {
	if field == nil {
		var zero T
		return zero
	}
	return *field
}

// limits adds the limits of a job. One without a limit of its own gets that of the
// global settings when it is completed.
func (o *object) limits(s *section, path string, l limits) {
	for _, n := range l.numbered(o.spec) {
		o.checkNumber(path+"."+n.field, n.object)
		if value(n.object) != 0 {
			s.set(n.key, lower(n.object, n.enforced))
		}
	}
	if body := o.lowerSize(path+".bodySizeLimit", l.body); body != "" {
		s.set("body_size_limit", string(body))
	}
}

// checkNumber checks a limit of an object.
func (o *object) checkNumber(path string, limit *int64) {
	if value(limit) < 0 {
		o.fault(path, fmt.Errorf("%d is negative", *limit))
	}
}

// lowerSize returns the lower of a size of an object and the enforced one.
func (o *object) lowerSize(path string, size *monitoringv1.ByteSize) monitoringv1.ByteSize {
	enforced := o.spec.EnforcedBodySizeLimit
	if size == nil || *size == "" {
		return enforced
	}
	own, err := units.ParseBase2Bytes(string(*size))
	if err != nil {
		o.fault(path, fmt.Errorf("%q is no size: %w", *size, err))
		return enforced
	}
	// The settings were checked when they were read.
	if most, err := units.ParseBase2Bytes(string(enforced)); err == nil && enforced != "" && own > most {
		return enforced
	}
	return *size
}

// checkLimits checks those of the settings.
func checkLimits(spec *monitoringv1.PrometheusSpec) error {
	var faults []error
	for _, n := range (limits{}).numbered(spec) {
		for name, limit := range map[string]*int64{n.field: n.settings, "enforced" + strings.ToUpper(n.field[:1]) + n.field[1:]: n.enforced} {
			if value(limit) < 0 {
				faults = append(faults, fmt.Errorf("spec.%s: %d is negative", name, *limit))
			}
		}
	}
	for name, size := range map[string]monitoringv1.ByteSize{"enforcedBodySizeLimit": spec.EnforcedBodySizeLimit, "bodySizeLimit": value(spec.BodySizeLimit)} {
		if _, err := units.ParseBase2Bytes(string(size)); err != nil && size != "" {
			faults = append(faults, fmt.Errorf("spec.%s: %q is no size: %w", name, size, err))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// globalLimits adds the limits of the settings to the global section.
func globalLimits(s *section, spec *monitoringv1.PrometheusSpec) {
	if spec.BodySizeLimit != nil {
		s.text("body_size_limit", string(*spec.BodySizeLimit))
	} else {
		s.text("body_size_limit", string(spec.EnforcedBodySizeLimit))
	}
	for _, n := range (limits{}).numbered(spec) {
		if limit := lower(n.settings, n.enforced); limit != 0 {
			s.set(n.key, limit)
		}
	}
}

// histograms adds how native histograms are scraped.
func (o *object) histograms(s *section, path string, c monitoringv1.NativeHistogramConfig) {
	o.checkNumber(path+".nativeHistogramBucketLimit", c.NativeHistogramBucketLimit)
	some(s, "scrape_native_histograms", c.ScrapeNativeHistograms)
	some(s, "native_histogram_bucket_limit", c.NativeHistogramBucketLimit)
	if c.NativeHistogramMinBucketFactor != nil {
		s.set("native_histogram_min_bucket_factor", c.NativeHistogramMinBucketFactor.AsApproximateFloat64())
	}
	some(s, "always_scrape_classic_histograms", c.ScrapeClassicHistograms)
	some(s, "convert_classic_histograms_to_nhcb", c.ConvertClassicHistogramsToNHCB)
}
