package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

var errReadOnly = errors.New("opened for reading only")

// Mem is a file system in memory for tests. It keeps, beside the current state, the state
// that is known to be durable: what File.Sync and FS.SyncDir have covered. It is strict: a
// file whose directory was not synced is gone after a crash, synced or not.
//
// The root directories "." and "/" exist and are one.
type Mem struct {
	mu struct {
		sync.Mutex
		root  *memNode
		locks map[string]bool
		// diskSize is what DiskSize answers; 0 means that it is not supported.
		diskSize int64
		// diskFree is the same for DiskFree.
		diskFree int64
	}
}

// memNode is a file or a directory; guarded by Mem.mu of the Mem that owns it.
type memNode struct {
	dir      bool
	modified time.Time

	// Of a directory: its entries, and those that are durable.
	entries, syncedEntries map[string]*memNode

	// Of a file: its content, and what is durable. The two may share memory: bytes below
	// len(data) are never written again, because Truncate clips the capacity.
	data, syncedData []byte
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty file system.
func NewMem() *Mem {
	m := &Mem{}
	m.mu.root = newMemDir()
	m.mu.locks = map[string]bool{}
	return m
}

func newMemDir() *memNode {
	return &memNode{dir: true, entries: map[string]*memNode{}, modified: time.Now()}
}

// splitPath gives the elements of a name below the root.
func splitPath(name string) []string {
	name = strings.Trim(filepath.ToSlash(filepath.Clean(name)), "/")
	if name == "." || name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

func (m *Mem) findLocked(op, name string) (*memNode, error) {
	n := m.mu.root
	for _, elem := range splitPath(name) {
		next := n.entries[elem] // A file has no entries: not found.
		if next == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = next
	}
	return n, nil
}

// parentLocked finds the directory that holds (or is to hold) name, and the last element.
func (m *Mem) parentLocked(op, name string) (*memNode, string, error) {
	elems := splitPath(name)
	if len(elems) == 0 {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	dir, err := m.findLocked(op, strings.Join(elems[:len(elems)-1], "/"))
	if err != nil || !dir.dir {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return dir, elems[len(elems)-1], nil
}

func (m *Mem) open(op, name string, create, truncate, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked(op, name)
	if err != nil {
		return nil, err
	}
	n := dir.entries[base]
	switch {
	case n == nil && !create:
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	case n == nil:
		n = &memNode{modified: time.Now()}
		dir.entries[base] = n
	case n.dir:
		return nil, &fs.PathError{Op: op, Path: name, Err: errors.New("is a directory")}
	case truncate:
		n.data, n.modified = nil, time.Now()
	}
	return &memFile{fs: m, node: n, name: name, write: write}, nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) { return m.open("create", name, true, true, true) }

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open("open", name, false, false, false) }

// OpenAppend implements FS.
func (m *Mem) OpenAppend(name string) (File, error) {
	return m.open("open", name, true, false, true)
}

// Map implements FS with a copy, so that a test which damages a file does not change what is
// mapped already.
func (m *Mem) Map(name string) (Mapping, error) {
	data, err := ReadFile(m, name)
	return memMapping(data), err
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	out := make([]Entry, 0, len(n.entries))
	for _, base := range slices.Sorted(maps.Keys(n.entries)) {
		out = append(out, Entry{Name: base, IsDir: n.entries[base].dir})
	}
	return out, nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.mu.root
	for _, elem := range splitPath(name) {
		next := n.entries[elem]
		if next == nil {
			next = newMemDir()
			n.entries[elem] = next
		}
		if !next.dir {
			return &fs.PathError{Op: "mkdir", Path: name, Err: errors.New("not a directory")}
		}
		n = next
	}
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, fromBase, err := m.parentLocked("rename", oldname)
	if err != nil {
		return err
	}
	n := from.entries[fromBase]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldname, Err: fs.ErrNotExist}
	}
	to, toBase, err := m.parentLocked("rename", newname)
	if err != nil {
		return err
	}
	if old := to.entries[toBase]; old != nil && old != n && (old.dir || n.dir) {
		return &fs.PathError{Op: "rename", Path: newname, Err: fs.ErrExist}
	}
	delete(from.entries, fromBase)
	to.entries[toBase] = n
	return nil
}

// Link implements FS.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("link", oldname)
	if err != nil {
		return err
	}
	to, base, err := m.parentLocked("link", newname)
	if err != nil {
		return err
	}
	if n.dir || to.entries[base] != nil {
		return &fs.PathError{Op: "link", Path: newname, Err: fs.ErrExist}
	}
	to.entries[base] = n
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	n := dir.entries[base]
	switch {
	case n == nil:
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	case len(n.entries) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: errors.New("directory not empty")}
	}
	delete(dir.entries, base)
	return nil
}

// RemoveAll implements FS.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	delete(dir.entries, base)
	return nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("stat", name)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: int64(len(n.data)), IsDir: n.dir, ModTime: n.modified}, nil
}

// DiskSize implements FS.
func (m *Mem) DiskSize(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.statfsLocked(name, m.mu.diskSize)
}

// DiskFree implements FS.
func (m *Mem) DiskFree(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.statfsLocked(name, m.mu.diskFree)
}

func (m *Mem) statfsLocked(name string, answer int64) (int64, error) {
	if _, err := m.findLocked("statfs", name); err != nil {
		return 0, err
	}
	if answer == 0 {
		return 0, &fs.PathError{Op: "statfs", Path: name, Err: errors.ErrUnsupported}
	}
	return answer, nil
}

// SetDiskFree sets the answer of DiskFree.
func (m *Mem) SetDiskFree(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.diskFree = bytes
}

// SetDiskSize sets the answer of DiskSize.
func (m *Mem) SetDiskSize(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.diskSize = bytes
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("sync", name)
	if err != nil {
		return err
	}
	if !n.dir {
		return &fs.PathError{Op: "sync", Path: name, Err: errors.New("not a directory")}
	}
	n.syncedEntries = maps.Clone(n.entries)
	return nil
}

// Lock implements FS. A CrashClone holds no locks.
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.OpenAppend(name)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	key := strings.Join(splitPath(name), "/")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.locks[key] {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	m.mu.locks[key] = true
	return &memLock{fs: m, key: key}, nil
}

type memLock struct {
	fs  *Mem
	key string
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.mu.locks, l.key)
	return nil
}
