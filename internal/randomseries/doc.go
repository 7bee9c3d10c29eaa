// Package randomseries makes random samples as series have them: counters,
// gauges, numbers that break arithmetic, and native histograms of every kind.
// It is for tests; the same source of random numbers gives the same samples.
package randomseries
