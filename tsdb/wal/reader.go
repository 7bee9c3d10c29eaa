package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// Damage is a place in a log that could not be read. It is also an error.
type Damage struct {
	// File and Offset say where it begins; Length is how many bytes were passed over.
	File   string
	Offset int64
	Length int64
	// Reason says what was found and what was wanted.
	Reason string
	// TornTail says that it is the end of the last segment: what a crash leaves behind when
	// a write was under way.
	TornTail bool
}

// Error describes the damage.
func (d Damage) Error() string {
	what := "damaged"
	if d.TornTail {
		what = "torn tail"
	}
	return fmt.Sprintf("%s: offset %d: %s, %d bytes passed over: %s", d.File, d.Offset, what, d.Length, d.Reason)
}

// ReaderOptions are the options of a Reader. The zero value is good.
type ReaderOptions struct {
	// Before leaves out the segments with this number and above; 0 leaves out none. Give it
	// Writer.First when the log is being written already.
	Before uint64
	// After begins behind the record with this sequence number; 0 begins with the
	// checkpoint. If a checkpoint has taken the place of the record's segment, the Reader
	// begins with that, whose records have the number 0. Rows up to the next full one of
	// their group need a RowDecoder that has read those before.
	After Sequence
	// CutTail removes a torn tail from the last segment, so that it is not reported again.
	CutTail bool
	// OnDamage is told each damage when it is met; nil is not.
	OnDamage func(Damage)
	// Metrics counts damages; nil does not.
	Metrics *Metrics
}

// Reader streams the records of a log in order: those of the newest checkpoint, and then
// those of the segments that follow it. Damage does not end the stream: it is reported, and
// the Reader goes on with the next record that is whole. A Reader belongs to one goroutine.
type Reader struct {
	fs      vfs.FS
	opts    ReaderOptions
	sources []source
	total   int64
	read    int64 // Of the sources that are done.

	current *segmentReader
	rec     Record
	damages int
	// inCheckpoint and sawEnd hold a checkpoint to its last record.
	inCheckpoint, sawEnd bool
	checkpoint           string // Its directory.
}

// source is a file to be read.
type source struct {
	name   string
	kind   byte
	number uint64
	size   int64
	last   bool // The last segment of the log.
}

// OpenReader lists what there is to read; segments that come later are not read. A missing
// or empty dir is an empty log. An error is one of listing; what is wrong with a file is
// reported as Damage.
func OpenReader(fsys vfs.FS, dir string, opts ReaderOptions) (*Reader, error) {
	if opts.OnDamage == nil {
		opts.OnDamage = func(Damage) {}
	}
	if opts.Metrics == nil {
		opts.Metrics = NewMetrics(nil)
	}
	r := &Reader{fs: fsys, opts: opts}
	l, err := list(fsys, dir)
	if err != nil {
		return nil, err
	}
	from := uint64(0)
	if cp, ok := l.latestCheckpoint(); ok && opts.After.Segment() >= cp {
		from = cp
	} else if ok {
		from, r.opts.After = cp, 0
		cpDir := filepath.Join(dir, checkpointName(cp))
		cl, err := list(fsys, cpDir)
		if err != nil {
			return nil, err
		}
		if err := r.add(cpDir, kindCheckpoint, cl.segments); err != nil {
			return nil, err
		}
		r.inCheckpoint, r.checkpoint = true, cpDir
	}
	segments := l.segments[:0]
	for _, n := range l.segments {
		if n >= max(from, opts.After.Segment()) && (opts.Before == 0 || n < opts.Before) {
			segments = append(segments, n)
		}
	}
	if err := r.add(dir, kindLog, segments); err != nil {
		return nil, err
	}
	if len(segments) > 0 {
		r.sources[len(r.sources)-1].last = true
		if from > 0 && r.inCheckpoint && segments[0] != from {
			r.damage(Damage{File: filepath.Join(dir, segmentName(from)), Reason: "segment is missing after the checkpoint"})
		}
	}
	return r, nil
}

// add notes segments for reading, and reports those that are missing between them.
func (r *Reader) add(dir string, kind byte, segments []uint64) error {
	for i, n := range segments {
		name := filepath.Join(dir, segmentName(n))
		if i > 0 && n != segments[i-1]+1 {
			r.damage(Damage{
				File:   filepath.Join(dir, segmentName(segments[i-1]+1)),
				Reason: fmt.Sprintf("segments are missing: %d is followed by %d", segments[i-1], n),
			})
		}
		info, err := r.fs.Stat(name)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		r.sources = append(r.sources, source{name: name, kind: kind, number: n, size: info.Size})
		r.total += info.Size
	}
	return nil
}

func (r *Reader) damage(d Damage) {
	r.damages++
	r.opts.Metrics.corruptions.Inc()
	r.opts.OnDamage(d)
}

// Damages is the number of damages met so far.
func (r *Reader) Damages() int { return r.damages }

// Progress is how many bytes were read, and how many there are.
func (r *Reader) Progress() (done, total int64) {
	done = r.read
	if r.current != nil {
		done += r.current.off
	}
	return done, r.total
}

// Next goes to the next record and says whether there is one.
func (r *Reader) Next() bool {
	for {
		if r.current == nil && !r.openNext() {
			return false
		}
		if r.current.next(&r.rec) {
			if r.opts.After > 0 && r.rec.Sequence <= r.opts.After {
				continue
			}
			if r.current.kind == kindCheckpoint {
				r.rec.Sequence = 0
				r.sawEnd = r.sawEnd || r.rec.Type == TypeCheckpointEnd
			}
			return true
		}
		r.closeCurrent()
	}
}

// Record is the record that Next went to.
func (r *Reader) Record() *Record { return &r.rec }

// openNext opens the next source.
func (r *Reader) openNext() bool {
	if r.inCheckpoint && (len(r.sources) == 0 || r.sources[0].kind != kindCheckpoint) {
		r.inCheckpoint = false
		if !r.sawEnd {
			r.damage(Damage{File: r.checkpoint, Reason: "checkpoint has no end record: part of it is missing"})
		}
	}
	for len(r.sources) > 0 {
		src := r.sources[0]
		r.sources = r.sources[1:]
		f, err := r.fs.Open(src.name)
		if err == nil {
			r.current = &segmentReader{source: src, file: f, report: r.damage}
			return true
		}
		r.read += src.size
		r.damage(Damage{File: src.name, Length: src.size, Reason: err.Error()})
	}
	return false
}

func (r *Reader) closeCurrent() {
	c := r.current
	r.current = nil
	r.read += c.size
	if err := c.file.Close(); err != nil {
		r.damage(Damage{File: c.name, Offset: c.size, Reason: err.Error()})
	}
	if c.tailAt >= 0 && r.opts.CutTail {
		if err := r.cutTail(c.name, c.tailAt); err != nil {
			r.damage(Damage{File: c.name, Offset: c.tailAt, Reason: fmt.Sprintf("cut torn tail: %v", err)})
		}
	}
}

func (r *Reader) cutTail(name string, size int64) error {
	f, err := r.fs.OpenAppend(name)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Close ends the reading early, or after Next returned false.
func (r *Reader) Close() error {
	if r.current == nil {
		return nil
	}
	err := r.current.file.Close()
	r.current, r.sources = nil, nil
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// isEnd says whether an error is the end of a file.
func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
