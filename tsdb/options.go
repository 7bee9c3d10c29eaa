package tsdb

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

// Defaults of Options.
const (
	// DefaultRetention is how long samples are kept.
	DefaultRetention = 15 * 24 * time.Hour
	// DefaultMinBlockDuration is the range of a block that is cut from the head.
	DefaultMinBlockDuration = 2 * time.Hour
	// DefaultMaxBlockDuration bounds the range of compacted blocks if retention
	// does not.
	DefaultMaxBlockDuration = 31 * 24 * time.Hour
	// DefaultMaxExemplars is how many exemplars are kept in memory.
	DefaultMaxExemplars = 100_000
	// DefaultMaxLabels, DefaultMaxLabelNameBytes and DefaultMaxLabelValueBytes
	// bound the labels of a series.
	DefaultMaxLabels          = 512
	DefaultMaxLabelNameBytes  = 4 << 10
	DefaultMaxLabelValueBytes = 64 << 10
	// DefaultWALSyncInterval is the time after which a logged sample survives a
	// loss of power.
	DefaultWALSyncInterval = time.Second
	// DefaultWALSegmentBytes is the size of a segment of the log.
	DefaultWALSegmentBytes = 128 << 20
	// DefaultReclaimShare and DefaultReclaimAge are those of Options.
	DefaultReclaimShare = 0.25
	DefaultReclaimAge   = 24 * time.Hour
	// DefaultWALCheckpointBytes is how much is logged, at least, between two
	// checkpoints that are not part of a cut.
	DefaultWALCheckpointBytes = 1 << 30
	// DefaultReservedBytes is how much of the disk samples do not use.
	DefaultReservedBytes = 256 << 20
	// DefaultMaintenanceInterval is how often blocks are cut, compacted, deleted
	// and looked for on disk.
	DefaultMaintenanceInterval = time.Minute
)

// Options configure a database. The zero value of each field is its documented
// default.
type Options struct {
	// Logger gets what happens in the background; nil is none.
	Logger *slog.Logger
	// Registerer gets the database's metrics; nil is none.
	Registerer prometheus.Registerer
	// FS holds the files; nil is the machine's.
	FS vfs.FS
	// Now is the clock; nil is time.Now. Samples are not compared with it: it
	// only says when it is time for maintenance.
	Now func() time.Time

	// Reloadable are the settings that ApplyConfig can change later.
	Reloadable

	// MinBlockDuration is the range of a block cut from the head; 0 is 2h.
	MinBlockDuration time.Duration
	// MaxBlockDuration bounds the range of compacted blocks; 0 is a tenth of
	// the retention, at most 31 days.
	MaxBlockDuration time.Duration
	// WALSync says when the log is forced to the disk; the zero value is every
	// second.
	WALSync WALSync
	// WALSegmentBytes is the size of a segment of the log; 0 is 128 MiB.
	WALSegmentBytes int64
	// WALUncompressed leaves out the compression of the log.
	WALUncompressed bool
	// WALCheckpointBytes bounds what is to be read at start: when so much was logged
	// since the last checkpoint, and twice its size, another one is taken, without
	// waiting for the head to be cut; 0 is 1 GiB.
	WALCheckpointBytes int64
	// ReservedBytes is how much of the disk has to be free for samples to be taken, at
	// most a twentieth of it: it is for what makes room. 0 is 256 MiB, negative is
	// none.
	ReservedBytes int64
	// ReclaimShare is the share of a block's samples that must be deleted for the
	// block to be written anew without them, ReclaimAge the time after the last
	// deletion from a block after which a hundredth is enough; 0 is a quarter,
	// and a day.
	ReclaimShare float64
	ReclaimAge   time.Duration
	// SeriesExemplars and BlockExemplars bound the exemplars of a series in a
	// block, and of a block; 0 is 500, and a million. What is too much is left out
	// evenly.
	SeriesExemplars, BlockExemplars int
	// MaintenanceInterval is how often blocks are cut, compacted, deleted and
	// looked for on disk; 0 is a minute, negative is never: call Maintain.
	MaintenanceInterval time.Duration
	// OnReplay is told the progress of reading the log, by one goroutine at a time;
	// nil is not.
	OnReplay func(ReplayStatus)
	// ReplayInBackground has Open return as soon as samples can be taken, in a
	// fraction of the time that it takes to read the log. What the log has
	// appears in queries as it is read; they carry a warning until all of it is
	// there. Samples that are not newer than the log's wait for that, as do
	// Delete, Maintain and Snapshot. See DB.WaitReplayed.
	ReplayInBackground bool
	// NoLockfile opens the folder without locking it against other processes.
	NoLockfile bool
}

// Reloadable are the settings that can change while the database is open.
type Reloadable struct {
	// Retention is how long samples are kept; 0 is 15 days, negative is for
	// ever.
	Retention time.Duration
	// RetentionBytes bounds the size of blocks and log; 0 is no bound.
	RetentionBytes int64
	// RetentionPercentage bounds the size of blocks and log to this share of the
	// disk, 0 to 100; 0 is no bound. It prevails over RetentionBytes where the
	// system tells how large the disk is.
	RetentionPercentage float64
	// RetentionRules say how long some series are kept instead. The first one
	// that matches a series counts.
	RetentionRules []RetentionRule
	// StaleSeriesThreshold is the share of the series in memory, above 0 and up to
	// 1, that must have ended for those to be written to a block and to leave memory
	// before the head is cut; 0 is never.
	StaleSeriesThreshold float64
	// OutOfOrderWindow admits samples that are up to this much older than the
	// newest one of the database; 0 admits none that is older than the newest
	// one of its series.
	OutOfOrderWindow time.Duration
	// MaxExemplars is how many exemplars are kept; 0 is 100,000, negative is
	// none.
	MaxExemplars int
	// MaxSeries bounds the series in memory, MaxSeriesPerJob those with the same
	// label job: when one is reached, new series are refused and those that
	// there are go on; 0 is no bound.
	MaxSeries, MaxSeriesPerJob int
	// MaxLabels, MaxLabelNameBytes and MaxLabelValueBytes bound the labels of a
	// new series and their strings; 0 is 512, 4 KiB and 64 KiB, negative is no
	// bound.
	MaxLabels, MaxLabelNameBytes, MaxLabelValueBytes int
	// Rollups are the resolutions that are made of samples and kept beside them;
	// none by default. Rollups of a resolution that is not listed any more are
	// read and kept until they are deleted by RetentionBytes or by hand.
	Rollups []Rollup
}

// RetentionRule says how long the series that match are kept.
type RetentionRule struct {
	Matchers []*labels.Matcher
	// Time is above 0.
	Time time.Duration
}

// WALSync says when the log is forced to the disk. The zero value means every
// second.
type WALSync struct {
	// Always forces each write before it is acknowledged.
	Always bool
	// Never leaves it to the operating system.
	Never bool
	// Interval is the greatest time between a write and the force, if neither
	// Always nor Never is set; 0 is a second.
	Interval time.Duration
}

// ParseWALSync reads "always", "never" or a duration such as 500ms or 1s.
func ParseWALSync(s string) (WALSync, error) {
	switch s {
	case "always":
		return WALSync{Always: true}, nil
	case "never":
		return WALSync{Never: true}, nil
	}
	d, err := model.ParseDuration(s)
	if err != nil || d <= 0 {
		return WALSync{}, fmt.Errorf("log sync %q is neither \"always\", \"never\" nor a positive duration", s)
	}
	return WALSync{Interval: time.Duration(d)}, nil
}

// String returns the form that ParseWALSync reads.
func (w WALSync) String() string {
	switch {
	case w.Always:
		return "always"
	case w.Never:
		return "never"
	case w.Interval == 0:
		return model.Duration(DefaultWALSyncInterval).String()
	default:
		return model.Duration(w.Interval).String()
	}
}

func (r Reloadable) withDefaults() Reloadable {
	if r.Retention == 0 {
		r.Retention = DefaultRetention
	}
	if r.MaxExemplars == 0 {
		r.MaxExemplars = DefaultMaxExemplars
	}
	if r.MaxLabels == 0 {
		r.MaxLabels = DefaultMaxLabels
	}
	if r.MaxLabelNameBytes == 0 {
		r.MaxLabelNameBytes = DefaultMaxLabelNameBytes
	}
	if r.MaxLabelValueBytes == 0 {
		r.MaxLabelValueBytes = DefaultMaxLabelValueBytes
	}
	return r
}

func (r Reloadable) validate() error {
	var errs []error
	if r.RetentionBytes < 0 {
		errs = append(errs, fmt.Errorf("retention size %d is negative", r.RetentionBytes))
	}
	if r.RetentionPercentage < 0 || r.RetentionPercentage > 100 {
		errs = append(errs, fmt.Errorf("retention percentage %v is not between 0 and 100", r.RetentionPercentage))
	}
	for i, rule := range r.RetentionRules {
		if rule.Time <= 0 || len(rule.Matchers) == 0 {
			errs = append(errs, fmt.Errorf("retention rule %d: the time must be above 0 and there must be a matcher", i))
		}
	}
	if r.StaleSeriesThreshold < 0 || r.StaleSeriesThreshold > 1 {
		errs = append(errs, fmt.Errorf("threshold of stale series %v is not between 0 and 1", r.StaleSeriesThreshold))
	}
	if r.OutOfOrderWindow < 0 {
		errs = append(errs, fmt.Errorf("out-of-order window %v is negative", r.OutOfOrderWindow))
	}
	if r.MaxSeries < 0 {
		errs = append(errs, fmt.Errorf("series limit %d is negative", r.MaxSeries))
	}
	if r.MaxSeriesPerJob < 0 {
		errs = append(errs, fmt.Errorf("series limit %d of a job is negative", r.MaxSeriesPerJob))
	}
	return errors.Join(append(errs, validateRollups(r.Rollups, r.Retention))...)
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Reloadable = o.Reloadable.withDefaults()
	if o.MinBlockDuration == 0 {
		o.MinBlockDuration = DefaultMinBlockDuration
	}
	if o.MaxBlockDuration == 0 {
		o.MaxBlockDuration = DefaultMaxBlockDuration
		if o.Retention > 0 {
			o.MaxBlockDuration = min(o.MaxBlockDuration, o.Retention/10)
		}
		o.MaxBlockDuration = max(o.MaxBlockDuration, o.MinBlockDuration)
	}
	if !o.WALSync.Always && !o.WALSync.Never && o.WALSync.Interval == 0 {
		o.WALSync.Interval = DefaultWALSyncInterval
	}
	if o.WALSegmentBytes == 0 {
		o.WALSegmentBytes = DefaultWALSegmentBytes
	}
	if o.ReclaimShare == 0 {
		o.ReclaimShare = DefaultReclaimShare
	}
	if o.ReclaimAge == 0 {
		o.ReclaimAge = DefaultReclaimAge
	}
	if o.WALCheckpointBytes == 0 {
		o.WALCheckpointBytes = DefaultWALCheckpointBytes
	}
	if o.ReservedBytes == 0 {
		o.ReservedBytes = DefaultReservedBytes
	}
	if o.MaintenanceInterval == 0 {
		o.MaintenanceInterval = DefaultMaintenanceInterval
	}
	return o
}

func (o Options) validate() error {
	errs := []error{o.Reloadable.validate()}
	if o.MinBlockDuration < time.Millisecond {
		errs = append(errs, fmt.Errorf("block duration %v is below a millisecond", o.MinBlockDuration))
	}
	if o.MaxBlockDuration < o.MinBlockDuration {
		errs = append(errs, fmt.Errorf("greatest block duration %v is below the smallest, %v", o.MaxBlockDuration, o.MinBlockDuration))
	}
	if o.WALSync.Always && o.WALSync.Never {
		errs = append(errs, errors.New("log sync is both always and never"))
	}
	if o.SeriesExemplars < 0 || o.BlockExemplars < 0 {
		errs = append(errs, fmt.Errorf("bounds of exemplars in blocks are negative: %d of a series, %d of a block", o.SeriesExemplars, o.BlockExemplars))
	}
	if o.ReclaimShare < 0 || o.ReclaimAge < 0 {
		errs = append(errs, fmt.Errorf("deletions are reclaimed from a share of %v or after %v, which must not be negative", o.ReclaimShare, o.ReclaimAge))
	}
	if o.WALSync.Interval < 0 {
		errs = append(errs, fmt.Errorf("log sync interval %v is negative", o.WALSync.Interval))
	}
	if o.WALSegmentBytes < 1<<16 {
		errs = append(errs, fmt.Errorf("log segment size %d is below 64 KiB", o.WALSegmentBytes))
	}
	if o.WALCheckpointBytes < 1<<16 {
		errs = append(errs, fmt.Errorf("size %d of the log between checkpoints is below 64 KiB", o.WALCheckpointBytes))
	}
	return errors.Join(errs...)
}
