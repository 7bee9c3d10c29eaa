package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// cpu is the processor time of this process so far, all threads, garbage collection included.
func cpu() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// cost is what a piece of work took.
type cost struct {
	cpu, wall time.Duration
	// allocs is the number of heap objects.
	allocs uint64
}

// measure runs work and says what it took.
func measure(work func() error) (cost, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, err := cpu()
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	if err := work(); err != nil {
		return cost{}, err
	}
	wall := time.Since(start)
	end, err := cpu()
	runtime.ReadMemStats(&after)
	return cost{cpu: end - begin, wall: wall, allocs: after.Mallocs - before.Mallocs}, err
}

// memory is what the process holds, bytes: heap is live Go objects, anon all memory that is not
// a file, as the kernel counts it.
type memory struct{ heap, anon int64 }

// liveMemory collects garbage, gives free memory back, and looks.
func liveMemory() (memory, error) {
	runtime.GC()
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	anon, err := anonBytes()
	return memory{heap: int64(s.HeapAlloc), anon: anon}, err
}

// anonBytes is the resident memory without file pages.
func anonBytes() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b)
	if len(f) < 3 {
		return 0, fmt.Errorf("/proc/self/statm is %q", b)
	}
	resident, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	shared, err := strconv.ParseInt(string(f[2]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return (resident - shared) * int64(os.Getpagesize()), nil
}

// peakEvery is how often memory is looked at while work runs.
const peakEvery = 5 * time.Millisecond

// peak runs work, and returns the greatest memory above that at the start.
func peak(work func() error) (int64, error) {
	start, err := liveMemory()
	if err != nil {
		return 0, err
	}
	done, greatest := make(chan struct{}), make(chan int64)
	go func() {
		top := start.anon
		ticker := time.NewTicker(peakEvery)
		defer ticker.Stop()
		for {
			if n, err := anonBytes(); err == nil {
				top = max(top, n)
			}
			select {
			case <-done:
				greatest <- top
				return
			case <-ticker.C:
			}
		}
	}()
	err = work()
	close(done)
	return <-greatest - start.anon, err
}

// files calls visit for each file below dir, with its path relative to it.
func files(dir string, visit func(path string, size int64)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		visit(filepath.ToSlash(rel), info.Size())
		return err
	})
}
