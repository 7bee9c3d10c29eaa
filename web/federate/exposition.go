package federate

import (
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/proto"

	dto "github.com/prometheus/client_model/go"
)

// externalLabels returns the labels to be added. instance is always among them,
// if only empty: a scrape would otherwise set its own.
func externalLabels(ls labels.Labels) []labels.Label {
	list := make([]labels.Label, 0, ls.Len()+1)
	ls.Range(func(l labels.Label) { list = append(list, l) })
	if !ls.Has(model.InstanceLabel) {
		list = append(list, labels.Label{Name: model.InstanceLabel})
	}
	slices.SortFunc(list, func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// exposition writes samples that come ordered by the name of their metric.
type exposition struct {
	encoder  expfmt.Encoder
	text     bool
	external []labels.Label
	family   *dto.MetricFamily
}

// add adds a sample to its family, which begins when name or type change. The
// same name may so become several families, which is not what the formats say
// but what readers of federation take.
func (x *exposition) add(s *sample) error {
	if s.h != nil && x.text && !s.h.UsesCustomBuckets() {
		return nil
	}
	kind := familyType(s.h)
	if x.family == nil || x.family.GetName() != s.name || x.family.GetType() != kind {
		if err := x.flush(); err != nil {
			return err
		}
		x.family = &dto.MetricFamily{Name: proto.String(s.name), Type: kind.Enum()}
	}
	m := &dto.Metric{Label: x.labels(s.labels), TimestampMs: proto.Int64(s.t)}
	switch {
	case s.h == nil:
		m.Untyped = &dto.Untyped{Value: proto.Float64(s.f)}
	case s.h.UsesCustomBuckets():
		m.Histogram = classicHistogram(s.h)
	default:
		m.Histogram = nativeHistogram(s.h)
	}
	x.family.Metric = append(x.family.Metric, m)
	return nil
}

// flush writes the family that has been gathered.
func (x *exposition) flush() error {
	if x.family == nil {
		return nil
	}
	family := x.family
	x.family = nil
	return x.encoder.Encode(family)
}

func familyType(h *histogram.FloatHistogram) dto.MetricType {
	switch {
	case h == nil:
		return dto.MetricType_UNTYPED
	case h.CounterResetHint == histogram.GaugeType:
		return dto.MetricType_GAUGE_HISTOGRAM
	default:
		return dto.MetricType_HISTOGRAM
	}
}

// labels returns the labels of a series but its name, and then the external
// ones that it does not have.
func (x *exposition) labels(ls labels.Labels) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, 0, ls.Len()+len(x.external))
	ls.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel && l.Value != "" {
			pairs = append(pairs, &dto.LabelPair{Name: proto.String(l.Name), Value: proto.String(l.Value)})
		}
	})
	for _, l := range x.external {
		if ls.Get(l.Name) == "" {
			pairs = append(pairs, &dto.LabelPair{Name: proto.String(l.Name), Value: proto.String(l.Value)})
		}
	}
	return pairs
}

// nativeHistogram returns the protobuf form of an exponential histogram.
func nativeHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	return &dto.Histogram{
		SampleCountFloat: proto.Float64(h.Count),
		SampleSum:        proto.Float64(h.Sum),
		Schema:           proto.Int32(h.Schema),
		ZeroThreshold:    proto.Float64(h.ZeroThreshold),
		ZeroCountFloat:   proto.Float64(h.ZeroCount),
		NegativeSpan:     spans(h.NegativeSpans),
		NegativeCount:    h.NegativeBuckets,
		PositiveSpan:     spans(h.PositiveSpans),
		PositiveCount:    h.PositiveBuckets,
	}
}

func spans(list []histogram.Span) []*dto.BucketSpan {
	var out []*dto.BucketSpan
	for _, s := range list {
		out = append(out, &dto.BucketSpan{Offset: proto.Int32(s.Offset), Length: proto.Uint32(s.Length)})
	}
	return out
}

// classicHistogram returns a histogram with custom buckets as a classic one,
// without the bucket of +Inf, which the encoders add where it is needed.
func classicHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	out := &dto.Histogram{
		SampleCountFloat: proto.Float64(h.Count),
		SampleSum:        proto.Float64(h.Sum),
	}
	counts := make([]float64, len(h.CustomValues)+1)
	for it := h.PositiveBucketIterator(); it.Next(); {
		if i := it.At().Index; i >= 0 && int(i) < len(counts) {
			counts[i] = it.At().Count
		}
	}
	total := 0.0
	for i, bound := range h.CustomValues {
		total += counts[i]
		out.Bucket = append(out.Bucket, &dto.Bucket{
			UpperBound:           proto.Float64(bound),
			CumulativeCountFloat: proto.Float64(total),
		})
	}
	return out
}
