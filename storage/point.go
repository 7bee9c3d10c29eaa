package storage

import "github.com/prometheus/prometheus/model/histogram"

// FloatPoint is a float of a result at T milliseconds.
type FloatPoint struct {
	T int64
	F float64
}

// HistogramPoint is a native histogram of a result at T milliseconds. H is not nil.
type HistogramPoint struct {
	T int64
	H *histogram.FloatHistogram
}
