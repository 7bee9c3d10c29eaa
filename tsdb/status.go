package tsdb

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gnomonhq/gnomon/tsdb/head"
)

// Blocks describes the loaded blocks, ascending in time.
func (db *DB) Blocks() []BlockInfo {
	var out []BlockInfo
	for _, r := range db.blocks.readers() {
		m := r.Meta()
		out = append(out, BlockInfo{
			ULID: m.ULID, MinTime: m.MinTime, MaxTime: m.MaxTime,
			Samples: m.Stats.NumSamples, Series: m.Stats.NumSeries, Chunks: m.Stats.NumChunks,
			Level: m.Compaction.Level, Sources: m.Compaction.Sources, Bytes: r.Size(),
		})
	}
	return out
}

// Stats describes the head; each list has at most limit entries.
func (db *DB) Stats(limit int) (Stats, error) {
	s, err := db.head.Stats(limit)
	if err != nil {
		return Stats{}, err
	}
	return Stats{
		Head:           HeadStats{Series: s.Series, LabelPairs: s.LabelPairs, Chunks: s.Chunks, MinTime: s.MinTime, MaxTime: s.MaxTime},
		SeriesByMetric: stats(s.SeriesByMetric), ValuesByLabel: stats(s.ValuesByLabel),
		BytesByLabel: stats(s.BytesByLabel), SeriesByPair: stats(s.SeriesByPair),
	}, nil
}

func stats(list []head.Stat) []Stat {
	out := make([]Stat, len(list))
	for i, s := range list {
		out[i] = Stat(s)
	}
	return out
}

// segments returns the first and the last segment of the log on disk.
func (db *DB) segments() (first, last int) {
	entries, err := db.opts.FS.ReadDir(filepath.Join(db.dir, walDir))
	if err != nil {
		return 0, 0 // there is no log yet, or reading it will say what is wrong
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name, ".wal")); err == nil && !e.IsDir {
			if first == 0 {
				first = n
			}
			last = n
		}
	}
	return first, last
}

// reportReplay tells the progress of reading the log.
func (db *DB) reportReplay(s head.ReplayStatus, first, last int) {
	if db.opts.OnReplay == nil {
		return
	}
	current := first // the definitions of all of the log are read first, which is quick
	if s.Open {
		current = min(max(int(s.Segment), first), last)
	}
	db.opts.OnReplay(ReplayStatus{
		Min: first, Max: last, Current: current, Bytes: s.Done, TotalBytes: s.Total,
		Open: s.Open, Done: s.Ended, Duration: s.Elapsed,
	})
}
