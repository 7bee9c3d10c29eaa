package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
)

// TSDB knows the state of the local database. It is used by any number of
// goroutines.
type TSDB interface {
	// Stats returns what is in memory. The lists have the limit greatest
	// entries, in descending order.
	Stats(ctx context.Context, limit int) (TSDBStats, error)
	// Blocks returns the blocks in ascending order of their time.
	Blocks(ctx context.Context) ([]Block, error)
	// WALReplay returns how far the replay of the write-ahead log is. It is
	// called while the server is not ready.
	WALReplay() WALReplay
}

// TSDBAdmin changes the local database. It is used by any number of goroutines.
type TSDBAdmin interface {
	// Delete deletes the samples with mint <= t <= maxt, milliseconds, of the
	// series that match all of the matchers.
	Delete(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) error
	// CleanTombstones reclaims the space of what was deleted.
	CleanTombstones(ctx context.Context) error
	// Snapshot writes a copy of the database into the folder snapshots/name of
	// the data folder; what is in memory only if withHead is true.
	Snapshot(ctx context.Context, name string, withHead bool) error
}

// TSDBStats is the content of the head.
type TSDBStats struct {
	// NumSeries and NumLabelPairs count the series in memory and the different
	// pairs of label name and value among them.
	NumSeries     uint64
	NumLabelPairs int
	// ChunkCount counts the column chunks in memory.
	ChunkCount int64
	// MinTime and MaxTime are those of the samples in memory, milliseconds.
	MinTime, MaxTime int64

	SeriesByMetricName     []Cardinality
	ValuesByLabelName      []Cardinality
	BytesByLabelName       []Cardinality
	SeriesByLabelValuePair []Cardinality // named name=value
}

// Cardinality is the count of something that has a name.
type Cardinality struct {
	Name  string
	Value uint64
}

// Block describes a block as Prometheus's meta.json does.
type Block struct {
	ULID             string
	MinTime, MaxTime int64 // milliseconds
	Stats            BlockStats
	Compaction       BlockCompaction
	// Version is that of the block's format.
	Version int
}

// BlockStats counts what is in a block. Counts that are 0 are left out of the
// response.
type BlockStats struct {
	Samples, FloatSamples, HistogramSamples, Series, Chunks, Tombstones uint64
}

// BlockCompaction says how a block came to be.
type BlockCompaction struct {
	Level     int
	Sources   []string // ULIDs
	Deletable bool
	Parents   []BlockParent
	Failed    bool
	Hints     []string
}

// BlockParent is a block that another one was made of.
type BlockParent struct {
	ULID             string
	MinTime, MaxTime int64 // milliseconds
}

// WALReplay says how far the replay of the write-ahead log is: segments Min to
// Max are replayed, Current is at work.
type WALReplay struct {
	Min, Max, Current int
}

// maxTSDBLimit is the greatest length of the lists of /status/tsdb.
const maxTSDBLimit = 10000

// statusTSDB serves /status/tsdb.
func (a *API) statusTSDB(r *http.Request) (response, error) {
	if a.opts.TSDB == nil {
		return response{}, unavailable("database")
	}
	limit := 10
	if s := r.Form.Get("limit"); s != "" {
		var err error
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 {
			return response{}, badData(errors.New("limit must be a positive number"))
		}
		if limit > maxTSDBLimit {
			return response{}, badData(fmt.Errorf("limit must not exceed %d", maxTSDBLimit))
		}
	}
	stats, err := a.opts.TSDB.Stats(r.Context(), limit)
	if err != nil {
		return response{}, err
	}
	return response{data: func(e *encoder) { e.tsdbStats(&stats) }}, nil
}

func (e *encoder) tsdbStats(s *TSDBStats) {
	e.raw(`{"headStats":{"numSeries":`)
	e.unsigned(s.NumSeries)
	e.raw(`,"numLabelPairs":`)
	e.integer(int64(s.NumLabelPairs))
	e.raw(`,"chunkCount":`)
	e.integer(s.ChunkCount)
	e.raw(`,"minTime":`)
	e.integer(s.MinTime)
	e.raw(`,"maxTime":`)
	e.integer(s.MaxTime)
	e.raw(`},"seriesCountByMetricName":`)
	e.cardinalities(s.SeriesByMetricName)
	e.raw(`,"labelValueCountByLabelName":`)
	e.cardinalities(s.ValuesByLabelName)
	e.raw(`,"memoryInBytesByLabelName":`)
	e.cardinalities(s.BytesByLabelName)
	e.raw(`,"seriesCountByLabelValuePair":`)
	e.cardinalities(s.SeriesByLabelValuePair)
	e.rawByte('}')
}

func (e *encoder) cardinalities(list []Cardinality) {
	e.rawByte('[')
	for i, c := range list {
		e.comma(i)
		e.raw(`{"name":`)
		e.str(c.Name)
		e.raw(`,"value":`)
		e.unsigned(c.Value)
		e.rawByte('}')
		e.spill()
	}
	e.rawByte(']')
}

// statusTSDBBlocks serves /status/tsdb/blocks.
func (a *API) statusTSDBBlocks(r *http.Request) (response, error) {
	if a.opts.TSDB == nil {
		return response{}, unavailable("database")
	}
	blocks, err := a.opts.TSDB.Blocks(r.Context())
	if err != nil {
		return response{}, fmt.Errorf("error getting block metadata: %w", err)
	}
	return response{data: func(e *encoder) {
		e.raw(`{"blocks":[`)
		for i := range blocks {
			e.comma(i)
			e.block(&blocks[i])
			e.spill()
		}
		e.raw(`]}`)
	}}, nil
}

func (e *encoder) block(b *Block) {
	e.raw(`{"ulid":`)
	e.str(b.ULID)
	e.raw(`,"minTime":`)
	e.integer(b.MinTime)
	e.raw(`,"maxTime":`)
	e.integer(b.MaxTime)
	e.raw(`,"stats":`)
	e.blockStats(&b.Stats)
	e.raw(`,"compaction":`)
	e.blockCompaction(&b.Compaction)
	e.raw(`,"version":`)
	e.integer(int64(b.Version))
	e.rawByte('}')
}

func (e *encoder) blockStats(s *BlockStats) {
	e.rawByte('{')
	n := 0
	for _, c := range []struct {
		field string
		count uint64
	}{
		{`"numSamples":`, s.Samples},
		{`"numFloatSamples":`, s.FloatSamples},
		{`"numHistogramSamples":`, s.HistogramSamples},
		{`"numSeries":`, s.Series},
		{`"numChunks":`, s.Chunks},
		{`"numTombstones":`, s.Tombstones},
	} {
		if c.count == 0 {
			continue
		}
		e.comma(n)
		n++
		e.raw(c.field)
		e.unsigned(c.count)
	}
	e.rawByte('}')
}

func (e *encoder) blockCompaction(c *BlockCompaction) {
	e.raw(`{"level":`)
	e.integer(int64(c.Level))
	if len(c.Sources) > 0 {
		e.raw(`,"sources":`)
		e.strs(c.Sources)
	}
	if c.Deletable {
		e.raw(`,"deletable":true`)
	}
	if len(c.Parents) > 0 {
		e.raw(`,"parents":[`)
		for i, p := range c.Parents {
			e.comma(i)
			e.raw(`{"ulid":`)
			e.str(p.ULID)
			e.raw(`,"minTime":`)
			e.integer(p.MinTime)
			e.raw(`,"maxTime":`)
			e.integer(p.MaxTime)
			e.rawByte('}')
		}
		e.rawByte(']')
	}
	if c.Failed {
		e.raw(`,"failed":true`)
	}
	if len(c.Hints) > 0 {
		e.raw(`,"hints":`)
		e.strs(c.Hints)
	}
	e.rawByte('}')
}

// statusWALReplay serves /status/walreplay.
func (a *API) statusWALReplay(*http.Request) (response, error) {
	if a.opts.TSDB == nil {
		return response{}, unavailable("database")
	}
	replay := a.opts.TSDB.WALReplay()
	return response{data: func(e *encoder) {
		e.raw(`{"min":`)
		e.integer(int64(replay.Min))
		e.raw(`,"max":`)
		e.integer(int64(replay.Max))
		e.raw(`,"current":`)
		e.integer(int64(replay.Current))
		e.rawByte('}')
	}}, nil
}
