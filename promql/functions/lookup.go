package functions

import (
	"math"
	"time"
)

// all are the functions by name.
var all = byName(
	map[string]*Range{
		"avg_over_time":                {Window: sumOrAvgWindow(avgFloats, avgHistograms), Batch: sumsBatch(avgFloats, true)},
		"sum_over_time":                {Window: sumOrAvgWindow(sumFloats, sumHistograms), Batch: sumsBatch(sumFloats, false)},
		"count_over_time":              {Window: countWindow, Batch: kernel(countFloats).batch(), OnlyCount: true},
		"absent_over_time":             {Window: presentWindow, Batch: kernel(presentFloats).batch(), OnlyCount: true},
		"present_over_time":            {Window: presentWindow, Batch: kernel(presentFloats).batch(), OnlyCount: true},
		"first_over_time":              {Window: firstWindow, Batch: kernel(firstFloat).batch(), KeepsName: true},
		"last_over_time":               {Window: lastWindow, Batch: kernel(lastFloat).batch(), KeepsName: true},
		"ts_of_first_over_time":        {Window: firstTimeWindow, Batch: kernel(firstTime).batch()},
		"ts_of_last_over_time":         {Window: lastTimeWindow, Batch: kernel(lastTime).batch()},
		"max_over_time":                {Window: kernel(maxFloats).ignoringHistograms(), Batch: maxBatch},
		"min_over_time":                {Window: kernel(minFloats).ignoringHistograms(), Batch: minBatch},
		"ts_of_max_over_time":          overFloats(timeOfMax),
		"ts_of_min_over_time":          overFloats(timeOfMin),
		"stddev_over_time":             varianceKind{root: true}.function(),
		"stdvar_over_time":             varianceKind{}.function(),
		"mad_over_time":                overFloats(medianDeviation),
		"quantile_over_time":           {Window: kernel(quantileFloats).ignoringHistograms(), Batch: quantileBatch},
		"deriv":                        regressionKind{}.function(),
		"predict_linear":               regressionKind{predict: true}.function(),
		"double_exponential_smoothing": checked(overFloats(smoothing), checkSmoothing),
		"rate":                         rateKind{counter: true, perSecond: true}.function(),
		"increase":                     rateKind{counter: true}.function(),
		"delta":                        rateKind{}.function(),
		"irate":                        lastTwoKind{counter: true}.function(),
		"idelta":                       lastTwoKind{}.function(),
		"resets":                       (&pairKind{less, histogramReset, true}).function(),
		"changes":                      (&pairKind{differs, histogramDiffers, false}).function(),
	},
	map[string]ElementFunc{
		"abs": absolute, "ceil": ceiling, "floor": floor, "sqrt": squareRoot,
		"exp": each(math.Exp), "ln": each(math.Log), "log2": each(math.Log2), "log10": each(math.Log10),
		"sin": each(math.Sin), "cos": each(math.Cos), "tan": each(math.Tan),
		"asin": each(math.Asin), "acos": each(math.Acos), "atan": each(math.Atan),
		"sinh": each(math.Sinh), "cosh": each(math.Cosh), "tanh": each(math.Tanh),
		"asinh": each(math.Asinh), "acosh": each(math.Acosh), "atanh": each(math.Atanh),
		"rad": each(radians), "deg": each(degrees), "sgn": each(sign),
		"round": round, "clamp": clamp, "clamp_max": clampMax, "clamp_min": clampMin,
		"minute": ofDate(time.Time.Minute), "hour": ofDate(time.Time.Hour), "year": ofDate(time.Time.Year),
		"month": ofDate(month), "days_in_month": ofDate(daysInMonth), "day_of_month": ofDate(time.Time.Day),
		"day_of_week": ofDate(dayOfWeek), "day_of_year": ofDate(time.Time.YearDay),
	},
	map[string]HistogramFunc{
		"histogram_avg": histogramAvg, "histogram_count": histogramCount, "histogram_sum": histogramSum,
		"histogram_stddev": histogramDeviation, "histogram_stdvar": histogramVariance,
	},
	map[string]ScalarFunc{"max_of": maxOf, "min_of": minOf},
)

func checked(r *Range, check func(*Args, int) error) *Range {
	r.Check = check
	return r
}

func byName(ranges map[string]*Range, elements map[string]ElementFunc, histograms map[string]HistogramFunc, scalars map[string]ScalarFunc) map[string]*Function {
	functions := make(map[string]*Function, len(ranges)+len(elements)+len(histograms)+len(scalars))
	for name, f := range ranges {
		functions[name] = &Function{Name: name, Range: f}
	}
	for name, f := range elements {
		functions[name] = &Function{Name: name, Element: f}
	}
	for name, f := range histograms {
		functions[name] = &Function{Name: name, Histogram: f}
	}
	for name, f := range scalars {
		functions[name] = &Function{Name: name, Scalar: f}
	}
	return functions
}
