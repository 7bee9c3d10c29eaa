package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/automaxprocs/maxprocs"
)

// tuneRuntime fits the Go runtime to the container or machine. What cannot be
// found out is left as it is and logged: the server runs without.
func tuneRuntime(f runtimeFlags, logger *slog.Logger) {
	if f.autoMaxProcs {
		printf := func(format string, args ...any) { logger.Debug(fmt.Sprintf(format, args...)) }
		if _, err := maxprocs.Set(maxprocs.Logger(printf)); err != nil {
			logger.Warn("GOMAXPROCS is left as it is", "err", err)
		}
	}
	if f.autoMemLimit {
		setMemLimit(f.memLimitRatio, logger)
	}
}

// refreshMemLimit sets the memory limit anew from time to time until ctx ends,
// if the flags ask for it.
func refreshMemLimit(ctx context.Context, f runtimeFlags, logger *slog.Logger) error {
	var tick <-chan time.Time
	if f.autoMemLimit && f.memLimitRefresh > 0 {
		ticker := time.NewTicker(f.memLimitRefresh)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			setMemLimit(f.memLimitRatio, logger)
		}
	}
}

func setMemLimit(ratio float64, logger *slog.Logger) {
	limit, err := memlimit.SetGoMemLimitWithOpts(
		memlimit.WithRatio(ratio),
		memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)),
	)
	if err != nil {
		logger.Warn("GOMEMLIMIT is left as it is", "err", err)
		return
	}
	logger.Debug("GOMEMLIMIT is set", "bytes", limit)
}
