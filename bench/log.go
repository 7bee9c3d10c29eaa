package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/gnomonhq/gnomon/bench/recording"
	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// logRows writes rows to the log and to nothing else. The disk is never forced: that costs
// everybody the same.
//
//	log_ns  processor time per sample, encoding and the write to the operating system
func logRows(j job, _ engine) (values, bool, error) {
	recs, err := j.recordings()
	if err != nil {
		return nil, false, err
	}
	targets := recording.Targets(recs, instances[j.Set]*j.Scale, labelCount)
	var log rowLog
	switch j.Engine {
	case ours:
		log, err = newGnomonLog(j.Dir, len(targets))
	case upstream:
		log, err = newUpstreamLog(j.Dir)
	default:
		err = fmt.Errorf("%s has no log", j.Engine)
	}
	if err != nil {
		return nil, false, err
	}
	samples := 0
	write := func(from, to int) error {
		var row storage.Row
		for i := from; i < to; i++ {
			for n, t := range targets {
				t.Row(i, &row)
				row.T = j.Start + int64(i)*interval
				if err := log.append(n, &row); err != nil {
					return err
				}
				samples += countSamples(&row)
			}
		}
		return nil
	}
	if err := write(0, 1); err != nil {
		return nil, false, err
	}
	samples = 0
	c, err := measureProfiled(j.Profile, func() error { return write(1, j.Rows) })
	if err != nil {
		return nil, false, err
	}
	return values{"log_ns": float64(c.cpu) / float64(samples)}, false, log.close()
}

// rowLog is a log that takes the rows of numbered targets.
type rowLog interface {
	append(target int, row *storage.Row) error
	close() error
}

type gnomonLog struct {
	w        *wal.Writer
	encoders []*wal.RowEncoder
}

func newGnomonLog(dir string, targets int) (*gnomonLog, error) {
	w, err := wal.Open(vfs.OS{}, dir, wal.Options{Sync: wal.SyncNever})
	if err != nil {
		return nil, err
	}
	l := &gnomonLog{w: w}
	for n := range targets {
		l.encoders = append(l.encoders, wal.NewRowEncoder(uint64(n)+1))
	}
	return l, nil
}

func (l *gnomonLog) append(target int, row *storage.Row) error {
	batch := l.w.Begin()
	batch.Row(l.encoders[target], row)
	_, err := batch.Commit()
	return err
}

func (l *gnomonLog) close() error { return l.w.Close() }

type upstreamLog struct {
	w       *wlog.WL
	encoder record.Encoder
	samples []record.RefSample
	buf     []byte
}

func newUpstreamLog(dir string) (*upstreamLog, error) {
	w, err := wlog.New(slog.New(slog.DiscardHandler), nil, dir, compression.Snappy)
	return &upstreamLog{w: w}, err
}

func (l *upstreamLog) append(target int, row *storage.Row) error {
	l.samples = l.samples[:0]
	for c, v := range row.Values {
		if row.Has(storage.Column(c)) {
			l.samples = append(l.samples, record.RefSample{Ref: chunks.HeadSeriesRef(target<<16 + c), T: row.T, V: v})
		}
	}
	l.buf = l.encoder.Samples(l.samples, l.buf[:0])
	return l.w.Log(l.buf)
}

func (l *upstreamLog) close() error { return errors.Join(l.w.Sync(), l.w.Close()) }
