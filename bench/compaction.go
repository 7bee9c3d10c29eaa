package main

import (
	"fmt"
	"time"
)

// cut writes the samples in memory as three blocks.
//
//	cut_ns  processor time per sample
func cut(j job, e engine) (values, bool, error) {
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	c, err := measureProfiled(j.Profile, func() error { return e.cut(j.Start, j.end()) })
	if err != nil {
		return nil, false, err
	}
	if err := e.close(); err != nil {
		return nil, false, err
	}
	return values{"cut_ns": float64(c.cpu) / float64(j.Samples)}, false, nil
}

// end is the end of the block range that the last row lies in.
func (j job) end() int64 {
	last, length := j.Start+int64(j.Rows)*interval, cutRange.Milliseconds()
	return j.Start + (last-j.Start+length-1)/length*length
}

// join makes one block of what cut made, and looks at the files.
//
//	join_ns    processor time per sample
//	join_peak  greatest memory above that at the start, bytes
//	disk       bytes of values and timestamps per sample
//	index      bytes per series of what finds them
func join(j job, e engine) (values, bool, error) {
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	var c cost
	extra, err := peak(func() (err error) {
		c, err = measureProfiled(j.Profile, func() error { return e.join(j.Start, j.end()) })
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if n, ok := e.stored(); ok && n != j.Samples {
		return nil, false, fmt.Errorf("the block has %d samples, %d were appended", n, j.Samples)
	}
	if err := e.close(); err != nil {
		return nil, false, err
	}
	u, err := e.usage(j.Dir)
	if err != nil {
		return nil, false, err
	}
	return values{
		"join_ns": float64(c.cpu) / float64(j.Samples), "join_peak": float64(extra),
		"disk":  float64(u.samples) / float64(j.Samples),
		"index": float64(u.index) / float64(j.Series),
	}, false, nil
}

// dayStart is the beginning of the day in UTC, milliseconds: recent enough for an engine that
// refuses what is old, and two hours of rows are in one day.
func dayStart(now time.Time) int64 { return now.UTC().Truncate(24 * time.Hour).UnixMilli() }
