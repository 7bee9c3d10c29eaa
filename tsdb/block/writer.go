package block

import (
	"encoding/binary"
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
	// FrameSeries is how many series make a frame of the directory; 0 is 256.
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
	// Metadata is stored if it is not the zero value.
	Metadata metadata.Metadata
	// Chunks are in ascending order of time.
	Chunks []Chunk
	// Exemplars are in ascending order of time.
	Exemplars []exemplar.Exemplar
}

// Writer writes a block. It belongs to one goroutine. What it keeps in memory are the label
// strings, each once, the posting lists and the tables of pages and timelines; samples and
// directory go to disk as they come. After an error only Abort makes sense.
type Writer struct {
	fs     vfs.FS
	parent string
	id     ulid.ULID
	opts   WriterOptions
	done   bool

	data, index *fileWriter
	// Chunks and timelines have pages of their own, so that a series' neighbours are near.
	chunkPage, timelinePage page
	pages                   []pageEntry
	timelines               []timelineEntry

	symbols  symbolBuilder
	postings postingsBuilder
	frame    frameBuilder
	frames   []frameEntry

	last  labels.Labels
	stats Stats
	buf   []byte
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
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, fmt.Errorf("write block %s: %w", id, err)
	}
	w := &Writer{fs: fsys, parent: parent, id: id, opts: opts}
	w.symbols.numbers = map[string]uint32{}
	w.postings.names = map[uint32]*nameBuilder{}
	w.frame.encoder = enc
	if err := w.create(); err != nil {
		return nil, errors.Join(fmt.Errorf("write block %s: %w", id, err), w.Abort())
	}
	return w, nil
}

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
	if w.stats.NumSeries > 0 && Compare(w.last, s.Labels) >= 0 {
		return 0, fmt.Errorf("%s after %s: %w", s.Labels, w.last, ErrOutOfOrder)
	}
	if w.stats.NumSeries == 1<<32-1 {
		return 0, fmt.Errorf("%s: block is full of series", s.Labels)
	}
	for i := range s.Chunks {
		if err := s.Chunks[i].check(w.timelines); err != nil {
			return 0, fmt.Errorf("%s: %w", s.Labels, err)
		}
	}
	id := uint32(w.stats.NumSeries)
	if w.frame.series == 0 {
		w.frame.begin(id, w.nextPage())
	}
	if err := w.addEntry(s); err != nil {
		return 0, fmt.Errorf("write %s: %w", s.Labels, err)
	}
	s.Labels.Range(func(l labels.Label) {
		w.postings.add(id, w.symbols.number(l.Name), w.symbols.number(l.Value))
	})
	w.last = s.Labels
	w.stats.NumSeries++
	if w.frame.series >= w.opts.FrameSeries || w.frame.size() >= maxFrameBytes/2 {
		if err := w.flushFrame(); err != nil {
			return 0, fmt.Errorf("write directory: %w", err)
		}
	}
	return id, nil
}

// nextPage is the number of the page that the next chunk goes to, at least.
func (w *Writer) nextPage() uint32 {
	if w.chunkPage.open {
		return w.chunkPage.number
	}
	return uint32(len(w.pages))
}

// addEntry writes a series' chunks to the page and its entry to the frame.
func (w *Writer) addEntry(s *Series) error {
	e := entryHead{labels: s.Labels, metadata: s.Metadata}
	refs := w.frame.refs[:0]
	for i := range s.Chunks {
		c := &s.Chunks[i]
		w.buf = c.append(w.buf[:0])
		at, err := w.put(&w.chunkPage, w.buf)
		if err != nil {
			return err
		}
		refs = append(refs, ChunkRef{
			Kind: c.Kind, Timeline: c.Timeline, FirstRow: c.FirstRow, Rows: c.Rows,
			HasPresence: c.Presence != nil, HasStartTimes: len(c.StartTimes) > 0, at: at,
		})
		w.count(c)
	}
	w.frame.refs = refs
	if len(s.Exemplars) > 0 {
		w.buf = appendExemplars(w.buf[:0], s.Exemplars)
		at, err := w.put(&w.chunkPage, w.buf)
		if err != nil {
			return err
		}
		e.exemplars = &at
		w.stats.NumExemplars += uint64(len(s.Exemplars))
	}
	w.frame.add(&e, refs, &w.symbols)
	return nil
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

func (w *Writer) flushFrame() error {
	if w.frame.series == 0 {
		return nil
	}
	e, data := w.frame.finish()
	e.offset = uint64(w.index.off)
	w.frames = append(w.frames, e)
	return w.index.write(data)
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
	if err := errors.Join(w.flush(&w.chunkPage), w.flush(&w.timelinePage), w.flushFrame()); err != nil {
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

// symbolBuilder numbers strings in the order in which they come.
type symbolBuilder struct {
	numbers map[string]uint32
	strings []string
	bytes   uint64
}

func (b *symbolBuilder) number(s string) uint32 {
	n, ok := b.numbers[s]
	if !ok {
		n = uint32(len(b.strings))
		s = string(append([]byte(nil), s...)) // It may be part of a label set.
		b.numbers[s] = n
		b.strings = append(b.strings, s)
		b.bytes += uint64(len(s))
	}
	return n
}

// appendOffsets appends a table of n+1 offsets of the given lengths.
func appendOffsets(dst []byte, n int, length func(i int) int) []byte {
	off := uint32(0)
	dst = binary.LittleEndian.AppendUint32(dst, off)
	for i := range n {
		off += uint32(length(i))
		dst = binary.LittleEndian.AppendUint32(dst, off)
	}
	return dst
}
