package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// heapProfileBytes is the distance of the samples of a heap profile: finer than usual, since the
// memory per series is what one wants to see.
const heapProfileBytes = 64 << 10

// measureProfiled is measure, with a CPU profile of the work if a file is named.
func measureProfiled(file string, work func() error) (cost, error) {
	if file == "" {
		return measure(work)
	}
	f, err := os.Create(file + ".cpu")
	if err != nil {
		return cost{}, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return cost{}, errors.Join(err, f.Close())
	}
	c, err := measure(work)
	pprof.StopCPUProfile()
	return c, errors.Join(err, f.Close())
}

// writeHeapProfile writes what the heap holds, if a file is named.
func writeHeapProfile(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Create(file + ".heap")
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}
