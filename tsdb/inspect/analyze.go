package inspect

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/index"
)

// Analyze writes what a block consists of: what its samples cost, which labels
// and metrics have the most series and samples, which come and go, and how full
// the chunks are. name is the block, "" the newest one; limit bounds each list;
// matchers choose the series. Deletions are not looked at.
func Analyze(ctx context.Context, fsys vfs.FS, dir, name string, limit int, matchers []*labels.Matcher, out io.Writer) error {
	r, err := openBlock(fsys, dir, name)
	if err != nil {
		return err
	}
	defer r.Close()
	a := &analysis{
		reader: r, meta: r.Meta(), seriesOf: tally{}, samplesOf: tally{},
		pairs: tally{}, churn: tally{}, pairChurn: tally{}, values: map[string]map[string]struct{}{},
	}
	if err := a.read(ctx, matchers); err != nil {
		return err
	}
	a.write(out, limit)
	return nil
}

// tally counts by name.
type tally map[string]float64

// analysis is what is known of a block.
type analysis struct {
	reader *block.Reader
	meta   block.Meta

	series, chunks, rows, entries uint64
	// seriesOf and samplesOf are by metric name, pairs has the series of each
	// label pair.
	seriesOf, samplesOf, pairs tally
	// churn has, by label name and by pair, the part of the block's range that
	// its series do not reach over, summed.
	churn, pairChurn tally
	values           map[string]map[string]struct{}
	// fill counts chunks by the power of two of their rows.
	fill [32]uint64
}

func (a *analysis) read(ctx context.Context, matchers []*labels.Matcher) error {
	ids, err := index.Select(ctx, a.reader, matchers...)
	if err != nil {
		return err
	}
	builder := labels.NewScratchBuilder(16)
	var entry block.SeriesEntry
	for it := ids.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.reader.Series(it.Next(), &builder, &entry); err != nil {
			return err
		}
		a.add(&entry)
	}
	return nil
}

// add counts a series.
func (a *analysis) add(e *block.SeriesEntry) {
	a.series++
	mint, maxt, samples := a.meta.MaxTime, a.meta.MinTime, uint64(0)
	for i := range e.Chunks {
		c := &e.Chunks[i]
		first, last, _ := a.reader.TimelineRange(c.Timeline)
		mint, maxt = min(mint, first), max(maxt, last)
		samples += uint64(c.Rows)
		a.fill[bucketOf(uint64(c.Rows))]++
	}
	a.chunks += uint64(len(e.Chunks))
	a.rows += samples
	missing := 1.0
	if span := a.meta.MaxTime - a.meta.MinTime; span > 0 && mint <= maxt {
		missing = max(0, 1-float64(maxt-mint+1)/float64(span))
	}
	metric := e.Labels.Get(model.MetricNameLabel)
	a.seriesOf[metric]++
	a.samplesOf[metric] += float64(samples)
	e.Labels.Range(func(l labels.Label) {
		a.entries++
		pair := l.Name + "=" + l.Value
		a.pairs[pair]++
		a.churn[l.Name] += missing
		a.pairChurn[pair] += missing
		if a.values[l.Name] == nil {
			a.values[l.Name] = map[string]struct{}{}
		}
		a.values[l.Name][l.Value] = struct{}{}
	})
}

// bucketOf returns the power of two at most n.
func bucketOf(n uint64) int {
	b := 0
	for n > 1 {
		n, b = n/2, b+1
	}
	return b
}

func (a *analysis) write(out io.Writer, limit int) {
	m := &a.meta
	fmt.Fprintf(out, "Block: %s\nDuration: %s\nLevel: %d\n", m.ULID, duration(m.MaxTime-m.MinTime), m.Compaction.Level)
	fmt.Fprintf(out, "Series: %d of %d\nSamples: %d in the block, %d floats and %d histograms\n", a.series, m.Stats.NumSeries, m.Stats.NumSamples, m.Stats.NumFloatSamples, m.Stats.NumHistogramSamples)
	fmt.Fprintf(out, "Timelines: %d\nLabel names: %d\nLabel pairs: %d, %d in all series\n", m.Stats.NumTimelines, len(a.values), len(a.pairs), a.entries)
	for _, f := range m.Files {
		fmt.Fprintf(out, "Bytes of %s: %d, %.4g a sample, %.4g a series\n", f.Name, f.Bytes, ratio(f.Bytes, m.Stats.NumSamples), ratio(f.Bytes, m.Stats.NumSeries))
	}
	lengths, cardinality := tally{}, tally{}
	for name, values := range a.values {
		cardinality[name] = float64(len(values))
		for v := range values {
			lengths[name] += float64(len(v))
		}
	}
	list(out, "Label pairs most involved in churn (series that are missing, on average)", a.pairChurn, limit)
	list(out, "Label names most involved in churn", a.churn, limit)
	list(out, "Most common label pairs", a.pairs, limit)
	list(out, "Label names with the most bytes of values", lengths, limit)
	list(out, "Label names with the most values", cardinality, limit)
	list(out, "Metric names with the most series", a.seriesOf, limit)
	list(out, "Metric names with the most samples", a.samplesOf, limit)
	a.writeFill(out)
}

func ratio(n int64, of uint64) float64 { return float64(n) / float64(max(of, 1)) }

// list writes the greatest entries of a tally.
func list(out io.Writer, title string, t tally, limit int) {
	type entry struct {
		name string
		n    float64
	}
	var all []entry
	for name, n := range t {
		if n >= 0.5 {
			all = append(all, entry{name, n})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	fmt.Fprintf(out, "\n%s:\n", title)
	for i, e := range all {
		if i == limit {
			fmt.Fprintf(out, "… %d more\n", len(all)-limit)
			break
		}
		fmt.Fprintf(out, "%.0f %s\n", e.n, e.name)
	}
}

// writeFill writes how many rows the chunks have.
func (a *analysis) writeFill(out io.Writer) {
	fmt.Fprintf(out, "\nRows of the %d chunks, %.1f on average:\n", a.chunks, float64(a.rows)/float64(max(a.chunks, 1)))
	for b, n := range a.fill {
		if n > 0 {
			fmt.Fprintf(out, "[%d, %d): %d\n", 1<<b, 2<<b, n)
		}
	}
}
