package scrape

import (
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/gnomonhq/gnomon/scrape/parse"
)

// settings say how a target is scraped. They are immutable: a reload gives a
// loop new ones.
type settings struct {
	job        string
	target     *Target
	schedule   schedule
	tolerance  time.Duration
	client     *http.Client
	request    *http.Request
	requestErr error
	// refusal fails every scrape before it begins, if it is not nil.
	refusal error
	// retired says that the target is gone.
	retired bool

	bodySizeLimit int64
	sampleLimit   int
	seriesLimit   int // 0 is none
	bucketLimit   int
	maxSchema     int32
	compression   bool

	honorTimestamps bool
	trackTimestamps bool
	extraMetrics    bool
	rules           *rules
	failures        *slog.Logger // nil if there is none
}

// rules are the part of the settings that decides which series come of a body.
// If they change, all lines have to be read anew.
type rules struct {
	Target      labels.Labels
	HonorLabels bool
	Relabelling []*relabel.Config
	Scheme      model.ValidationScheme
	Limits      labelLimits
	Parse       parse.Options // the switches only
}

func (r *rules) equal(other *rules) bool { return r == other || reflect.DeepEqual(r, other) }

// newSettings returns the settings of a target of the pool. The pool is locked.
func (p *pool) newSettings(t *Target) *settings {
	job := p.job
	// Checked when the pool was made.
	escaping, _ := config.ToEscapingScheme(job.MetricNameEscapingScheme, job.MetricNameValidationScheme)
	s := &settings{
		job:             job.JobName,
		target:          t,
		schedule:        newSchedule(t.interval, t.hash, p.seed),
		tolerance:       p.opts.TimestampTolerance,
		refusal:         p.refusal,
		bodySizeLimit:   int64(job.BodySizeLimit),
		sampleLimit:     int(job.SampleLimit),
		seriesLimit:     p.seriesLimit,
		bucketLimit:     int(job.NativeHistogramBucketLimit),
		maxSchema:       schemaOf(job.NativeHistogramMinBucketFactor),
		compression:     job.EnableCompression,
		honorTimestamps: job.HonorTimestamps,
		trackTimestamps: job.TrackTimestampsStaleness,
		extraMetrics:    job.ExtraScrapeMetricsEnabled(),
		failures:        p.failureLog.of(job.JobName, t),
		rules: &rules{
			Target:      t.public,
			HonorLabels: job.HonorLabels,
			Relabelling: job.MetricRelabelConfigs,
			Scheme:      job.MetricNameValidationScheme,
			Limits: labelLimits{
				labels:      int(job.LabelLimit),
				nameLength:  int(job.LabelNameLengthLimit),
				valueLength: int(job.LabelValueLengthLimit),
			},
			Parse: parse.Options{
				Fallback:          job.ScrapeFallbackProtocol.HeaderMediaType(),
				NativeHistograms:  t.boolLabel(nativeHistogramsLabel, job.ScrapeNativeHistogramsEnabled()),
				KeepClassic:       t.boolLabel(keepClassicLabel, job.AlwaysScrapeClassicHistogramsEnabled()),
				ClassicToNHCB:     t.boolLabel(classicToNHCBLabel, job.ConvertClassicHistogramsToNHCBEnabled()),
				StartTimestamps:   p.opts.StartTimestamps,
				TypeAndUnitLabels: p.opts.TypeAndUnitLabels,
				OpenMetrics2:      p.opts.OpenMetrics2,
			},
		},
	}
	if s.client, s.requestErr = p.clients.of(t); s.requestErr == nil {
		s.request, s.requestErr = newRequest(t, acceptHeader(job.ScrapeProtocols, escaping),
			acceptEncodingHeader(job.EnableCompression), p.opts.UserAgent)
	}
	return s
}

// retire returns the settings of the same target after it is gone.
func (s *settings) retire() *settings {
	retired := *s
	retired.retired = true
	return &retired
}
