package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	victoriastorage "github.com/VictoriaMetrics/VictoriaMetrics/lib/storage"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// victoriaEngine is the storage of VictoriaMetrics. It has no log: a crash loses the last
// seconds, so replay is not compared. It merges in the background while samples come in, and is
// told to merge everything in join; cut has nothing to do.
type victoriaEngine struct {
	storage *victoriastorage.Storage
	client  int
	// rows is scratch memory of singles.
	rows []victoriastorage.MetricRow
}

// victoriaFlags are the settings that the library reads from the command line.
var victoriaFlags = []string{"-memory.allowedBytes=1GiB", "-loggerLevel=ERROR"}

func (e *victoriaEngine) open(dir string) error {
	if !flag.Parsed() {
		if err := flag.CommandLine.Parse(victoriaFlags); err != nil {
			return err
		}
	}
	e.storage = victoriastorage.MustOpenStorage(dir, victoriastorage.OpenOptions{
		Retention: 10 * 365 * 24 * time.Hour, FutureRetention: 2 * 24 * time.Hour,
	})
	return nil
}

func (e *victoriaEngine) close() error {
	e.storage.MustClose()
	return nil
}

func (e *victoriaEngine) minute() error { return nil }

func (e *victoriaEngine) freeStale(float64) {}

// clientBytes counts the metric names that its user makes of each request.
func (e *victoriaEngine) clientBytes() int { return e.client }

type victoriaTarget struct {
	engine *victoriaEngine
	names  [][]byte
	rows   []victoriastorage.MetricRow
}

func (e *victoriaEngine) target(_ string, columns int, series func(int) labels.Labels) (target, error) {
	t := &victoriaTarget{engine: e, names: make([][]byte, columns), rows: make([]victoriastorage.MetricRow, 0, columns)}
	for c := range columns {
		t.names[c] = victoriaName(series(c))
		e.client += len(t.names[c]) + 24 + 40
	}
	return t, nil
}

// victoriaName is the form of labels that the storage takes.
func victoriaName(ls labels.Labels) []byte {
	var list []prompb.Label
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			l.Name = ""
		}
		list = append(list, prompb.Label{Name: l.Name, Value: l.Value})
	})
	return victoriastorage.MarshalMetricNameRaw(nil, list)
}

func (t *victoriaTarget) append(row *storage.Row) error {
	t.rows = t.rows[:0]
	for c, v := range row.Values {
		if row.Has(storage.Column(c)) {
			t.rows = append(t.rows, victoriastorage.MetricRow{MetricNameRaw: t.names[c], Timestamp: row.T, Value: v})
		}
	}
	t.engine.storage.AddRows(t.rows, 64)
	return nil
}

func (t *victoriaTarget) replace(column int, series func() labels.Labels) error {
	t.names[column] = victoriaName(series())
	return nil
}

func (e *victoriaEngine) usage(dir string) (usage, error) {
	var u usage
	err := files(dir, func(path string, size int64) {
		switch {
		case strings.Contains(path, "indexdb/"):
			u.index += size
		case strings.HasPrefix(path, "data/"):
			u.samples += size
		}
	})
	return u, err
}

func (e *victoriaEngine) first(mint, maxt int64, ms ...*labels.Matcher) (bool, error) {
	filters := victoriastorage.NewTagFilters()
	for _, m := range ms {
		name := []byte(m.Name)
		if m.Name == model.MetricNameLabel {
			name = nil
		}
		negative := m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp
		re := m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp
		value := m.Value
		if re {
			if _, err := regexp.Compile(value); err != nil {
				return false, err
			}
		}
		if err := filters.Add(name, []byte(value), negative, re); err != nil {
			return false, fmt.Errorf("filter %s: %w", m, err)
		}
	}
	var s victoriastorage.Search
	s.Init(nil, e.storage, []*victoriastorage.TagFilters{filters}, victoriastorage.TimeRange{MinTimestamp: mint, MaxTimestamp: maxt}, math.MaxInt32, math.MaxUint64)
	defer s.MustClose()
	found := s.NextMetricBlock()
	return found, s.Error()
}

func (e *victoriaEngine) cut(int64, int64) error { return nil }

func (e *victoriaEngine) join(int64, int64) error { return e.storage.ForceMergePartitions("") }

func (e *victoriaEngine) stored() (int, bool) { return 0, false }

// singles has no references: rows always come with their labels.
func (e *victoriaEngine) singles(_ []uint64, series []labels.Labels, t int64, v float64) error {
	e.rows = e.rows[:0]
	for _, ls := range series {
		e.rows = append(e.rows, victoriastorage.MetricRow{MetricNameRaw: victoriaName(ls), Timestamp: t, Value: v})
	}
	e.storage.AddRows(e.rows, 64)
	return nil
}

func (e *victoriaEngine) serverBlocks()   {}
func (e *victoriaEngine) maintain() error { return nil }

func (e *victoriaEngine) evaluator() (evaluator, error) {
	return nil, errors.New("its queries are measured as a whole server")
}
