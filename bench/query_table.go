package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gnomonhq/gnomon/bench/queries"
)

// queryGroup is the group of rows of query.
const queryGroup = "query"

// queryPeers are the engines that ours is compared with, by name, and what the table
// calls them.
var queryPeers = []struct{ engine, title string }{{upstream, "Prometheus"}, {thanos, "Thanos"}}

// queryMetrics are what is compared, in the order of the columns.
var queryMetrics = []string{"ms", "bytes", "allocs", "peak"}

// printQueries writes how our engine does beside its peers, query by query, and the
// geometric means.
func printQueries(w io.Writer, p plan, got results) {
	if !slices.Contains(p.groups, queryGroup) {
		return
	}
	for _, scale := range p.scales {
		t := queryTable{got: got, scale: scale, ratios: map[[2]string][]float64{}}
		fmt.Fprintf(w, "\nQueries at %d×: time, allocated bytes, allocations and peak memory of ours, and as multiples of the peers'\n\n", scale)
		header := "| # | query | kind | over | series | ours ms | kB | allocs | peak kB |"
		for _, peer := range queryPeers {
			header += " / " + peer.title + " | bytes | allocs | peak |"
		}
		fmt.Fprintln(w, header)
		fmt.Fprintln(w, "|"+strings.Repeat("---|", strings.Count(header, "|")-1))
		for i, q := range queries.List {
			if line, ok := t.line(i, q); ok {
				fmt.Fprintln(w, line)
			}
		}
		t.printMeans(w)
	}
}

type queryTable struct {
	got    results
	scale  int
	ratios map[[2]string][]float64 // by peer and metric
}

// value returns the least of the repetitions, NaN if there is none.
func (t *queryTable) value(i int, metric, engine string) float64 {
	list := t.got[key{fmt.Sprintf("query_%02d_%s", i, metric), noSet, engine, t.scale}]
	if len(list) == 0 {
		return math.NaN()
	}
	return slices.Min(list)
}

func (t *queryTable) line(i int, q queries.Query) (string, bool) {
	if math.IsNaN(t.value(i, "ms", ours)) {
		return "", false
	}
	over := "instant"
	if q.Span > 0 {
		over = fmt.Sprintf("%gh by %s", q.Span.Hours(), strings.TrimSuffix(strings.TrimSuffix(q.Step.String(), "0s"), "0m"))
	}
	cells := []string{
		fmt.Sprint(i), "`" + strings.ReplaceAll(q.Expr, "|", "\\|") + "`", q.Kind, q.Data + ", " + over, figure(t.value(i, "series", ours)),
		figure(t.value(i, "ms", ours)), figure(t.value(i, "bytes", ours) / 1e3), figure(t.value(i, "allocs", ours)), figure(t.value(i, "peak", ours) / 1e3),
	}
	for _, peer := range queryPeers {
		for _, metric := range queryMetrics {
			cells = append(cells, t.ratio(i, metric, peer.engine))
		}
		if !t.agrees(i, peer.engine) {
			cells[len(cells)-len(queryMetrics)] += " **another result**"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |", true
}

func (t *queryTable) ratio(i int, metric, peer string) string {
	a, b := t.value(i, metric, ours), t.value(i, metric, peer)
	if math.IsNaN(b) {
		return "–"
	}
	// Less than the clock or the sampler of the heap can tell counts as that.
	least := map[string]float64{"ms": 0.001, "bytes": 1, "allocs": 1, "peak": 64e3}[metric]
	x := max(a, least) / max(b, least)
	t.ratios[[2]string{peer, metric}] = append(t.ratios[[2]string{peer, metric}], x)
	return figure(x)
}

// agrees reports whether the result is the same, up to the order of sums.
func (t *queryTable) agrees(i int, peer string) bool {
	if math.IsNaN(t.value(i, "series", peer)) {
		return true
	}
	a, b := t.value(i, "sum", ours), t.value(i, "sum", peer)
	return t.value(i, "series", ours) == t.value(i, "series", peer) && math.Abs(a-b) <= 1e-6*max(math.Abs(a), math.Abs(b))
}

func (t *queryTable) printMeans(w io.Writer) {
	fmt.Fprintf(w, "\n| at %d×, ours as a multiple of | queries | geometric mean of time | worst time | bytes | allocs | peak |\n|---|---|---|---|---|---|---|\n", t.scale)
	for _, peer := range queryPeers {
		times := t.ratios[[2]string{peer.engine, "ms"}]
		if len(times) == 0 {
			continue
		}
		cells := []string{peer.title, fmt.Sprint(len(times)), figure(geometricMean(times)), figure(slices.Max(times))}
		for _, metric := range queryMetrics[1:] {
			cells = append(cells, figure(geometricMean(t.ratios[[2]string{peer.engine, metric}])))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
	}
}

func geometricMean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(values)))
}
