package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
)

// metricMetadata serves /metadata: what is known of metric families, from
// whichever way they came in.
func (a *API) metricMetadata(r *http.Request) (response, error) {
	limit, err := countParam(r, "limit", -1)
	if err != nil {
		return response{}, err
	}
	perMetric, err := countParam(r, "limit_per_metric", -1)
	if err != nil {
		return response{}, err
	}
	q, err := a.querier(milliseconds(minTime), milliseconds(maxTime))
	if err != nil {
		return response{}, err
	}
	defer a.closeQuerier(q)
	families, err := a.families(r.Context(), q, r.Form.Get("metric"))
	if err != nil {
		return response{}, queryError(err)
	}
	names := slices.Sorted(maps.Keys(families))
	if limit >= 0 && len(names) > limit {
		names = names[:limit]
	}
	return response{data: func(e *encoder) {
		e.rawByte('{')
		for i, name := range names {
			e.comma(i)
			e.str(name)
			e.rawByte(':')
			list := families[name]
			if perMetric > 0 && len(list) > perMetric {
				list = list[:perMetric]
			}
			e.metadata(list)
			e.spill()
		}
		e.rawByte('}')
	}}, nil
}

// families returns the metadata of a metric family, or of all if name is empty:
// what the active targets say of their families, and what the store knows of
// series besides. A store keeps it by series, so that a histogram is there under
// the names of its series, which are brought back to that of the family here.
func (a *API) families(ctx context.Context, q storage.Querier, name string) (map[string][]metadata.Metadata, error) {
	out := map[string][]metadata.Metadata{}
	if a.opts.Targets != nil {
		for _, list := range a.opts.Targets.TargetMetadata(name) {
			for _, f := range list {
				if !slices.Contains(out[f.Family], f.Metadata) {
					out[f.Family] = append(out[f.Family], f.Metadata)
				}
			}
		}
	}
	names := []string{name}
	if name != "" {
		names = append(names, name+"_bucket", name+"_count", name+"_sum")
	}
	for _, asked := range names {
		found, err := q.Metadata(ctx, asked)
		if err != nil {
			return nil, err
		}
		for series, list := range found {
			for _, m := range list {
				family := familyName(series, m.Type)
				if name != "" && family != name || slices.Contains(out[family], m) || slices.Contains(out[openMetricsName(series, m.Type)], m) {
					continue
				}
				out[family] = append(out[family], m)
			}
		}
	}
	return out, nil
}

// openMetricsName returns the name that the family of a series with the given
// metric name and type has if it came as OpenMetrics, which leaves the suffix of
// counters and infos to their series. The name of the series does not tell.
func openMetricsName(series string, t model.MetricType) string {
	switch t {
	case model.MetricTypeCounter:
		return strings.TrimSuffix(series, "_total")
	case model.MetricTypeInfo:
		return strings.TrimSuffix(series, "_info")
	}
	return series
}

// familyName returns the name of the family that a series with the given metric
// name and type belongs to.
func familyName(series string, t model.MetricType) string {
	var suffixes []string
	switch t {
	case model.MetricTypeHistogram, model.MetricTypeGaugeHistogram:
		suffixes = []string{"_bucket", "_count", "_sum"}
	case model.MetricTypeSummary:
		suffixes = []string{"_count", "_sum"}
	}
	for _, suffix := range suffixes {
		if family, ok := strings.CutSuffix(series, suffix); ok && family != "" {
			return family
		}
	}
	return series
}

func (e *encoder) metadata(list []metadata.Metadata) {
	e.rawByte('[')
	for i, m := range list {
		e.comma(i)
		e.raw(`{"type":`)
		e.str(string(m.Type))
		e.raw(`,"unit":`)
		e.str(m.Unit)
		e.raw(`,"help":`)
		e.str(m.Help)
		e.rawByte('}')
	}
	e.rawByte(']')
}
