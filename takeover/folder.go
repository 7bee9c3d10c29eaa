package takeover

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	promtsdb "github.com/prometheus/prometheus/tsdb"
)

// Names in the folder of a Prometheus.
const (
	promWAL      = "wal"
	promWBL      = "wbl"
	promHead     = "chunks_head"
	promLock     = "lock"
	promMetaFile = "meta.json"
)

// ErrInUse says that a Prometheus has the folder open.
var ErrInUse = errors.New("a Prometheus has the folder open")

// errLocked is what lockShared returns if somebody has an exclusive lock.
var errLocked = errors.New("locked by another process")

// folder is the data folder of a Prometheus.
type folder struct {
	dir string
	// blocks are those whose meta.json could be read, the newest first: what
	// users look at is there soon.
	blocks []promtsdb.BlockMeta
	// damaged are the others.
	damaged []damagedBlock
	// logs says that there is a write-ahead log.
	logs bool
	held io.Closer
}

// damagedBlock is a block that cannot be imported.
type damagedBlock struct {
	name string
	err  error
}

// openFolder looks at a folder and locks it, unless only its blocks are wanted:
// they can be read while a Prometheus is running.
func openFolder(dir string, blocksOnly bool) (*folder, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of Prometheus: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	f := &folder{dir: dir}
	if !blocksOnly {
		if f.held, err = lockShared(filepath.Join(dir, promLock)); errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%s: %w: stop it, or import its blocks only, or a snapshot or copy of the folder", dir, ErrInUse)
		} else if err != nil {
			return nil, fmt.Errorf("lock folder of Prometheus: %w", err)
		}
	}
	if err := f.scan(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	if !f.logs && len(f.blocks)+len(f.damaged) == 0 {
		return nil, errors.Join(fmt.Errorf("%s is not a data folder of Prometheus: it has neither blocks nor a log", dir), f.close())
	}
	return f, nil
}

func (f *folder) close() error {
	if f.held == nil {
		return nil
	}
	return f.held.Close()
}

// scan lists the blocks and looks for logs.
func (f *folder) scan() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("folder of Prometheus: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if e.Name() == promWAL {
			f.logs = true
		}
		if _, err := ulid.ParseStrict(e.Name()); err != nil {
			continue
		}
		meta, err := readPromMeta(filepath.Join(f.dir, e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// A block that a running Prometheus has just deleted.
		case err != nil:
			f.damaged = append(f.damaged, damagedBlock{e.Name(), err})
		default:
			f.blocks = append(f.blocks, meta)
		}
	}
	slices.SortFunc(f.blocks, func(a, b promtsdb.BlockMeta) int {
		return cmp.Or(cmp.Compare(b.MinTime, a.MinTime), cmp.Compare(b.MaxTime, a.MaxTime), a.ULID.Compare(b.ULID))
	})
	f.putReplacedLast()
	return nil
}

// readPromMeta reads the meta.json of a block of Prometheus.
func readPromMeta(dir string) (promtsdb.BlockMeta, error) {
	var m promtsdb.BlockMeta
	data, err := os.ReadFile(filepath.Join(dir, promMetaFile))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	switch {
	case err != nil:
		return m, fmt.Errorf("%s of block %s: %w", promMetaFile, filepath.Base(dir), err)
	case m.Version != 1:
		return m, fmt.Errorf("%s of block %s: version %d is neither of Prometheus nor known: 1 is", promMetaFile, filepath.Base(dir), m.Version)
	case m.ULID.String() != filepath.Base(dir):
		return m, fmt.Errorf("%s of block %s: it says that it is of block %s", promMetaFile, filepath.Base(dir), m.ULID)
	}
	return m, nil
}

// putReplacedLast moves blocks that another one was made of, which a crash left
// behind, to the end: if the other one can be imported, nothing is left to do
// for them.
func (f *folder) putReplacedLast() {
	replaced := map[ulid.ULID]bool{}
	for _, m := range f.blocks {
		for _, p := range m.Compaction.Parents {
			replaced[p.ULID] = true
		}
	}
	slices.SortStableFunc(f.blocks, func(a, b promtsdb.BlockMeta) int {
		switch {
		case replaced[a.ULID] == replaced[b.ULID]:
			return 0
		case replaced[a.ULID]:
			return 1
		default:
			return -1
		}
	})
}

// logsFrom returns the time from which on the log has samples that are in no
// block. Blocks of out-of-order samples and of stale series say nothing about
// it.
func (f *folder) logsFrom() (t int64, bounded bool) {
	for _, m := range f.blocks {
		c := &m.Compaction
		if c.FromOutOfOrder() || c.FromStaleSeries() || c.FromSelectedSeries() {
			continue
		}
		if !bounded || m.MaxTime > t {
			t, bounded = m.MaxTime, true
		}
	}
	return t, bounded
}
