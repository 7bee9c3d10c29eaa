package takeover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/inspect"
)

// ExportOptions configure an export. The zero value exports everything.
type ExportOptions struct {
	// Out gets lines about the progress; nil is none.
	Out io.Writer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Mint and Maxt are the range to export, milliseconds, inclusive; both 0 is
	// everything.
	Mint, Maxt int64
	// Selectors are what a series has to match one of; none is all.
	Selectors [][]*labels.Matcher
}

// Exported is what an export wrote.
type Exported struct {
	Blocks int
	// Series are counted in each block.
	Series, Samples uint64
}

// exporter is one run of Export.
type exporter struct {
	opts   ExportOptions
	db     *tsdb.DB
	out    string
	newest int64 // time of the newest sample
	result Exported
}

// Export writes what one of our data folders has, its head included, as blocks
// of Prometheus of two hours each into the folder out, which must be empty or
// missing. The data folder is opened as a server opens it, and so must not be in
// use: a server makes a snapshot, which can be exported. Each block is read back
// with upstream's reader, and compared, before it gets its name.
//
// Blocks of Prometheus have neither exemplars nor metadata: they are left out.
func Export(ctx context.Context, dir, out string, opts ExportOptions) (Exported, error) {
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Mint == 0 && opts.Maxt == 0 {
		opts.Mint, opts.Maxt = math.MinInt64, math.MaxInt64
	}
	if err := checkEmpty(out); err != nil {
		return Exported{}, err
	}
	db, err := inspect.Open(ctx, vfs.OS{}, dir)
	if err != nil {
		return Exported{}, err
	}
	e := &exporter{opts: opts, db: db, out: out, newest: db.MaxTime()}
	err = e.run(ctx)
	return e.result, errors.Join(err, db.Close())
}

// checkEmpty makes the folder out if it is missing, and refuses one that has
// anything in it.
func checkEmpty(out string) error {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return fmt.Errorf("folder to export to: %w", err)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		return fmt.Errorf("folder to export to: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("folder to export to: %s is not empty: it has %s", out, entries[0].Name())
	}
	return nil
}

func (e *exporter) run(ctx context.Context) error {
	windows := e.windows()
	start := e.opts.Now()
	for i, w := range windows {
		mint, maxt := max(w, e.opts.Mint), min(w+rangeLength-1, e.opts.Maxt)
		id, d, err := e.window(ctx, w, mint, maxt)
		if err != nil {
			return fmt.Errorf("export from %s to %s: %w", formatTime(mint), formatTime(maxt), err)
		}
		if d.Samples == 0 {
			continue
		}
		e.result.Blocks++
		e.result.Series += d.Series
		e.result.Samples += d.Samples
		fmt.Fprintf(e.opts.Out, "%d of %d, block %s from %s: %s: read back and the same\n", i+1, len(windows), id, formatTime(w), d)
	}
	// Upstream's tools take a folder without a log for none of Prometheus.
	if err := vfs.MkdirAllSync(vfs.OS{}, filepath.Join(e.out, promWAL)); err != nil {
		return fmt.Errorf("folder to export to: %w", err)
	}
	fmt.Fprintf(e.opts.Out, "%d blocks exported, %d series and %d samples in them, in %s\n",
		e.result.Blocks, e.result.Series, e.result.Samples, e.opts.Now().Sub(start).Round(time.Millisecond))
	return nil
}

// windows returns the starts of the ranges of two hours that may have samples,
// ascending.
func (e *exporter) windows() []int64 {
	var out []int64
	add := func(mint, maxt int64) {
		mint, maxt = max(mint, e.opts.Mint), min(maxt, e.opts.Maxt)
		for t := alignedStart(mint); t <= maxt; t += rangeLength {
			out = append(out, t)
		}
	}
	for _, b := range e.db.Blocks() {
		add(b.MinTime, b.MaxTime-1)
	}
	if s, err := e.db.Stats(0); err == nil && s.Head.MinTime <= s.Head.MaxTime {
		add(s.Head.MinTime, s.Head.MaxTime)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// alignedStart returns the start of the range of two hours that t lies in.
func alignedStart(t int64) int64 {
	s := t - t%rangeLength
	if t < s {
		s -= rangeLength
	}
	return s
}

// window exports a range. Without samples there is no block.
func (e *exporter) window(ctx context.Context, start, mint, maxt int64) (id string, d *Digest, err error) {
	q, err := e.db.Querier(mint, maxt)
	if err != nil {
		return "", nil, err
	}
	defer q.Close()
	symbols, err := symbolsOf(e.selected(ctx, q, true))
	if err != nil || len(symbols) == 0 {
		return "", &Digest{}, err
	}
	// A Prometheus refuses samples before the end of its newest block, so that
	// one must not end later than what is in it.
	end := min(start+rangeLength, e.newest+1)
	w, err := newPromWriter(ctx, e.out, start, end, e.opts.Now())
	if err != nil {
		return "", nil, err
	}
	d, err = w.write(ctx, symbols, e.selected(ctx, q, false))
	if err == nil && d.Samples > 0 {
		err = w.finish(ctx, d)
	}
	return w.id.String(), d, errors.Join(err, w.abort())
}

// selected returns the series to export in ascending order of their labels.
func (e *exporter) selected(ctx context.Context, q storage.Querier, labelsOnly bool) storage.SeriesSet {
	hints := &storage.SelectHints{Sorted: true, LabelsOnly: labelsOnly}
	selectors := e.opts.Selectors
	if len(selectors) == 0 {
		selectors = [][]*labels.Matcher{nil}
	}
	var sets []storage.SeriesSet
	for _, ms := range selectors {
		sets = append(sets, q.Select(ctx, hints, ms...))
	}
	return batch.MergeSets(sets, labels.Compare, 0)
}

// symbolsOf returns the names and values of labels, ascending.
func symbolsOf(set storage.SeriesSet) ([]string, error) {
	seen := map[string]struct{}{}
	for set.Next() {
		set.At().Labels().Range(func(l labels.Label) {
			seen[l.Name] = struct{}{}
			seen[l.Value] = struct{}{}
		})
	}
	out := make([]string, 0, len(seen))
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out, set.Err()
}

// promDir is where a block lies, with a suffix while it is being written:
// Prometheus removes folders of that name when it starts.
func promDir(out, id string, temporary bool) string {
	if temporary {
		id += ".tmp-for-creation"
	}
	return filepath.Join(out, id)
}
