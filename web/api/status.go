package api

import "time"

// BuildInfo says how the binary was built.
type BuildInfo struct {
	Version, Revision, Branch, BuildUser, BuildDate, GoVersion string
}

// RuntimeInfo says how the process is doing.
type RuntimeInfo struct {
	StartTime  time.Time
	CWD        string
	Hostname   string
	ServerTime time.Time
	// ReloadConfigSuccess is whether the last attempt to load the configuration
	// went well, LastConfigTime when it last did.
	ReloadConfigSuccess bool
	LastConfigTime      time.Time
	// CorruptionCount counts the damaged records of the write-ahead log.
	CorruptionCount int64
	GoroutineCount  int
	GOMAXPROCS      int
	GOMEMLIMIT      int64
	GOGC, GODEBUG   string
	// StorageRetention is such as "15d or 10GiB".
	StorageRetention string
}
