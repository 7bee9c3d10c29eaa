package wal

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// Sample is a sample that did not come in a row.
type Sample struct {
	Series storage.SeriesRef
	T      int64
	// StartTime is the start timestamp, 0 if there is none.
	StartTime int64
	// Value is the value, if both histograms are nil.
	Value          float64
	Histogram      *histogram.Histogram
	FloatHistogram *histogram.FloatHistogram
}

// Flags of a sample record; they never change.
const (
	samplesHistograms = 1 << 0 // A byte per sample says whether it is one.
	samplesStartTimes = 1 << 1 // Each sample has a start timestamp, or 0.
	samplesFlags      = 1<<2 - 1
)

// flagsOf returns the flags of a record of the samples.
func flagsOf(samples []Sample) (flags byte) {
	for i := range samples {
		if samples[i].Histogram != nil || samples[i].FloatHistogram != nil {
			flags |= samplesHistograms
		}
		if samples[i].StartTime != 0 {
			flags |= samplesStartTimes
		}
	}
	return flags
}

// sampleEncoder writes the samples of a record, behind their flags.
type sampleEncoder struct {
	flags  byte
	series storage.SeriesRef
	t      int64
}

func (e *sampleEncoder) append(dst []byte, s *Sample) []byte {
	dst = appendSvarint(dst, int64(s.Series-e.series))
	dst = appendSvarint(dst, s.T-e.t)
	e.series, e.t = s.Series, s.T
	return appendSampleValue(dst, s, e.flags)
}

func appendSampleValue(dst []byte, s *Sample, flags byte) []byte {
	if flags&samplesStartTimes != 0 {
		st := uint64(0)
		if s.StartTime != 0 {
			st = zigzag(s.T-s.StartTime) + 1
		}
		dst = binary.AppendUvarint(dst, st)
	}
	switch {
	case s.Histogram != nil:
		return encoding.AppendHistogram(append(dst, 1), s.Histogram)
	case s.FloatHistogram != nil:
		return encoding.AppendFloatHistogram(append(dst, 1), s.FloatHistogram)
	}
	if flags&samplesHistograms != 0 {
		dst = append(dst, 0)
	}
	if m, ok := encoding.Decimal(s.Value, 0); ok {
		u := zigzag(m) + 1
		if u < 0x80 {
			return append(dst, byte(u))
		}
		return binary.AppendUvarint(dst, u)
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0), math.Float64bits(s.Value))
}

// DecodeSamples appends to dst what the payload of a TypeSamples record holds.
func DecodeSamples(dst []Sample, payload []byte) (samples []Sample, err error) {
	if len(payload) == 0 || payload[0]&^samplesFlags != 0 {
		return dst, corruptf("samples: bad flags")
	}
	flags, src := payload[0], payload[1:]
	samples = dst
	var s Sample
	for len(src) > 0 {
		var delta int64
		if delta, src, err = readSvarint(src, "series"); err != nil {
			return dst, err
		}
		s.Series += storage.SeriesRef(delta)
		if delta, src, err = readSvarint(src, "sample time"); err != nil {
			return dst, err
		}
		s.T += delta
		if src, err = readSampleValue(&s, src, flags); err != nil {
			return dst, err
		}
		samples = append(samples, s)
	}
	return samples, nil
}

func readSampleValue(s *Sample, src []byte, flags byte) (rest []byte, err error) {
	s.StartTime, s.Value, s.Histogram, s.FloatHistogram = 0, 0, nil, nil
	var u uint64
	if flags&samplesStartTimes != 0 {
		if u, src, err = readUvarint(src, "start time"); err != nil {
			return nil, err
		}
		if u > 0 {
			s.StartTime = s.T - unzigzag(u-1)
		}
	}
	if flags&samplesHistograms != 0 {
		if len(src) == 0 || src[0] > 1 {
			return nil, corruptf("samples: bad kind")
		}
		isHistogram := src[0] == 1
		src = src[1:]
		if isHistogram {
			if s.Histogram, s.FloatHistogram, src, err = encoding.DecodeHistogram(src); err != nil {
				return nil, corruptf("samples: %w", err)
			}
			return src, nil
		}
	}
	if u, src, err = readUvarint(src, "value"); err != nil {
		return nil, err
	}
	if u > 0 {
		s.Value = float64(unzigzag(u - 1))
		return src, nil
	}
	if u, src, err = readBytes8(src, "value"); err != nil {
		return nil, err
	}
	s.Value = math.Float64frombits(u)
	return src, nil
}
