package block

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// Names of the files of a block.
const (
	MetaFile       = "meta.json"
	IndexFile      = "index"
	DataFile       = "data"
	TombstonesFile = "tombstones"
)

// Version is the version of the format that this program writes. A block with another one
// is not opened.
const Version = 1

// Meta is the content of meta.json.
type Meta struct {
	// Version is the version of the format.
	Version int `json:"version"`
	// ULID is the block's name.
	ULID ulid.ULID `json:"ulid"`
	// MinTime and MaxTime are the time range in milliseconds, MinTime inclusive, MaxTime
	// exclusive, as Prometheus has it.
	MinTime int64 `json:"minTime"`
	MaxTime int64 `json:"maxTime"`
	// Stats count what is in the block.
	Stats Stats `json:"stats"`
	// Compaction says where it comes from.
	Compaction Compaction `json:"compaction"`
	// ResolutionMillis is 0 for samples as they came, otherwise the step of a rollup.
	ResolutionMillis int64 `json:"resolutionMillis,omitempty"`
	// Origins has, for each node whose log went into the block, the sequence number up to
	// which it did.
	Origins map[string]uint64 `json:"origins,omitempty"`
	// Files has the lengths of index and data.
	Files []File `json:"files"`
}

// Stats count what is in a block.
type Stats struct {
	// NumSamples counts samples, of a rollup buckets.
	NumSamples          uint64 `json:"numSamples"`
	NumFloatSamples     uint64 `json:"numFloatSamples"`
	NumHistogramSamples uint64 `json:"numHistogramSamples"`
	NumSeries           uint64 `json:"numSeries"`
	NumChunks           uint64 `json:"numChunks"`
	NumTimelines        uint64 `json:"numTimelines"`
	NumExemplars        uint64 `json:"numExemplars,omitempty"`
	// NumGroups is what the block's maker says; it is not stored otherwise.
	NumGroups uint64 `json:"numGroups,omitempty"`
	// NumTombstones is the number of deletions when the block was made; those that came
	// later are in the tombstones file.
	NumTombstones uint64 `json:"numTombstones,omitempty"`
}

// Compaction says where a block comes from.
type Compaction struct {
	// Level is 1 for a block that was written from the head, and one more than the greatest
	// level of its parents otherwise.
	Level int `json:"level"`
	// Sources are the ULIDs of the level 1 blocks whose samples are in it.
	Sources []ulid.ULID `json:"sources,omitempty"`
	// SourceRanges has the sources with their time ranges if they are not the block's.
	SourceRanges []Parent `json:"sourceRanges,omitempty"`
	// Parents are the blocks that it was made from.
	Parents []Parent `json:"parents,omitempty"`
	// Failed is set when compacting the block failed, so that it is left alone.
	Failed bool `json:"failed,omitempty"`
}

// Parent is a block that another was made from.
type Parent struct {
	ULID    ulid.ULID `json:"ulid"`
	MinTime int64     `json:"minTime"`
	MaxTime int64     `json:"maxTime"`
}

// Origin returns the blocks of level 1 whose samples are in the block, with their time
// ranges: when joined blocks get older, this still tells what came in late.
func (m *Meta) Origin() []Parent {
	if len(m.Compaction.SourceRanges) > 0 {
		return m.Compaction.SourceRanges
	}
	sources := m.Compaction.Sources
	if len(sources) == 0 {
		sources = []ulid.ULID{m.ULID}
	}
	out := make([]Parent, len(sources))
	for i, id := range sources {
		out[i] = Parent{ULID: id, MinTime: m.MinTime, MaxTime: m.MaxTime}
	}
	return out
}

// File is the length of a file.
type File struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// size is the length that a file should have.
func (m *Meta) size(name string) int64 {
	for _, f := range m.Files {
		if f.Name == name {
			return f.Bytes
		}
	}
	return -1
}

// checksumKey precedes the checksum, which is the last member of the object and covers all
// bytes before the key.
const checksumKey = `"checksum": "`

// encodeMeta is the content of meta.json.
func encodeMeta(m Meta) ([]byte, error) {
	data, err := json.MarshalIndent(struct {
		Meta
		Checksum string `json:"checksum"`
	}{Meta: m}, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", MetaFile, err)
	}
	at := bytes.LastIndex(data, []byte(checksumKey))
	sum := fmt.Sprintf("%08x", crc32.Checksum(data[:at], castagnoli))
	at += len(checksumKey)
	return append(slices.Insert(data, at, []byte(sum)...), '\n'), nil
}

// decodeMeta checks and decodes the content of meta.json.
func decodeMeta(data []byte, file string) (m Meta, err error) {
	at := bytes.LastIndex(data, []byte(checksumKey))
	if at < 0 {
		return m, part{file, 0}.corrupt("no checksum")
	}
	got := fmt.Sprintf("%08x", crc32.Checksum(data[:at], castagnoli))
	rest := string(data[at+len(checksumKey):])
	if want, _, _ := strings.Cut(rest, `"`); want != got || rest != want+"\"\n}\n" {
		return m, &CorruptionError{File: file, Reason: "checksum", Want: want, Got: got}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, part{file, 0}.corrupt("%v", err)
	}
	if m.Version != Version {
		return m, fmt.Errorf("%s: version %d, this program reads %d", file, m.Version, Version)
	}
	return m, nil
}

// ReadMeta reads the meta.json of the block in dir.
func ReadMeta(fsys vfs.FS, dir string) (Meta, error) {
	name := filepath.Join(dir, MetaFile)
	data, err := vfs.ReadFile(fsys, name)
	if err != nil {
		return Meta{}, fmt.Errorf("block meta: %w", err)
	}
	return decodeMeta(data, name)
}

// WriteMeta replaces the meta.json of the block in dir, in one step.
func WriteMeta(fsys vfs.FS, dir string, m Meta) error {
	data, err := encodeMeta(m)
	if err != nil {
		return err
	}
	if err := vfs.WriteFileAtomic(fsys, filepath.Join(dir, MetaFile), data); err != nil {
		return fmt.Errorf("block meta: %w", err)
	}
	return nil
}

// List returns the ULIDs of the blocks below parent, in ascending order. It does not look
// into them. A missing parent has none.
func List(fsys vfs.FS, parent string) ([]ulid.ULID, error) {
	entries, err := readDir(fsys, parent)
	if err != nil {
		return nil, fmt.Errorf("list blocks: %w", err)
	}
	var ids []ulid.ULID
	for _, e := range entries {
		if id, err := ulid.ParseStrict(e.Name); err == nil && e.IsDir {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, ulid.ULID.Compare)
	return ids, nil
}

// RemoveTemporary removes what unfinished writing and deleting of blocks left below parent.
func RemoveTemporary(fsys vfs.FS, parent string) error {
	entries, err := readDir(fsys, parent)
	if err != nil {
		return fmt.Errorf("remove temporary blocks: %w", err)
	}
	var errs []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name, vfs.TemporarySuffix)
		if _, err := ulid.ParseStrict(name); ok && err == nil && e.IsDir {
			errs = append(errs, fsys.RemoveAll(filepath.Join(parent, e.Name)))
		}
	}
	return errors.Join(errs...)
}

// Delete removes a block. It is gone, or there as a whole, after a crash at any moment.
// Readers that have it open stay valid on systems that keep files which are open.
func Delete(fsys vfs.FS, parent string, id ulid.ULID) error {
	dir := filepath.Join(parent, id.String())
	if err := fsys.RemoveAll(dir + vfs.TemporarySuffix); err != nil {
		return fmt.Errorf("delete block: %w", err)
	}
	if err := vfs.RenameSync(fsys, dir, dir+vfs.TemporarySuffix); err != nil {
		return fmt.Errorf("delete block: %w", err)
	}
	if err := fsys.RemoveAll(dir + vfs.TemporarySuffix); err != nil {
		return fmt.Errorf("delete block: %w", err)
	}
	return nil
}
