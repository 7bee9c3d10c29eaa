package takeover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/compact"
	"github.com/gnomonhq/gnomon/tsdb/inspect"
)

// Defaults of ImportOptions.
const (
	// DefaultMaxLogSamples is how many samples of the logs are in memory at
	// once: they take about 600 MiB.
	DefaultMaxLogSamples = 16 << 20
	// DefaultMaxExemplars is how many exemplars of the logs are imported.
	DefaultMaxExemplars = 100_000
	// DefaultReportInterval is the time between two lines about a part that is
	// being imported.
	DefaultReportInterval = 10 * time.Second
)

// rangeLength is the range of the blocks that are made of logs, and the one at
// which timelines are divided: that of a block cut from the head.
const rangeLength = int64(2 * time.Hour / time.Millisecond)

// Names in the target.
const (
	stagingDir  = "import"
	stagingLock = "lock"
)

// ImportOptions configure an import. The zero value of each field is its
// documented default.
type ImportOptions struct {
	// FS has the target; nil is the machine's. The source is read from the
	// machine's.
	FS vfs.FS
	// Out gets lines about the progress; nil is none.
	Out io.Writer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// BlocksOnly leaves out the logs, and then a Prometheus may have the source
	// open.
	BlocksOnly bool
	// MaxLogSamples bounds the samples of the logs that are in memory at once; 0
	// is DefaultMaxLogSamples.
	MaxLogSamples uint64
	// MaxExemplars bounds the exemplars that are imported, the newest ones; 0 is
	// DefaultMaxExemplars.
	MaxExemplars int
	// ReportInterval is the time between two lines about one part; 0 is
	// DefaultReportInterval.
	ReportInterval time.Duration
}

func (o ImportOptions) withDefaults() ImportOptions {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxLogSamples == 0 {
		o.MaxLogSamples = DefaultMaxLogSamples
	}
	if o.MaxExemplars == 0 {
		o.MaxExemplars = DefaultMaxExemplars
	}
	if o.ReportInterval == 0 {
		o.ReportInterval = DefaultReportInterval
	}
	return o
}

// Summary is what an import did.
type Summary struct {
	// Imported and Present count the parts that were imported now and those that
	// had been before.
	Imported, Present int
	// Series and Samples are those of the parts that were imported now, counted
	// in each part. They were read back and found to be the same.
	Series, Samples uint64
	// Notes are about what is odd and costs nothing.
	Notes []string
	// Damages are what could not be imported, the first thousand of them.
	Damages []error
}

// maxTold bounds notes and damages.
const maxTold = 1000

// importer is one run of Import.
type importer struct {
	opts           ImportOptions
	source, target string
	staging        string
	report         *report
	summary        Summary
	// have has the sources of the blocks in the target.
	have map[ulid.ULID]bool
}

// part is what becomes one block.
type part struct {
	name    string
	samples uint64 // about
	meta    block.Meta
	open    func(ctx context.Context, progress func(uint64)) (opened, error)
}

// opened is a part that is being read.
type opened interface {
	compact.Source
	// result is what was read up to now, and what is odd about it.
	result() (*Digest, []string)
	close() error
}

// Import imports the folder of a Prometheus into a data folder of ours, which a
// server may have open. It returns what it did with every error; the error is
// nil if everything that Prometheus has is there now, proven.
func Import(ctx context.Context, source, target string, opts ImportOptions) (Summary, error) {
	im := &importer{opts: opts.withDefaults(), source: source, target: target, staging: filepath.Join(target, stagingDir)}
	if err := im.distinct(); err != nil {
		return Summary{}, err
	}
	f, err := openFolder(source, opts.BlocksOnly)
	if err != nil {
		return Summary{}, err
	}
	err = im.prepared(func() error { return im.run(ctx, f) })
	return im.summary, errors.Join(err, f.close())
}

// distinct refuses to import a folder into itself, and into that of another
// Prometheus.
func (im *importer) distinct() error {
	if inspect.OfPrometheus(im.opts.FS, im.target) {
		return fmt.Errorf("%s is the data folder of a Prometheus: import into a folder of its own", im.target)
	}
	from, err := os.Stat(im.source)
	if err != nil {
		return nil // openFolder tells
	}
	if to, err := os.Stat(im.target); err == nil && os.SameFile(from, to) {
		return fmt.Errorf("%s is what is to be imported: import into a folder of its own", im.target)
	}
	return nil
}

// prepared makes the folders, locks them against other imports, clears what an
// interrupted one left and calls run.
func (im *importer) prepared(run func() error) (err error) {
	fsys := im.opts.FS
	if err := vfs.MkdirAllSync(fsys, im.staging); err != nil {
		return fmt.Errorf("target of the import: %w", err)
	}
	held, err := fsys.Lock(filepath.Join(im.staging, stagingLock))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("another import into %s is running: %w", im.target, err)
	}
	if err != nil {
		return fmt.Errorf("lock target of the import: %w", err)
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	if err := im.clear(); err != nil {
		return fmt.Errorf("clear what an interrupted import left: %w", err)
	}
	if im.have, err = present(fsys, im.target); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	return fsys.RemoveAll(im.staging)
}

func (im *importer) clear() error {
	entries, err := im.opts.FS.ReadDir(im.staging)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir {
			err = errors.Join(err, im.opts.FS.RemoveAll(filepath.Join(im.staging, e.Name)))
		}
	}
	return err
}

// present returns the sources of the blocks in a folder. Blocks that cannot be
// read have none.
func present(fsys vfs.FS, dir string) (map[ulid.ULID]bool, error) {
	ids, err := block.List(fsys, dir)
	if err != nil {
		return nil, err
	}
	have := map[ulid.ULID]bool{}
	for _, id := range ids {
		m, err := block.ReadMeta(fsys, filepath.Join(dir, id.String()))
		if err != nil {
			continue
		}
		for _, s := range m.Compaction.Sources {
			have[s] = true
		}
	}
	return have, nil
}

// run imports what is not there yet.
func (im *importer) run(ctx context.Context, f *folder) error {
	parts, err := im.parts(ctx, f)
	if err != nil {
		return err
	}
	im.report = newReport(im.opts, parts)
	im.report.begin(im.source, im.target, im.summary.Present)
	for i := range parts {
		if err := im.part(ctx, &parts[i], i); err != nil {
			return fmt.Errorf("import %s: %w", parts[i].name, err)
		}
	}
	im.report.end(&im.summary)
	return errors.Join(im.summary.Damages...)
}

// parts lists what is not there yet: first the logs, which are newest, then the
// blocks.
func (im *importer) parts(ctx context.Context, f *folder) ([]part, error) {
	var out []part
	if f.logs && !im.opts.BlocksOnly {
		logs, err := im.logParts(ctx, f)
		if err != nil {
			return nil, err
		}
		out = logs
	}
	for _, d := range f.damaged {
		im.damage(d.name, d.err)
	}
	for i := range f.blocks {
		m := &f.blocks[i]
		if sources := sourcesOf(m); im.has(sources) {
			im.summary.Present++
		} else {
			out = append(out, im.blockPart(m, sources))
		}
	}
	return out, nil
}

func (im *importer) has(sources []ulid.ULID) bool {
	for _, s := range sources {
		if !im.have[s] {
			return false
		}
	}
	return true
}

// sourcesOf returns the blocks cut from the head whose samples are in a block.
func sourcesOf(m *promtsdb.BlockMeta) []ulid.ULID {
	if len(m.Compaction.Sources) == 0 {
		return []ulid.ULID{m.ULID}
	}
	return m.Compaction.Sources
}

// importedMeta is the meta of a block that is made of a part. Its level is that
// of a block that has sources.
func importedMeta(mint, maxt int64, level int, sources []ulid.ULID) block.Meta {
	return block.Meta{MinTime: mint, MaxTime: maxt, Compaction: block.Compaction{Level: max(level, 2), Sources: sources}}
}

func (im *importer) blockPart(m *promtsdb.BlockMeta, sources []ulid.ULID) part {
	dir := filepath.Join(im.source, m.ULID.String())
	return part{
		name:    "block " + m.ULID.String(),
		samples: m.Stats.NumSamples,
		meta:    importedMeta(m.MinTime, m.MaxTime, m.Compaction.Level, sources),
		open: func(ctx context.Context, progress func(uint64)) (opened, error) {
			return openPromSource(ctx, dir, progress)
		},
	}
}

// logParts reads the logs once to see what there is.
func (im *importer) logParts(ctx context.Context, f *folder) ([]part, error) {
	fmt.Fprintf(im.opts.Out, "reading the logs of %s\n", f.dir)
	x, err := indexLogs(ctx, f, rangeLength, im.opts.MaxExemplars, im.logDamage, im.reading())
	if err != nil {
		return nil, err
	}
	var missing []*logRange
	for _, r := range x.ranges {
		if im.have[r.source] {
			im.summary.Present++
		} else {
			missing = append(missing, r)
		}
	}
	loads, err := x.plan(ctx, missing, im.opts.MaxLogSamples)
	if err != nil {
		return nil, err
	}
	var current *collector
	out := make([]part, len(missing))
	for i, r := range missing {
		out[i] = part{
			name: r.name(), samples: r.samples,
			meta: importedMeta(r.mint, r.maxt+1, 0, []ulid.ULID{r.source}),
			open: func(ctx context.Context, progress func(uint64)) (opened, error) {
				return &logSource{ctx: ctx, index: x, unit: r, loads: loads[r], current: &current, progress: progress}, nil
			},
		}
	}
	return out, nil
}

// reading returns what tells how far the logs are being read, every few seconds.
func (im *importer) reading() func(done, of int) {
	spoke := im.opts.Now()
	return func(done, of int) {
		if now := im.opts.Now(); now.Sub(spoke) >= im.opts.ReportInterval {
			spoke = now
			fmt.Fprintf(im.opts.Out, "reading the logs: segment %d of %d\n", done+1, of)
		}
	}
}

// logDamage tells damage of the logs. The torn end of a log and what is wrong
// with the chunks of the head, which the logs have too, cost nothing.
func (im *importer) logDamage(err error) {
	var d *logDamage
	if errors.As(err, &d) && (d.torn || d.redundant) {
		im.note(err.Error())
		return
	}
	im.damage("logs", err)
}

func (im *importer) damage(what string, err error) {
	fmt.Fprintf(im.opts.Out, "DAMAGED %s: %v\n", what, err)
	if len(im.summary.Damages) < maxTold {
		im.summary.Damages = append(im.summary.Damages, fmt.Errorf("%s: %w", what, err))
	}
}

func (im *importer) note(text string) {
	fmt.Fprintf(im.opts.Out, "note: %s\n", text)
	if len(im.summary.Notes) < maxTold {
		im.summary.Notes = append(im.summary.Notes, text)
	}
}

// part imports a part. An error is one of the target, or that of the context;
// one of the source is noted.
func (im *importer) part(ctx context.Context, p *part, i int) error {
	im.report.part(i)
	src, err := p.open(ctx, im.report.progress)
	if err != nil {
		return im.lost(ctx, p, err)
	}
	meta, err := compact.Write(ctx, compact.Target{
		FS: im.opts.FS, Dir: im.staging, Now: im.opts.Now(), Meta: p.meta, AlignMillis: rangeLength,
	}, []compact.Source{src})
	if err = errors.Join(err, src.close()); err != nil {
		return im.lost(ctx, p, err)
	}
	want, notes := src.result()
	for _, n := range notes {
		im.note(p.name + ": " + n)
	}
	if meta.ULID == (ulid.ULID{}) {
		im.report.done(want, 0)
		im.summary.Imported++
		return nil
	}
	size, err := im.prove(ctx, meta, want)
	if errors.Is(err, errDiffers) {
		im.damage(p.name, err)
		return im.opts.FS.RemoveAll(filepath.Join(im.staging, meta.ULID.String()))
	}
	if err != nil {
		return err
	}
	if err := im.publish(meta.ULID.String()); err != nil {
		return err
	}
	for _, s := range meta.Compaction.Sources {
		im.have[s] = true
	}
	im.report.done(want, size)
	im.summary.Imported++
	im.summary.Series += want.Series
	im.summary.Samples += want.Samples
	return nil
}

// publish moves a block from the staging folder to where servers look.
func (im *importer) publish(name string) error {
	fsys := im.opts.FS
	if err := fsys.Rename(filepath.Join(im.staging, name), filepath.Join(im.target, name)); err != nil {
		return err
	}
	return errors.Join(fsys.SyncDir(im.target), fsys.SyncDir(im.staging))
}

// errDiffers says that the proof failed.
var errDiffers = errors.New("what was written is not what was read")

// lost notes that a part could not be read, unless it was not the part's fault.
func (im *importer) lost(ctx context.Context, p *part, err error) error {
	var s *sourceError
	if ctx.Err() != nil || !errors.As(err, &s) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) && im.opts.BlocksOnly {
		err = fmt.Errorf("it was deleted meanwhile, import again: %w", err)
	}
	im.damage(p.name, err)
	return nil
}

// prove reads the block that was written and holds it against what was read.
func (im *importer) prove(ctx context.Context, meta block.Meta, want *Digest) (size int64, err error) {
	r, err := block.Open(im.opts.FS, filepath.Join(im.staging, meta.ULID.String()), block.ReaderOptions{})
	if err != nil {
		return 0, fmt.Errorf("read back what was written: %w", err)
	}
	defer r.Close()
	if err := r.Verify(); err != nil {
		return 0, fmt.Errorf("read back what was written: %w", err)
	}
	got, err := digestSource(ctx, compact.BlockSource(r, 1, math.MinInt64, math.MaxInt64))
	if err != nil {
		return 0, fmt.Errorf("read back what was written: %w", err)
	}
	if !got.Same(want) || meta.Stats.NumSamples != want.Samples {
		return 0, fmt.Errorf("%w: %s, want %s", errDiffers, got, want)
	}
	return r.Size(), nil
}

// digestSource reads a source to its end.
func digestSource(ctx context.Context, src compact.Source) (*Digest, error) {
	d := &Digest{}
	it := batchReader{ctx: ctx}
	for src.Next() {
		s := src.Series()
		d.Begin(s.Labels)
		if err := it.each(s.Batches, d.Add); err != nil {
			return nil, fmt.Errorf("series %s: %w", s.Labels, err)
		}
	}
	return d, src.Err()
}
