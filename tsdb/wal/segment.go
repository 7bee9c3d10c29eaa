package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// Constants of the segment header; they never change.
const (
	segmentMagic      = "GWAL"
	segmentVersion    = 1
	segmentHeader     = 36
	segmentSuffix     = ".wal"
	checkpointPrefix  = "checkpoint."
	kindLog           = 0
	kindCheckpoint    = 1
	numberDigits      = 8
	firstSegment      = 1
	maxSegmentNumber  = 1<<(64-sequenceShift) - 1
	defaultSegmentLen = 128 << 20
)

// Origin names the node that wrote a log, so that another node can tell whose sequence
// numbers it has.
type Origin [16]byte

// segmentName is the file name of a segment.
func segmentName(number uint64) string {
	return fmt.Sprintf("%0*d%s", numberDigits, number, segmentSuffix)
}

func checkpointName(number uint64) string {
	return fmt.Sprintf("%s%0*d", checkpointPrefix, numberDigits, number)
}

// parseNumber reads the number between prefix and suffix; names that are not canonical (and
// temporary ones) are none of ours.
func parseNumber(name, prefix, suffix string) (uint64, bool) {
	s, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if s, ok = strings.CutSuffix(s, suffix); !ok || len(s) < numberDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= maxSegmentNumber
}

// appendSegmentHeader appends the header of a segment.
func appendSegmentHeader(dst []byte, kind byte, number uint64, origin Origin) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = append(dst, segmentVersion, kind, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = append(dst, origin[:]...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// checkSegmentHeader says what is wrong with a header; the empty string is nothing. unreadable
// is true if the records after it cannot be understood.
func checkSegmentHeader(h []byte, kind byte, number uint64) (reason string, unreadable bool) {
	want := binary.LittleEndian.Uint32(h[segmentHeader-4:])
	switch got := crc32.Checksum(h[:segmentHeader-4], castagnoli); {
	case !bytes.HasPrefix(h, []byte(segmentMagic)):
		return fmt.Sprintf("segment header: magic %q, want %q", h[:4], segmentMagic), false
	case got != want:
		return fmt.Sprintf("segment header: checksum %#08x, want %#08x", got, want), false
	case h[4] != segmentVersion:
		return fmt.Sprintf("segment header: version %d, this program reads %d", h[4], segmentVersion), true
	case h[5] != kind:
		return fmt.Sprintf("segment header: kind %d, want %d", h[5], kind), false
	case binary.LittleEndian.Uint64(h[8:]) != number:
		return fmt.Sprintf("segment header: number %d, want %d", binary.LittleEndian.Uint64(h[8:]), number), false
	}
	return "", false
}

// listing is what a directory of segments holds.
type listing struct {
	segments    []uint64 // Ascending.
	checkpoints []uint64 // Ascending.
	temporary   []string // Names of unfinished checkpoints.
}

// list reads a directory of segments; a missing one is empty.
func list(fsys vfs.FS, dir string) (l listing, err error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("list log: %w", err)
	}
	for _, e := range entries {
		if n, ok := parseNumber(e.Name, "", segmentSuffix); ok && !e.IsDir {
			l.segments = append(l.segments, n)
		} else if n, ok := parseNumber(e.Name, checkpointPrefix, ""); ok && e.IsDir {
			l.checkpoints = append(l.checkpoints, n)
		} else if strings.HasPrefix(e.Name, checkpointPrefix) && strings.HasSuffix(e.Name, vfs.TemporarySuffix) {
			l.temporary = append(l.temporary, e.Name)
		}
	}
	return l, nil
}

// latestCheckpoint is the number of the newest checkpoint; ok is false if there is none.
func (l *listing) latestCheckpoint() (number uint64, ok bool) {
	if len(l.checkpoints) == 0 {
		return 0, false
	}
	return l.checkpoints[len(l.checkpoints)-1], true
}

// nextSegment is a number that no segment has had since the newest checkpoint.
func (l *listing) nextSegment() uint64 {
	next := uint64(firstSegment)
	if len(l.segments) > 0 {
		next = l.segments[len(l.segments)-1] + 1
	}
	if cp, ok := l.latestCheckpoint(); ok {
		next = max(next, cp)
	}
	return next
}

// segment is the file that is being written.
type segment struct {
	// file is nil as long as the first segment could not be created because the disk is
	// full. The leader of a group commit sets it.
	file   vfs.File
	number uint64
	// records belongs to the leader of a group commit.
	records int
	// size is the end of the last record; the leader's to change.
	size atomic.Int64
	// rotateAt is the size from which on the segment should be replaced.
	rotateAt atomic.Int64
}

// name is the file's name, for messages.
func (s *segment) name() string { return segmentName(s.number) }

// createSegment makes the file of a segment with nothing but its header, durable if sync is set.
func createSegment(fsys vfs.FS, dir string, kind byte, number uint64, origin Origin, sync bool) (vfs.File, error) {
	name := filepath.Join(dir, segmentName(number))
	f, err := fsys.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	_, err = f.Write(appendSegmentHeader(nil, kind, number, origin))
	if err == nil && sync {
		err = f.Sync()
	}
	if err == nil && sync {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("create segment %s: %w", name, errors.Join(err, f.Close(), fsys.Remove(name)))
	}
	return f, nil
}
