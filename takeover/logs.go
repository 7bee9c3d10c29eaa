package takeover

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// promPage is the length of a page of a log of Prometheus. A record lies within
// a segment and may begin at the start of a page, or be continued there.
const promPage = 32 << 10

// A record is one fragment, or several in pages that follow each other: a byte
// with the kind in its low bits, two bytes length, four bytes checksum, data.
const (
	fragmentHeader = 7
	fragmentKind   = 7
	fragmentFull   = 1
	fragmentFirst  = 2
	fragmentMiddle = 3
	fragmentLast   = 4
)

// logDamage is a place in a log of Prometheus that could not be read.
type logDamage struct {
	file   string
	offset int64
	err    error
	// torn says that it is the end of the last segment, as a crash leaves it.
	torn bool
	// redundant says that what was lost is in the logs as well.
	redundant bool
}

func (d *logDamage) Error() string {
	what := "damaged"
	switch {
	case d.torn:
		what = "ends in the middle of a record, as after a crash"
	case d.redundant:
		what = "damaged, the logs have what it had"
	}
	return fmt.Sprintf("%s: offset %d: %s: %v", d.file, d.offset, what, d.err)
}

// promLogs are the logs of a folder: the segments, in the order in which they
// are to be read.
type promLogs struct {
	segments []promSegment
	// damages are what was found in listing.
	damages []*logDamage
	// reading is told how many segments were read, of how many.
	reading func(done, of int)
}

// promSegment is a segment of a log.
type promSegment struct {
	file string
	// outOfOrder says that it is of the log of out-of-order samples.
	outOfOrder bool
	// last says that it is the last one of its log.
	last bool
}

// listLogs lists the newest checkpoint, the segments behind it, and those of the
// log of out-of-order samples.
func listLogs(dir string) (*promLogs, error) {
	l := &promLogs{reading: func(int, int) {}}
	wal := filepath.Join(dir, promWAL)
	from := -1
	checkpoint, n, err := wlog.LastCheckpoint(wal)
	if err == nil {
		from = n
		if err := l.add(checkpoint, -1, false); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrNotFound) {
		return nil, fmt.Errorf("look for a checkpoint in %s: %w", wal, err)
	}
	if err := l.add(wal, from, false); err != nil {
		return nil, err
	}
	return l, l.add(filepath.Join(dir, promWBL), -1, true)
}

// add lists the segments of a log behind one of them.
func (l *promLogs) add(dir string, behind int, outOfOrder bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list log: %w", err)
	}
	var numbers []int
	names := map[int]string{}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && !e.IsDir() && n > behind {
			numbers = append(numbers, n)
			names[n] = e.Name()
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			l.damages = append(l.damages, &logDamage{
				file: filepath.Join(dir, names[n]),
				err:  fmt.Errorf("segments are missing: %d is followed by %d", numbers[i-1], n),
			})
		}
		l.segments = append(l.segments, promSegment{
			file: filepath.Join(dir, names[n]), outOfOrder: outOfOrder, last: i == len(numbers)-1,
		})
	}
	return nil
}

// read hands every whole record to each, and every damage to damaged. Reading
// goes on behind a damage. The record is valid until each returns.
func (l *promLogs) read(ctx context.Context, each func(s *promSegment, rec []byte) error, damaged func(*logDamage)) error {
	for _, d := range l.damages {
		damaged(d)
	}
	for i := range l.segments {
		l.reading(i, len(l.segments))
		if err := l.segments[i].read(ctx, each, damaged); err != nil {
			return err
		}
	}
	return nil
}

func (s *promSegment) read(ctx context.Context, each func(s *promSegment, rec []byte) error, damaged func(*logDamage)) (err error) {
	f, err := os.Open(s.file)
	if err != nil {
		damaged(&logDamage{file: s.file, err: err})
		return nil
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	return s.scan(ctx, f, info.Size(), each, damaged)
}

// scan reads the content of the segment.
func (s *promSegment) scan(ctx context.Context, f io.ReaderAt, size int64, each func(s *promSegment, rec []byte) error, damaged func(*logDamage)) error {
	// held is the last damage until it is known whether anything follows it.
	var held *logDamage
	for off := int64(0); off < size; {
		page := off - off%promPage
		r := wlog.NewReader(fromWithin(f, off, size))
		records := 0
		for r.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if records++; records == 1 && off > page {
				continue // what fromWithin put before
			}
			if held != nil {
				damaged(held)
				held = nil
			}
			if err := each(s, r.Record()); err != nil {
				return err
			}
		}
		if r.Err() == nil {
			break
		}
		end := page + r.Offset()
		if held == nil {
			held = &logDamage{file: s.file, offset: end, err: reason(r.Err())}
		}
		if off > page && records < 2 { // behind a damage there was no record
			end = page + promPage
		}
		off = recordAt(f, max(end, off+1), size)
	}
	if held != nil {
		held.torn = s.last
		damaged(held)
	}
	return nil
}

// fromWithin returns a reader of a segment from off on. A reader of a log counts
// in pages from where it begins: if off is within a page, what comes before it
// there is made up as a record.
func fromWithin(f io.ReaderAt, off, size int64) io.Reader {
	rest := bufio.NewReaderSize(io.NewSectionReader(f, off, size-off), int(min(1<<20, size-off)))
	before := off % promPage
	if before == 0 {
		return rest
	}
	b := make([]byte, before)
	b[0] = fragmentFull
	binary.BigEndian.PutUint16(b[1:], uint16(before-fragmentHeader))
	binary.BigEndian.PutUint32(b[3:], crc32.Checksum(b[fragmentHeader:], castagnoli))
	return io.MultiReader(bytes.NewReader(b), rest)
}

// reason is the error without the offset, which counts from where reading began.
func reason(err error) error {
	var c *wlog.CorruptionErr
	if errors.As(err, &c) {
		return c.Err
	}
	return err
}

// recordAt returns where to look for the next record from off on: there, if that
// is within a page, otherwise behind the rest of a record that the page goes on
// with. It returns size if there is none.
func recordAt(f io.ReaderAt, off, size int64) int64 {
	for off < size {
		if within := off % promPage; within >= fragmentHeader {
			return off
		} else if within > 0 {
			off += promPage - within // too short for fromWithin
			continue
		}
		var head [fragmentHeader]byte
		if _, err := f.ReadAt(head[:], off); err != nil {
			return size
		}
		switch head[0] & fragmentKind {
		case fragmentFull, fragmentFirst:
			return off
		case fragmentMiddle, fragmentLast:
			next := off + fragmentHeader + int64(binary.BigEndian.Uint16(head[1:]))
			off = min(next, off+promPage)
		default:
			off += promPage
		}
	}
	return size
}
