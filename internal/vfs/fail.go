package vfs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrInjected is what a Fail returns when its Rule names no error.
var ErrInjected = errors.New("injected failure")

// Op is a kind of operation that Fail can let fail. Kinds can be joined with |.
type Op uint32

// The kinds of operations.
const (
	OpCreate   Op = 1 << iota // FS.Create, and FS.OpenAppend.
	OpOpen                    // FS.Open and FS.Map.
	OpRead                    // File.ReadAt.
	OpWrite                   // File.Write.
	OpSync                    // File.Sync.
	OpTruncate                // File.Truncate.
	OpClose                   // File.Close; the file is closed all the same.
	OpReadDir                 // FS.ReadDir.
	OpMkdir                   // FS.MkdirAll.
	OpRename                  // FS.Rename.
	OpLink                    // FS.Link.
	OpRemove                  // FS.Remove and FS.RemoveAll.
	OpStat                    // FS.Stat, FS.DiskSize, FS.DiskFree and File.Size.
	OpSyncDir                 // FS.SyncDir.
	OpLock                    // FS.Lock.

	// OpMutating are the operations that change the disk.
	OpMutating = OpCreate | OpWrite | OpSync | OpTruncate | OpMkdir | OpRename | OpLink | OpRemove | OpSyncDir
	// OpAll is every operation.
	OpAll = OpLock<<1 - 1
)

// Rule says which operation fails, and how.
type Rule struct {
	// Kinds are the operations that count; zero means OpAll.
	Kinds Op
	// Contains, if not empty, is a part that a name must have for the operation to count.
	Contains string
	// N is the number of the first operation that fails, counted from 1 since Arm; 0 means 1.
	N int
	// Sticky lets all later operations that count fail as well, like a disk that is full or gone.
	Sticky bool
	// TearBytes is how many bytes a failing Write writes nevertheless.
	TearBytes int
	// Err is the error to return, wrapped with operation and name; nil means ErrInjected.
	Err error
}

// Fail is a file system that fails on demand. A sweep arms N = 1, 2, 3, … and repeats a
// scenario until Fired says that it went through without meeting the failure.
type Fail struct {
	fs    FS
	count atomic.Int64
	fired atomic.Bool

	mu struct {
		sync.Mutex
		rule  Rule
		armed bool
		seen  int
	}
}

var _ FS = (*Fail)(nil)

// NewFail wraps a file system; without a rule every operation goes through.
func NewFail(fsys FS) *Fail { return &Fail{fs: fsys} }

// Arm sets the rule and starts counting anew.
func (f *Fail) Arm(r Rule) {
	if r.Kinds == 0 {
		r.Kinds = OpAll
	}
	r.N = max(r.N, 1)
	if r.Err == nil {
		r.Err = ErrInjected
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.rule, f.mu.armed, f.mu.seen = r, true, 0
	f.fired.Store(false)
}

// Disarm lets everything go through again. Fired keeps its answer.
func (f *Fail) Disarm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.armed = false
}

// Fired says whether an operation has failed since Arm.
func (f *Fail) Fired() bool { return f.fired.Load() }

// Count is the number of operations of any kind since the Fail was made.
func (f *Fail) Count() int64 { return f.count.Load() }

// check counts an operation and says whether it has to fail; tear is the number of bytes that
// a write lets through.
func (f *Fail) check(op Op, verb, name string) (tear int, err error) {
	f.count.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &f.mu.rule
	if !f.mu.armed || r.Kinds&op == 0 || !strings.Contains(name, r.Contains) {
		return 0, nil
	}
	f.mu.seen++
	if f.mu.seen < r.N || (f.mu.seen > r.N && !r.Sticky) {
		return 0, nil
	}
	f.fired.Store(true)
	return r.TearBytes, fmt.Errorf("%s %s: %w", verb, name, r.Err)
}

func (f *Fail) open(op Op, verb, name string, open func(string) (File, error)) (File, error) {
	if _, err := f.check(op, verb, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &failFile{File: file, fs: f}, nil
}

// Create implements FS.
func (f *Fail) Create(name string) (File, error) {
	return f.open(OpCreate, "create", name, f.fs.Create)
}

// Open implements FS.
func (f *Fail) Open(name string) (File, error) { return f.open(OpOpen, "open", name, f.fs.Open) }

// OpenAppend implements FS.
func (f *Fail) OpenAppend(name string) (File, error) {
	return f.open(OpCreate, "open", name, f.fs.OpenAppend)
}

// Map implements FS.
func (f *Fail) Map(name string) (Mapping, error) {
	if _, err := f.check(OpOpen, "map", name); err != nil {
		return nil, err
	}
	return f.fs.Map(name)
}

// ReadDir implements FS.
func (f *Fail) ReadDir(name string) ([]Entry, error) {
	if _, err := f.check(OpReadDir, "readdir", name); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(name)
}

// MkdirAll implements FS.
func (f *Fail) MkdirAll(name string) error {
	if _, err := f.check(OpMkdir, "mkdir", name); err != nil {
		return err
	}
	return f.fs.MkdirAll(name)
}

// Rename implements FS. A rule's Contains is held against the new name.
func (f *Fail) Rename(oldname, newname string) error {
	if _, err := f.check(OpRename, "rename", newname); err != nil {
		return err
	}
	return f.fs.Rename(oldname, newname)
}

// Link implements FS. A rule's Contains is held against the new name.
func (f *Fail) Link(oldname, newname string) error {
	if _, err := f.check(OpLink, "link", newname); err != nil {
		return err
	}
	return f.fs.Link(oldname, newname)
}

// Remove implements FS.
func (f *Fail) Remove(name string) error {
	if _, err := f.check(OpRemove, "remove", name); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

// RemoveAll implements FS.
func (f *Fail) RemoveAll(name string) error {
	if _, err := f.check(OpRemove, "remove", name); err != nil {
		return err
	}
	return f.fs.RemoveAll(name)
}

// Stat implements FS.
func (f *Fail) Stat(name string) (Info, error) {
	if _, err := f.check(OpStat, "stat", name); err != nil {
		return Info{}, err
	}
	return f.fs.Stat(name)
}

// DiskSize implements FS.
func (f *Fail) DiskSize(name string) (int64, error) {
	if _, err := f.check(OpStat, "statfs", name); err != nil {
		return 0, err
	}
	return f.fs.DiskSize(name)
}

// DiskFree implements FS.
func (f *Fail) DiskFree(name string) (int64, error) {
	if _, err := f.check(OpStat, "statfs", name); err != nil {
		return 0, err
	}
	return f.fs.DiskFree(name)
}

// SyncDir implements FS.
func (f *Fail) SyncDir(name string) error {
	if _, err := f.check(OpSyncDir, "sync", name); err != nil {
		return err
	}
	return f.fs.SyncDir(name)
}

// Lock implements FS.
func (f *Fail) Lock(name string) (io.Closer, error) {
	if _, err := f.check(OpLock, "lock", name); err != nil {
		return nil, err
	}
	return f.fs.Lock(name)
}

type failFile struct {
	File
	fs *Fail
}

func (f *failFile) Write(p []byte) (int, error) {
	tear, err := f.fs.check(OpWrite, "write", f.Name())
	if err == nil {
		return f.File.Write(p)
	}
	n, werr := f.File.Write(p[:min(tear, len(p))])
	return n, errors.Join(err, werr)
}

func (f *failFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.fs.check(OpRead, "read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *failFile) Sync() error {
	if _, err := f.fs.check(OpSync, "sync", f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *failFile) Truncate(size int64) error {
	if _, err := f.fs.check(OpTruncate, "truncate", f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *failFile) Close() error {
	_, err := f.fs.check(OpClose, "close", f.Name())
	return errors.Join(err, f.File.Close())
}

func (f *failFile) Size() (int64, error) {
	if _, err := f.fs.check(OpStat, "stat", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Size()
}
