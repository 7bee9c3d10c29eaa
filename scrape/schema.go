package scrape

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// schemaOf returns the finest schema of exponential histograms whose buckets grow
// by at least the factor from one to the next.
func schemaOf(factor float64) int32 {
	if factor <= 1 {
		return histogram.ExponentialSchemaMax
	}
	schema := math.Floor(-math.Log2(math.Log2(factor)))
	return int32(min(max(schema, float64(histogram.ExponentialSchemaMin)), float64(histogram.ExponentialSchemaMax)))
}
