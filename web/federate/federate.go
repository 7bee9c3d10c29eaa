package federate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gnomonhq/gnomon/storage"
)

// maxFormBytes bounds the query string and body of a request.
const maxFormBytes = 10 << 20

// Options are the options of a Handler.
type Options struct {
	// Storage has the samples. nil answers every request with an error.
	Storage storage.Queryable
	// Parser parses the selectors; the default has no experimental features.
	Parser parser.Parser
	// ExternalLabels returns the labels that are added to every series that
	// does not have them; the default is none.
	ExternalLabels func() labels.Labels
	// LookbackDelta is how old a sample may be; the default is five minutes.
	LookbackDelta time.Duration
	// Now is the clock; the default is time.Now.
	Now func() time.Time
	// Registerer gets the metrics; it may be nil.
	Registerer prometheus.Registerer
	// Logger gets what goes wrong on our side; the default discards it.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Parser == nil {
		o.Parser = parser.NewParser(parser.Options{})
	}
	if o.ExternalLabels == nil {
		o.ExternalLabels = labels.EmptyLabels
	}
	if o.LookbackDelta == 0 {
		o.LookbackDelta = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Handler serves /federate. It can be used by any number of goroutines.
type Handler struct {
	opts             Options
	errors, warnings prometheus.Counter
}

// New returns a handler over the storage in opts.
func New(opts Options) *Handler {
	h := &Handler{
		opts: opts.withDefaults(),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_web_federation_errors_total",
			Help: "Errors while answering federation requests.",
		}),
		warnings: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_web_federation_warnings_total",
			Help: "Warnings of the storage while answering federation requests.",
		}),
	}
	if opts.Registerer != nil {
		opts.Registerer.MustRegister(h.errors, h.warnings)
	}
	return h
}

// sample is the newest sample of a series: a histogram if h is not nil.
type sample struct {
	name   string
	labels labels.Labels
	t      int64
	f      float64
	h      *histogram.FloatHistogram
}

// ServeHTTP answers with the newest samples of the series that match any of the
// match[] parameters.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		http.Error(w, fmt.Sprintf("error parsing form values: %v", err), http.StatusBadRequest)
		return
	}
	selectors, err := h.opts.Parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	format := expfmt.NegotiateAccept(r.Header,
		expfmt.NewFormat(expfmt.TypeProtoDelim), expfmt.NewFormat(expfmt.TypeProtoText),
		expfmt.NewFormat(expfmt.TypeProtoCompact), expfmt.NewFormat(expfmt.TypeTextPlain))
	samples, err := h.collect(r.Context(), selectors)
	if err != nil {
		h.errors.Inc()
		status := http.StatusInternalServerError
		if errors.Is(err, storage.ErrClosed) {
			status = http.StatusServiceUnavailable
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", string(format))
	x := exposition{
		encoder:  expfmt.NewEncoder(w, format),
		text:     format.FormatType() == expfmt.TypeTextPlain,
		external: externalLabels(h.opts.ExternalLabels()),
	}
	for i := range samples {
		if err := x.add(&samples[i]); err != nil {
			h.failed(err)
			return
		}
	}
	if err := x.flush(); err != nil {
		h.failed(err)
	}
}

// failed counts and logs an error after the response has begun.
func (h *Handler) failed(err error) {
	h.errors.Inc()
	h.opts.Logger.Error("federation failed", "err", err)
}

// collect returns the newest samples of the series that match any selector,
// ordered by their labels, the metric's name first.
func (h *Handler) collect(ctx context.Context, selectors [][]*labels.Matcher) ([]sample, error) {
	if h.opts.Storage == nil {
		return nil, errors.New("this server has no storage")
	}
	maxt := h.opts.Now().UnixMilli()
	mint := maxt - h.opts.LookbackDelta.Milliseconds()
	q, err := h.opts.Storage.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := q.Close(); err != nil {
			h.opts.Logger.Error("close querier", "err", err)
		}
	}()
	var samples []sample
	for _, matchers := range selectors {
		set := q.Select(ctx, &storage.SelectHints{Mint: mint, Maxt: maxt}, matchers...)
		if samples, err = h.newest(samples, set); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(samples, func(a, b sample) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return labels.Compare(a.labels, b.labels)
	})
	// A series that several selectors match is there several times.
	return slices.CompactFunc(samples, func(a, b sample) bool {
		return labels.Equal(a.labels, b.labels)
	}), nil
}

// newest appends the newest sample of each series of the set. A series that
// ended has none, as the formats have no form for a staleness marker.
func (h *Handler) newest(to []sample, set storage.SeriesSet) ([]sample, error) {
	var it storage.BatchIterator
	var batch storage.Batch
	for set.Next() {
		series := set.At()
		s := sample{labels: series.Labels(), name: series.Labels().Get(model.MetricNameLabel)}
		it = series.Batches(it)
		empty := true
		for it.Next(&batch) {
			s.last(&batch)
			empty = false
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		if empty || s.stale() {
			continue
		}
		if s.name == "" {
			h.opts.Logger.Warn("ignoring nameless metric during federation", "metric", s.labels.String())
			continue
		}
		to = append(to, s)
	}
	if warnings := set.Warnings(); len(warnings) > 0 {
		h.opts.Logger.Debug("federation select returned warnings", "warnings", warnings.AsErrors())
		h.warnings.Add(float64(len(warnings)))
	}
	return to, set.Err()
}

// last takes the last sample of a batch. It copies the histogram, since that is
// only valid until the next batch.
func (s *sample) last(b *storage.Batch) {
	i := b.Len() - 1
	s.t, s.f, s.h = b.Times[i], 0, nil
	switch b.Kind {
	case storage.KindHistogram:
		s.h = b.Histograms[i].ToFloat(nil)
	case storage.KindFloatHistogram:
		s.h = b.FloatHistograms[i].Copy()
	default:
		s.f = b.Values[i]
	}
}

func (s *sample) stale() bool {
	if s.h != nil {
		return value.IsStaleNaN(s.h.Sum)
	}
	return value.IsStaleNaN(s.f)
}
