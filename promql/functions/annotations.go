package functions

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
)

// Annotations collects the warnings and infos of one node of a plan. One that
// comes up at every step of every series is made once. The zero value is ready
// to use.
//
// Two annotations with the same text are one, and the position of the later one
// counts; so each node has its own collector, and the engine merges those of a
// node's operands before its own.
type Annotations struct {
	set  annotations.Annotations
	seen map[noted]struct{}
}

// noted is an annotation that was made already.
type noted struct {
	what   note
	metric string
	pos    posrange.PositionRange
}

// note is a kind of annotation without more parameters than a metric name.
type note uint8

const (
	mixedFloatsHistograms note = iota
	mixedFloatsHistogramsAggregation
	mixedClassicNative
	mixedExponentialCustom
	notCounter
	notGauge
	histogramsIgnoredInRange
	quantileNaNResult
	quantileNaNSkew
	fractionNaNs
	bucketsReconciledAdd
	bucketsReconciledSub
	bucketsReconciledAggregation
	resetCollisionAggregation
	ignoredInAggregation // the metric is the name of the aggregation
)

// Add adds an annotation.
func (a *Annotations) Add(err error) { a.set.Add(err) }

// Merge adds all annotations of a set.
func (a *Annotations) Merge(set annotations.Annotations) { a.set.Merge(set) }

// Set returns the annotations so far. The caller does not change them.
func (a *Annotations) Set() annotations.Annotations { return a.set }

// once adds an annotation unless it was added before.
func (a *Annotations) once(what note, metric string, pos posrange.PositionRange) {
	key := noted{what, metric, pos}
	if _, ok := a.seen[key]; ok {
		return
	}
	if a.seen == nil {
		a.seen = map[noted]struct{}{}
	}
	a.seen[key] = struct{}{}
	a.set.Add(key.make())
}

func (n noted) make() error {
	switch n.what {
	case mixedFloatsHistograms:
		return annotations.NewMixedFloatsHistogramsWarning(n.metric, n.pos)
	case mixedFloatsHistogramsAggregation:
		return annotations.NewMixedFloatsHistogramsAggWarning(n.pos)
	case mixedClassicNative:
		return annotations.NewMixedClassicNativeHistogramsWarning(n.metric, n.pos)
	case mixedExponentialCustom:
		return annotations.NewMixedExponentialCustomHistogramsWarning(n.metric, n.pos)
	case notCounter:
		return annotations.NewNativeHistogramNotCounterWarning(n.metric, n.pos)
	case notGauge:
		return annotations.NewNativeHistogramNotGaugeWarning(n.metric, n.pos)
	case histogramsIgnoredInRange:
		return annotations.NewHistogramIgnoredInMixedRangeInfo(n.metric, n.pos)
	case quantileNaNResult:
		return annotations.NewNativeHistogramQuantileNaNResultInfo(n.metric, n.pos)
	case quantileNaNSkew:
		return annotations.NewNativeHistogramQuantileNaNSkewInfo(n.metric, n.pos)
	case fractionNaNs:
		return annotations.NewNativeHistogramFractionNaNsInfo(n.metric, n.pos)
	case bucketsReconciledAdd:
		return annotations.NewMismatchedCustomBucketsHistogramsInfo(n.pos, annotations.HistogramAdd)
	case bucketsReconciledSub:
		return annotations.NewMismatchedCustomBucketsHistogramsInfo(n.pos, annotations.HistogramSub)
	case bucketsReconciledAggregation:
		return annotations.NewMismatchedCustomBucketsHistogramsInfo(n.pos, annotations.HistogramAgg)
	case resetCollisionAggregation:
		return annotations.NewHistogramCounterResetCollisionWarning(n.pos, annotations.HistogramAgg)
	default:
		return annotations.NewHistogramIgnoredInAggregationInfo(n.metric, n.pos)
	}
}

// note adds an annotation about the series of a at the position of a.
func (a *Args) note(what note) { a.Annotations.once(what, a.Metric, a.Pos) }

// CheckQuantiles adds a warning for each quantile out of range: qs[i] are those
// of one parameter, for each step or one for all, and pos[i] is its position.
// histogram_quantile and histogram_quantiles want it once per query, whether
// there are series or not.
func CheckQuantiles(qs [][]float64, pos []posrange.PositionRange, a *Annotations) {
	steps := 1
	for _, values := range qs {
		steps = max(steps, len(values))
	}
	for step := range steps {
		for i, values := range qs {
			if q := at(values, step); invalidQuantile(q) {
				a.Add(annotations.NewInvalidQuantileWarning(q, pos[i]))
			}
		}
	}
}

func invalidQuantile(q float64) bool { return !(q >= 0 && q <= 1) }

// NonCounterInfo returns the annotation for a series of rate or increase that
// does not look like a counter, or nil. byType looks at the label __type__, else
// the name counts.
func NonCounterInfo(metric labels.Labels, byType bool, pos posrange.PositionRange) error {
	name := metric.Get(model.MetricNameLabel)
	switch {
	case name == "":
		return nil
	case byType:
		if t := metric.Get(typeLabel); t != "counter" && t != "histogram" {
			return annotations.NewPossibleNonCounterLabelInfo(name, t, pos)
		}
	case !hasCounterSuffix(name):
		return annotations.NewPossibleNonCounterInfo(name, pos)
	}
	return nil
}
