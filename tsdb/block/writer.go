package block

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// WriterOptions are the options of a Writer. The zero value is good.
type WriterOptions struct {
	// PageBytes is the size at which a page ends; 0 is 32 KiB. A larger chunk has a page of
	// its own.
	PageBytes int
	// FrameSeries is how many series make a frame of the directory at most, and how many
	// columns a page; 0 is 256.
	FrameSeries int
}

func (o WriterOptions) withDefaults() WriterOptions {
	if o.PageBytes == 0 {
		o.PageBytes = 32 << 10
	}
	if o.FrameSeries == 0 {
		o.FrameSeries = 256
	}
	return o
}

func (o WriterOptions) validate() error {
	var errs []error
	if o.PageBytes < 0 || o.PageBytes > maxPageBytes {
		errs = append(errs, fmt.Errorf("page size of %d bytes, want 1 to %d", o.PageBytes, maxPageBytes))
	}
	if o.FrameSeries < 0 || o.FrameSeries > maxFrameSeries {
		errs = append(errs, fmt.Errorf("%d series a frame, want 1 to %d", o.FrameSeries, maxFrameSeries))
	}
	return errors.Join(errs...)
}

// Limits of the format.
const (
	maxPageBytes   = 1 << 30
	maxFrameSeries = 1 << 16
	maxFrameBytes  = 64 << 20
)

// Series is what AddSeries takes.
type Series struct {
	Labels labels.Labels
	// Numbered are the labels, by Writer.Dictionary and ascending by name, in place of Labels.
	Numbered []Label
	// Metadata is stored if it is not the zero value.
	Metadata metadata.Metadata
	// Chunks are in ascending order of time.
	Chunks []Chunk
	// Exemplars are in ascending order of time.
	Exemplars []exemplar.Exemplar
}

// Writer writes a block. It belongs to one goroutine. What it keeps in memory are the label
// strings, each once, of each series some bytes for its labels, the chunks of one frame of
// series, and the tables of pages and timelines; samples and their directory go to disk as
// they come.
type Writer struct {
	fs      vfs.FS
	parent  string
	id      ulid.ULID
	opts    WriterOptions
	done    bool
	encoder *zstd.Encoder

	data, index *fileWriter
	// timelinePage is filled with timelines, which have pages of their own.
	timelinePage page
	pages        []pageEntry
	timelines    []timelineEntry

	labels labelBuilder
	group  groupBuilder
	frames []frameEntry

	stats       Stats
	numbered    []Label // Scratch memory of AddSeries.
	buf, stored []byte
}

// page is one that is being filled.
type page struct {
	number uint32
	open   bool
	buf    []byte
}

// NewWriter begins a block below parent, in the directory <id>.tmp, of which an old one is
// removed.
func NewWriter(fsys vfs.FS, parent string, id ulid.ULID, opts WriterOptions) (*Writer, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("write block %s: %w", id, err)
	}
	// Frames are small, and have a checksum beside them.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(512<<10), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("write block %s: %w", id, err)
	}
	w := &Writer{fs: fsys, parent: parent, id: id, opts: opts, encoder: enc, labels: newLabelBuilder()}
	w.group.limit = opts.FrameSeries
	w.group.begin(0)
	if err := w.create(); err != nil {
		return nil, errors.Join(fmt.Errorf("write block %s: %w", id, err), w.Abort())
	}
	return w, nil
}

// Dictionary numbers labels for AddSeries.
func (w *Writer) Dictionary() *Dictionary { return w.labels.dictionary }

func (w *Writer) dir() string { return filepath.Join(w.parent, w.id.String()) }
func (w *Writer) tmp() string { return w.dir() + vfs.TemporarySuffix }

func (w *Writer) create() (err error) {
	if err := vfs.MkdirAllSync(w.fs, w.parent); err != nil {
		return err
	}
	if err := w.fs.RemoveAll(w.tmp()); err != nil {
		return err
	}
	if err := w.fs.MkdirAll(w.tmp()); err != nil {
		return err
	}
	if w.data, err = newFileWriter(w.fs, filepath.Join(w.tmp(), DataFile), dataMagic); err != nil {
		return err
	}
	w.index, err = newFileWriter(w.fs, filepath.Join(w.tmp(), IndexFile), indexMagic)
	return err
}

// put appends bytes to a page and says where they lie.
func (w *Writer) put(p *page, b []byte) (location, error) {
	if len(b) > maxPageBytes {
		return location{}, fmt.Errorf("%d bytes for a page, the limit is %d", len(b), maxPageBytes)
	}
	if p.open && len(p.buf)+len(b) > w.opts.PageBytes {
		if err := w.flush(p); err != nil {
			return location{}, err
		}
	}
	if !p.open {
		// Its number is its place in the table, which is filled when it is written.
		p.number, p.open = uint32(len(w.pages)), true
		w.pages = append(w.pages, pageEntry{})
	}
	at := location{page: p.number, offset: uint32(len(p.buf)), length: uint32(len(b))}
	p.buf = append(p.buf, b...)
	return at, nil
}

// flush writes a page.
func (w *Writer) flush(p *page) error {
	if !p.open {
		return nil
	}
	w.pages[p.number] = pageEntry{
		offset: uint64(w.data.off), length: uint32(len(p.buf)), crc: crc32.Checksum(p.buf, castagnoli),
	}
	err := w.data.write(p.buf)
	p.open, p.buf = false, p.buf[:0]
	return err
}

// AddTimeline stores timestamps, strictly ascending, 1 to encoding.MaxRows of them, and
// returns the number by which chunks refer to them.
func (w *Writer) AddTimeline(times []int64) (uint32, error) {
	if len(times) == 0 || len(times) > encoding.MaxRows {
		return 0, fmt.Errorf("timeline of %d rows, want 1 to %d", len(times), encoding.MaxRows)
	}
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return 0, fmt.Errorf("timeline: row %d is at %d, the one before at %d", i, times[i], times[i-1])
		}
	}
	w.buf = encoding.AppendTimes(w.buf[:0], times)
	at, err := w.put(&w.timelinePage, w.buf)
	if err != nil {
		return 0, fmt.Errorf("write timeline: %w", err)
	}
	w.timelines = append(w.timelines, timelineEntry{
		at: at, rows: uint32(len(times)), mint: times[0], maxt: times[len(times)-1],
	})
	w.stats.NumTimelines++
	return uint32(len(w.timelines) - 1), nil
}

// AddSeries stores a series with its chunks, and returns its number. Series come in the
// order of Compare, each once.
func (w *Writer) AddSeries(s *Series) (uint32, error) {
	ls := s.Numbered
	if ls == nil {
		w.numbered = w.labels.dictionary.Append(w.numbered[:0], s.Labels)
		ls = w.numbered
	}
	failed := func(err error) error { return fmt.Errorf("%s: %w", w.labels.dictionary.Labels(ls), err) }
	if w.stats.NumSeries == 1<<32-1 {
		return 0, failed(errors.New("block is full of series"))
	}
	for i := range s.Chunks {
		if err := s.Chunks[i].check(w.timelines); err != nil {
			return 0, failed(err)
		}
	}
	w.labels.add(ls, s.Metadata)
	if w.stats.NumSeries > 0 && !w.labels.inOrder() {
		return 0, failed(ErrOutOfOrder)
	}
	w.group.add(s, w.labels.bucket(), w.timelines)
	for i := range s.Chunks {
		w.count(&s.Chunks[i])
	}
	w.stats.NumExemplars += uint64(len(s.Exemplars))
	w.stats.NumSeries++
	if w.group.series >= w.opts.FrameSeries || w.group.full() {
		if err := w.flushGroup(); err != nil {
			return 0, fmt.Errorf("write series: %w", err)
		}
	}
	return uint32(w.stats.NumSeries - 1), nil
}

func (w *Writer) count(c *Chunk) {
	n := uint64(c.values())
	w.stats.NumChunks++
	w.stats.NumSamples += n
	switch c.Kind {
	case storage.KindFloat:
		w.stats.NumFloatSamples += n
	case storage.KindHistogram, storage.KindFloatHistogram:
		w.stats.NumHistogramSamples += n
	}
}

// Finish completes the block and makes it visible, durably. Of meta, Version, ULID, Files and
// all Stats but NumGroups and NumTombstones are filled in; what was written is returned.
// After an error there is no block, only perhaps a temporary directory: see Abort.
func (w *Writer) Finish(meta Meta) (Meta, error) {
	if w.done {
		return Meta{}, ErrClosed
	}
	if meta.MinTime > meta.MaxTime {
		return Meta{}, fmt.Errorf("write block %s: time range %d to %d", w.id, meta.MinTime, meta.MaxTime)
	}
	meta.Version, meta.ULID = Version, w.id
	w.stats.NumGroups, w.stats.NumTombstones = meta.Stats.NumGroups, meta.Stats.NumTombstones
	meta.Stats = w.stats
	if err := w.finish(&meta); err != nil {
		return Meta{}, fmt.Errorf("write block %s: %w", w.id, err)
	}
	return meta, nil
}

func (w *Writer) finish(meta *Meta) error {
	if err := errors.Join(w.flushGroup(), w.flush(&w.timelinePage)); err != nil {
		return err
	}
	if err := w.writeTables(); err != nil {
		return err
	}
	meta.Files = []File{{IndexFile, w.index.off}, {DataFile, w.data.off}}
	err := errors.Join(w.index.finish(), w.data.finish())
	w.index, w.data = nil, nil
	if err != nil {
		return err
	}
	if err := WriteMeta(w.fs, w.tmp(), *meta); err != nil {
		return err
	}
	// WriteMeta synced the directory; now its name.
	if err := vfs.RenameSync(w.fs, w.tmp(), w.dir()); err != nil {
		return err
	}
	w.done = true
	return nil
}

// Abort removes what was written. After Finish or Abort it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	var errs []error
	for _, f := range []*fileWriter{w.index, w.data} {
		if f != nil {
			errs = append(errs, f.file.Close())
		}
	}
	errs = append(errs, w.fs.RemoveAll(w.tmp()))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("abort block %s: %w", w.id, err)
	}
	return nil
}
