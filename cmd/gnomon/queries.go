package main

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/promql"
)

// queryShare is the part of the memory that queries may have together.
const queryShare = 4

// memory returns what a query, and all of them together, may have in memory,
// bytes; 0 is no limit, if nobody knows how much there is.
func (f *queryFlags) memory() (perQuery, total int64) {
	total = int64(f.maxMemoryTotal)
	if total == 0 {
		total = availableMemory() / queryShare
	}
	if perQuery = int64(f.maxMemory); perQuery == 0 {
		perQuery = total / 2
	}
	return perQuery, total
}

// availableMemory returns GOMEMLIMIT, or the memory of the container or machine;
// 0 if that is not known.
func availableMemory() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	limit, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
	if err != nil || limit > math.MaxInt64 {
		return 0
	}
	return int64(limit)
}

// applyQueryLog opens the query log anew, so that one that was moved away is made
// again, or closes it.
func (s *server) applyQueryLog(c *config.Config) error {
	file := c.Prometheus.GlobalConfig.QueryLogFile
	if file == "" {
		s.engine.SetLog(nil)
		return nil
	}
	l, err := promql.OpenLog(file)
	if err != nil {
		return err
	}
	s.engine.SetLog(l)
	return nil
}
