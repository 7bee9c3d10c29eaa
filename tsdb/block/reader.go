package block

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/encoding"
)

// ReaderOptions are the options of a Reader. The zero value is good.
type ReaderOptions struct {
	// DirectoryCacheBytes bounds the memory for decoded frames of the directory; 0 is 4 MiB. One
	// frame is kept in any case.
	DirectoryCacheBytes int
}

// Reader is an open block. It may be used from any number of goroutines, each of which holds
// it (Acquire) as long as it uses what lies in the block's files.
type Reader struct {
	fs    vfs.FS
	dir   string
	index *index
	data  vfs.Mapping
	file  string // Of data.

	meta   atomic.Pointer[Meta]
	refs   atomic.Int64 // Holders, and one for the owner until Close.
	closed atomic.Bool
	unmap  struct {
		done chan struct{}
		err  error // Set before done is closed.
	}

	// verified has a bit for each page whose checksum was found right.
	verified []atomic.Uint64
	// times has the timelines that were decoded and are still in use by somebody.
	times        []atomic.Pointer[weak.Pointer[int64]]
	labelFrames  frameCache[labelFrame]
	columnFrames frameCache[columnFrame]
	values       []valueTable // Of the names of the index.

	tombs struct {
		sync.Mutex // Held while they are replaced.
		current    atomic.Pointer[Tombstones]
	}
}

// Open opens the block in dir. It reads the tables, not the samples: damage of those shows
// when they are read.
func Open(fsys vfs.FS, dir string, opts ReaderOptions) (*Reader, error) {
	if opts.DirectoryCacheBytes == 0 {
		opts.DirectoryCacheBytes = 4 << 20
	}
	r := &Reader{fs: fsys, dir: dir, file: filepath.Join(dir, DataFile)}
	meta, err := ReadMeta(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("open block %s: %w", dir, err)
	}
	r.meta.Store(&meta)
	ts, err := ReadTombstones(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("open block %s: %w", dir, err)
	}
	r.tombs.current.Store(ts)
	if r.index, err = openIndex(fsys, filepath.Join(dir, IndexFile), meta.size(IndexFile)); err != nil {
		return nil, fmt.Errorf("open block %s: %w", dir, err)
	}
	if err := r.openData(meta.size(DataFile)); err != nil {
		r.index.mapping.Close() // The error that counts is the other one.
		return nil, fmt.Errorf("open block %s: %w", dir, err)
	}
	r.refs.Store(1)
	r.unmap.done = make(chan struct{})
	r.verified = make([]atomic.Uint64, (len(r.index.pages)+63)/64)
	r.times = make([]atomic.Pointer[weak.Pointer[int64]], len(r.index.timelines))
	r.openValues()
	r.labelFrames.init(len(r.index.frames), opts.DirectoryCacheBytes/2)
	r.columnFrames.init(len(r.index.frames), opts.DirectoryCacheBytes/2)
	return r, nil
}

func (r *Reader) openData(size int64) (err error) {
	if r.data, err = r.fs.Map(r.file); err != nil {
		return fmt.Errorf("block data: %w", err)
	}
	data := r.data.Bytes()
	if err = checkFileHeader(data, dataMagic, r.file); err == nil {
		err = checkSize(r.file, size, data)
	}
	for i, p := range r.index.pages {
		if err == nil && (p.offset > uint64(len(data)) || uint64(p.length) > uint64(len(data))-p.offset) {
			err = part{r.index.file, 0}.corrupt("page %d at %d+%d of %s, which has %d bytes", i, p.offset, p.length, r.file, len(data))
		}
	}
	if err != nil {
		return errors.Join(err, r.data.Close())
	}
	return nil
}

// Acquire holds the block open until Release. It returns false if the block is closed.
func (r *Reader) Acquire() bool {
	for {
		n := r.refs.Load()
		if n == 0 || r.closed.Load() {
			return false
		}
		if r.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release ends what Acquire began. Nothing that lies in the block's files may be used after.
func (r *Reader) Release() {
	n := r.refs.Add(-1)
	if n < 0 {
		panic("block: Release without Acquire")
	}
	if n == 0 {
		r.unmap.err = errors.Join(r.index.mapping.Close(), r.data.Close())
		close(r.unmap.done)
	}
}

// Close refuses new holders. The files are unmapped when the last holder is gone, which Close
// does not wait for: see Done. Closing twice is harmless.
func (r *Reader) Close() {
	if !r.closed.Swap(true) {
		r.Release()
	}
}

// Done is closed when the block is closed and its files are unmapped.
func (r *Reader) Done() <-chan struct{} { return r.unmap.done }

// Dir is the block's directory.
func (r *Reader) Dir() string { return r.dir }

// Meta returns a copy of the block's meta.json.
func (r *Reader) Meta() Meta { return *r.meta.Load() }

// SetCompactionFailed notes in meta.json that compacting the block failed.
func (r *Reader) SetCompactionFailed() error {
	m := r.Meta()
	m.Compaction.Failed = true
	if err := WriteMeta(r.fs, r.dir, m); err != nil {
		return err
	}
	r.meta.Store(&m)
	return nil
}

// NumSeries is the number of series; they are numbered from 0, in the order of Compare.
func (r *Reader) NumSeries() uint32 { return r.index.series }

// Size is the number of bytes of index and data.
func (r *Reader) Size() int64 { return int64(len(r.index.data) + len(r.data.Bytes())) }

// page returns the bytes of a page, checked.
func (r *Reader) page(n uint32) ([]byte, error) {
	if int64(n) >= int64(len(r.index.pages)) {
		return nil, part{r.index.file, 0}.corrupt("page %d of %d", n, len(r.index.pages))
	}
	p := r.index.pages[n]
	b := r.data.Bytes()[p.offset:][:p.length]
	word, bit := &r.verified[n>>6], uint64(1)<<(n&63)
	if word.Load()&bit != 0 {
		return b, nil
	}
	if got := crc32.Checksum(b, castagnoli); got != p.crc {
		return nil, part{r.file, int64(p.offset)}.checksum(fmt.Sprintf("page %d", n), p.crc, got)
	}
	word.Or(bit)
	return b, nil
}

// at returns bytes of a page.
func (r *Reader) at(l location, what string) ([]byte, error) {
	b, err := r.page(l.page)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if uint64(l.offset)+uint64(l.length) > uint64(len(b)) {
		return nil, part{r.index.file, 0}.corrupt("%s at %d+%d of page %d, which has %d bytes", what, l.offset, l.length, l.page, len(b))
	}
	return b[l.offset:][:l.length:l.length], nil
}

// Chunk returns the bytes of a chunk.
func (r *Reader) Chunk(c *ChunkRef) (ChunkData, error) {
	page, own, err := r.chunkBytes(c, "chunk")
	if err != nil {
		return ChunkData{}, err
	}
	d, ok := c.split(own)
	if !ok {
		return ChunkData{}, r.dataPart(c.at()).corrupt("chunk of %d bytes for %d rows", c.length, c.Rows)
	}
	d.page = page[:c.page.size]
	return d, nil
}

// chunkBytes returns the page of a chunk and what is the chunk's own in it, beside floats.
func (r *Reader) chunkBytes(c *ChunkRef, what string) (page, own []byte, err error) {
	if page, err = r.page(c.page.number); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	if uint64(c.page.size) > uint64(len(page)) || uint64(c.offset)+uint64(c.length) > uint64(len(page)) {
		return nil, nil, part{r.index.file, 0}.corrupt("%s at %d+%d of page %d, which has %d bytes", what, c.offset, c.length, c.page.number, len(page))
	}
	return page, page[c.offset:][:c.length:c.length], nil
}

// at is where the bytes of the chunk lie.
func (c *ChunkRef) at() location { return location{c.page.number, c.offset, c.length} }

// dataPart is a place in the data file. The page exists.
func (r *Reader) dataPart(l location) part {
	return part{r.file, int64(r.index.pages[l.page].offset) + int64(l.offset)}
}

// Exemplars returns the exemplars of a series.
func (r *Reader) Exemplars(e *SeriesEntry) ([]exemplar.Exemplar, error) {
	if e.exemplars == nil {
		return nil, nil
	}
	_, b, err := r.chunkBytes(e.exemplars, "exemplars")
	if err != nil {
		return nil, err
	}
	es, ok := readExemplars(b)
	if !ok {
		return nil, r.dataPart(e.exemplars.at()).corrupt("exemplars")
	}
	return es, nil
}

// NumTimelines is the number of timelines, which are numbered from 0.
func (r *Reader) NumTimelines() int { return len(r.index.timelines) }

// TimelineRange returns the first and the last timestamp of a timeline and the number of its
// rows, without decoding it.
func (r *Reader) TimelineRange(n uint32) (mint, maxt int64, rows int) {
	t := &r.index.timelines[n]
	return t.mint, t.maxt, int(t.rows)
}

// Timeline returns the timestamps of a timeline. The slice is shared by all who use the
// timeline at the same time, and not to be changed; it may be kept after Release.
func (r *Reader) Timeline(n uint32) ([]int64, error) {
	if int64(n) >= int64(len(r.index.timelines)) {
		return nil, fmt.Errorf("%s: timeline %d of %d", r.index.file, n, len(r.index.timelines))
	}
	t := &r.index.timelines[n]
	// The weak pointer lets go of timelines that no query looks at.
	if p := r.times[n].Load(); p != nil {
		if first := p.Value(); first != nil {
			return unsafe.Slice(first, t.rows), nil
		}
	}
	b, err := r.at(t.at, "timeline")
	if err != nil {
		return nil, err
	}
	times, rest, err := encoding.DecodeTimes(make([]int64, 0, t.rows), b)
	if err != nil || len(rest) > 0 || len(times) != int(t.rows) || times[0] != t.mint || times[len(times)-1] != t.maxt {
		return nil, r.dataPart(t.at).corrupt("timeline %d of %d rows: %d rows, %d bytes too many, %v", n, t.rows, len(times), len(rest), err)
	}
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return nil, r.dataPart(t.at).corrupt("timeline %d: row %d does not ascend", n, i)
		}
	}
	p := weak.Make(&times[0])
	r.times[n].Store(&p)
	return times, nil
}

// Verify reads everything and returns the damages, joined: nil means that the block is sound.
func (r *Reader) Verify() error {
	var errs []error
	for n := range r.index.pages {
		if _, err := r.page(uint32(n)); err != nil {
			errs = append(errs, err)
		}
	}
	for i := range r.index.frames {
		_, err := r.labelFrame(i)
		_, err2 := r.columnFrame(i)
		errs = append(errs, err, err2)
	}
	for i := range r.index.names {
		errs = append(errs, r.verifyPostings(i))
	}
	_, err := r.index.metadata()
	return errors.Join(append(errs, err)...)
}
