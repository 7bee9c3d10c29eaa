package web

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gnomonhq/gnomon/web/api"
)

// runtimeInfo returns the state of the process.
func (s *Server) runtimeInfo() (api.RuntimeInfo, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return api.RuntimeInfo{}, fmt.Errorf("error getting hostname: %w", err)
	}
	state := s.opts.RuntimeState()
	return api.RuntimeInfo{
		StartTime:           s.born,
		CWD:                 s.cwd,
		Hostname:            hostname,
		ServerTime:          s.opts.API.Now().UTC(),
		ReloadConfigSuccess: state.ReloadConfigSuccess,
		LastConfigTime:      state.LastConfigTime.UTC().Truncate(time.Second),
		CorruptionCount:     state.CorruptionCount,
		GoroutineCount:      runtime.NumGoroutine(),
		GOMAXPROCS:          runtime.GOMAXPROCS(0),
		GOMEMLIMIT:          debug.SetMemoryLimit(-1),
		GOGC:                os.Getenv("GOGC"),
		GODEBUG:             os.Getenv("GODEBUG"),
		StorageRetention:    state.StorageRetention,
	}, nil
}
