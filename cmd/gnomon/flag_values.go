package main

import (
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"github.com/gnomonhq/gnomon/tsdb"
)

// durationValue is a flag value in Prometheus's units: y, w, d, h, m, s, ms.
type durationValue time.Duration

// duration makes a flag a durationValue that is stored in to.
func duration(flag *kingpin.FlagClause, to *time.Duration) {
	flag.SetValue((*durationValue)(to))
}

// Set implements kingpin.Value.
func (v *durationValue) Set(s string) error {
	d, err := model.ParseDuration(s)
	*v = durationValue(d)
	return err
}

// String implements kingpin.Value.
func (v *durationValue) String() string { return model.Duration(*v).String() }

// walSyncValue is the value of --storage.tsdb.wal-sync.
type walSyncValue tsdb.WALSync

// Set implements kingpin.Value.
func (v *walSyncValue) Set(s string) error {
	w, err := tsdb.ParseWALSync(s)
	*v = walSyncValue(w)
	return err
}

// String implements kingpin.Value.
func (v *walSyncValue) String() string { return tsdb.WALSync(*v).String() }
