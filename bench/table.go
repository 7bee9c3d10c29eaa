package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// bar is what has to hold of a row: our value, and its ratio to the peers'. 0 is no bar. Less
// is better everywhere.
type bar struct{ ours, upstream, victoria float64 }

// row is a row of the table.
type row struct {
	group, metric, what, unit string
	// scaleUnit divides values before they are printed; 0 is 1.
	scaleUnit float64
	// bars are by set; noSet's holds for all of them.
	bars map[string]bar
}

// rate makes a bar for nanoseconds per sample of one for samples per second.
func rate(samplesPerSecond float64) float64 { return 1e9 / samplesPerSecond }

func all(b bar) map[string]bar { return map[string]bar{noSet: b} }

// rows are the table, in order. Figures of the bars are those of the issue that asked for the
// engine; a rate is shown as the time that it allows for a sample.
var rows = []row{
	{"disk", "disk", "disk after compaction, values and timestamps", "B/sample", 0, map[string]bar{small: {0.16, 1. / 6, 0.65}, mixed: {0.10, 1. / 10, 0.35}}},
	{"index", "index", "index after compaction", "B/series", 0, all(bar{upstream: 1. / 3})},
	{"log", "log_bytes", "log, bytes of rows", "B/sample", 0, all(bar{ours: 0.5})},
	{"log", "log_ns", "log, encode and write alone", "ns/sample", 0, all(bar{ours: 4})},
	{"codec", "encode_ns", "encode", "ns/sample", 0, all(bar{ours: 12})},
	{"codec", "decode_ns", "decode, all columns (1 G/s)", "ns/sample", 0, all(bar{ours: rate(1e9)})},
	{"codec", "changing_ns", "decode, changing columns (500 M/s)", "ns/sample", 0, all(bar{ours: rate(500e6)})},
	{"append", "row_ns", "append rows of 1,000 columns, log included", "ns/sample", 0, all(bar{ours: 15})},
	{"append", "row_allocs", "append rows of 1,000 columns, allocations", "1/row", 0, all(bar{ours: 1})},
	{"append", "ingest_ns", "append rows of all targets in turn", "ns/sample", 0, nil},
	{"append", "ingest_allocs", "append rows of all targets, allocations", "1/sample", 0, nil},
	{"append", "reference_ns", "append single samples by reference", "ns/sample", 0, all(bar{ours: 80})},
	{"append", "labels_ns", "append single samples by labels", "ns/sample", 0, all(bar{ours: 400})},
	{"memory", "memory", "head after 2 h at 15 s, resident, no file pages", "B/series", 0, all(bar{ours: 400})},
	{"memory", "memory_heap", "head after 2 h at 15 s, live heap", "B/series", 0, all(bar{ours: 400})},
	{"replay", "replay_ns", "replay after a crash (20 M/s a core)", "ns/sample", 0, all(bar{ours: rate(20e6), upstream: 1. / 10})},
	{"replay", "replay_wall", "replay after a crash, until it is open", "s", 0, all(bar{upstream: 1. / 10})},
	{"compaction", "cut_ns", "write the head as blocks (30 M/s a core)", "ns/sample", 0, all(bar{ours: rate(30e6)})},
	{"compaction", "join_ns", "join blocks (30 M/s a core)", "ns/sample", 0, all(bar{ours: rate(30e6)})},
	{"compaction", "join_peak", "join blocks, extra memory at the peak", "MB", 1e6, all(bar{ours: 256e6})},
	{"select", "equal_head_ms", "select by equality in the head, to the first series", "ms", 0, all(bar{ours: 1})},
	{"select", "equal_block_ms", "select by equality in a block, to the first series", "ms", 0, all(bar{ours: 1})},
	{"select", "regexp_head_ms", "select by regular expression in the head", "ms", 0, all(bar{ours: 50})},
	{"select", "regexp_block_ms", "select by regular expression in a block", "ms", 0, all(bar{ours: 50})},
	{"churn", "churn_memory", "1 % churn a minute: after an hour, resident", "B/series", 0, nil},
	{"churn", "churn_growth", "1 % churn a minute: memory / that without churn", "", 0, all(bar{ours: 1.2})},
}

// groupNames are the groups of rows in the order of the table.
func groupNames() []string {
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.group) {
			names = append(names, r.group)
		}
	}
	return append(names, queryGroup)
}

// printTable writes the results as a table in Markdown.
func printTable(w io.Writer, p plan, got results) {
	if !slices.ContainsFunc(rows, func(r row) bool { return slices.Contains(p.groups, r.group) }) {
		return
	}
	fmt.Fprintln(w, "| what | unit | set | series | ours | Prometheus | VictoriaMetrics | / Prometheus | / VictoriaMetrics | bar | holds |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range rows {
		if !slices.Contains(p.groups, r.group) {
			continue
		}
		for _, set := range append([]string{noSet}, p.sets...) {
			for _, scale := range p.scales {
				if line, ok := r.line(got, set, scale); ok {
					fmt.Fprintln(w, line)
				}
			}
		}
	}
}

// line is one line of the table; ok is false if nothing was measured.
func (r row) line(got results, set string, scale int) (string, bool) {
	least := map[string]float64{}
	cells := []string{r.what, r.unit, set, fmt.Sprintf("%d×", scale)}
	any := false
	for _, engine := range []string{ours, upstream, victoria} {
		list := slices.Clone(got[key{r.metric, set, engine, scale}])
		if len(list) == 0 {
			cells = append(cells, "–")
			continue
		}
		any = true
		slices.Sort(list)
		unit := max(r.scaleUnit, 1)
		if r.scaleUnit == 0 {
			unit = 1
		}
		least[engine] = list[0]
		cell := figure(list[0] / unit)
		if median := figure(list[len(list)/2] / unit); median != cell {
			cell += " (" + median + ")"
		}
		cells = append(cells, cell)
	}
	b, hasBar := r.bars[set]
	if !hasBar {
		b, hasBar = r.bars[noSet]
	}
	holds := "yes"
	var text []string
	check := func(limit, value float64, name string, unit float64) {
		if limit == 0 {
			return
		}
		text = append(text, "≤ "+figure(limit/unit)+name)
		if math.IsNaN(value) || value > limit {
			holds = "**no**"
		}
	}
	ratio := func(peer string) float64 {
		if least[ours] == 0 || least[peer] == 0 {
			return math.NaN()
		}
		return least[ours] / least[peer]
	}
	unit := 1.0
	if r.scaleUnit != 0 {
		unit = r.scaleUnit
	}
	check(b.ours, least[ours], "", unit)
	for _, peer := range []string{upstream, victoria} {
		cell := "–"
		if x := ratio(peer); !math.IsNaN(x) {
			cell = figure(x)
		}
		cells = append(cells, cell)
		if _, measured := least[peer]; measured {
			check(map[string]float64{upstream: b.upstream, victoria: b.victoria}[peer], ratio(peer), "×"+peer, 1)
		}
	}
	if _, measured := least[ours]; !hasBar || !measured || len(text) == 0 {
		holds = "–"
	}
	return "| " + strings.Join(append(cells, strings.Join(text, ", "), holds), " | ") + " |", any
}

// figure writes a number with three digits that matter.
func figure(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 1:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.3f", x)
	}
}
