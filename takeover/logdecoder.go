package takeover

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// logConsumer is told what the records of the logs say, in their order. What it
// is given is valid until it returns, except for labels and histograms, which
// are its own.
type logConsumer interface {
	onSeries(s record.RefSeries) error
	onFloats(list []record.RefSample, outOfOrder bool)
	onHistograms(list []record.RefHistogramSample, outOfOrder bool)
	onFloatHistograms(list []record.RefFloatHistogramSample, outOfOrder bool)
	onTombstones(list []tombstones.Stone)
	onExemplars(list []record.RefExemplar)
	onMetadata(list []record.RefMetadata)
	// onDamage is told of a record that makes no sense.
	onDamage(err error)
}

// logDecoder decodes records. Types that upstream's decoder does not know are
// passed over, as Prometheus does.
type logDecoder struct {
	to  logConsumer
	dec record.Decoder
	// samplesOnly passes over what has neither samples nor deletions.
	samplesOnly bool

	series          []record.RefSeries
	floats          []record.RefSample
	histograms      []record.RefHistogramSample
	floatHistograms []record.RefFloatHistogramSample
	stones          []tombstones.Stone
	exemplars       []record.RefExemplar
	metadata        []record.RefMetadata
}

func newLogDecoder(to logConsumer) *logDecoder {
	return &logDecoder{to: to, dec: record.NewDecoder(nil, slog.New(slog.DiscardHandler))}
}

// decode hands a record to the consumer. One that makes no sense costs itself.
func (d *logDecoder) decode(s *promSegment, rec []byte) {
	kind := d.dec.Type(rec)
	if err := d.record(kind, s.outOfOrder, rec); err != nil {
		d.to.onDamage(fmt.Errorf("%s: record of %s: %w", s.file, kind, err))
	}
}

func (d *logDecoder) record(kind record.Type, outOfOrder bool, rec []byte) (err error) {
	defer guard(&err)
	switch kind {
	case record.Samples, record.SamplesV2:
		if d.floats, err = d.dec.Samples(rec, d.floats[:0]); err == nil {
			d.to.onFloats(d.floats, outOfOrder)
		}
	case record.HistogramSamples, record.CustomBucketsHistogramSamples, record.HistogramSamplesV2:
		if d.histograms, err = d.dec.HistogramSamples(rec, d.histograms[:0]); err == nil {
			d.to.onHistograms(d.histograms, outOfOrder)
		}
	case record.FloatHistogramSamples, record.CustomBucketsFloatHistogramSamples, record.FloatHistogramSamplesV2:
		if d.floatHistograms, err = d.dec.FloatHistogramSamples(rec, d.floatHistograms[:0]); err == nil {
			d.to.onFloatHistograms(d.floatHistograms, outOfOrder)
		}
	case record.Tombstones:
		if d.stones, err = d.dec.Tombstones(rec, d.stones[:0]); err == nil {
			d.to.onTombstones(d.stones)
		}
	case record.Series, record.Exemplars, record.Metadata:
		if !d.samplesOnly {
			err = d.definition(kind, rec)
		}
	}
	return err
}

func (d *logDecoder) definition(kind record.Type, rec []byte) (err error) {
	switch kind {
	case record.Series:
		if d.series, err = d.dec.Series(rec, d.series[:0]); err != nil {
			return err
		}
		var errs []error
		for _, s := range d.series {
			errs = append(errs, d.to.onSeries(s))
		}
		return errors.Join(errs...)
	case record.Exemplars:
		if d.exemplars, err = d.dec.Exemplars(rec, d.exemplars[:0]); err == nil {
			d.to.onExemplars(d.exemplars)
		}
	default:
		if d.metadata, err = d.dec.Metadata(rec, d.metadata[:0]); err == nil {
			d.to.onMetadata(d.metadata)
		}
	}
	return err
}
