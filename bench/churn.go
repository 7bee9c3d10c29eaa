package main

import (
	"fmt"
	"math"
	"path/filepath"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/bench/recording"
	"github.com/gnomonhq/gnomon/storage"
)

// churnMinutes is how long series come and go.
const churnMinutes = 60

// churnStaleShare is the share of ended series at which Prometheus and we let them leave memory.
const churnStaleShare = 0.05

// churn appends an hour of rows in which each minute one series of a hundred goes stale and
// another takes its place, after an hour in which none does.
//
//	churn_memory  memory per active series after the hour, bytes
//	churn_growth  the same as a multiple of that after the hour without churn
func churn(j job, e engine) (values, bool, error) {
	recs, err := j.recordings()
	if err != nil {
		return nil, false, err
	}
	targets := recording.Targets(recs, instances[j.Set]*j.Scale, labelCount)
	var perSeries [2]float64
	for i, replacing := range []bool{false, true} {
		if perSeries[i], err = churnHour(j, e, targets, replacing); err != nil {
			return nil, false, err
		}
		if e, err = newEngine(j.Engine); err != nil {
			return nil, false, err
		}
	}
	return values{"churn_memory": perSeries[1], "churn_growth": perSeries[1] / perSeries[0]}, false, nil
}

// churnHour returns the memory per series after an hour, with or without replacing some.
func churnHour(j job, e engine, targets []*recording.Target, replacing bool) (float64, error) {
	before, err := liveMemory()
	if err != nil {
		return 0, err
	}
	e.freeStale(churnStaleShare)
	if err := e.open(filepath.Join(j.Dir, fmt.Sprint(replacing))); err != nil {
		return 0, err
	}
	c := churner{feed: feed{start: j.Start, targets: targets}}
	if err := c.begin(e); err != nil {
		return 0, err
	}
	for minute := range min(churnMinutes, j.Rows/rowsPerMinute) {
		if err := c.minute(e, minute, replacing); err != nil {
			return 0, err
		}
	}
	after, err := liveMemory()
	if err != nil {
		return 0, err
	}
	if replacing {
		if err := writeHeapProfile(j.Profile); err != nil {
			return 0, err
		}
	}
	return float64(after.anon-before.anon-int64(e.clientBytes())) / float64(c.series), e.close()
}

// churner is a feed in which series are replaced.
type churner struct {
	feed
	row storage.Row
}

// minute appends the rows of a minute. Series that end get a staleness marker in its last row.
func (c *churner) minute(e engine, minute int, replacing bool) error {
	from := 1 + minute*rowsPerMinute
	if !replacing {
		return c.rows(e, from, from+rowsPerMinute)
	}
	if err := c.rows(e, from, from+rowsPerMinute-1); err != nil {
		return err
	}
	last, stale := from+rowsPerMinute-1, math.Float64frombits(value.StaleNaN)
	for n, t := range c.targets {
		t.Row(last, &c.row)
		row := c.row
		row.Values = append([]float64(nil), row.Values...)
		if row.Present != nil {
			row.Present = append(storage.Bitmap(nil), row.Present...)
		}
		row.T = c.start + int64(last)*interval + int64(n*7919%interval)
		for column := minute % 100; column < t.Columns(); column += 100 {
			row.Values[column] = stale
			if row.Present != nil {
				row.Present.Set(storage.Column(column))
			}
		}
		if err := c.sinks[n].append(&row); err != nil {
			return err
		}
		for column := minute % 100; column < t.Columns(); column += 100 {
			series := func() labels.Labels {
				b := labels.NewBuilder(t.Labels(column))
				return b.Set("generation", fmt.Sprintf("%d-%d", n, minute)).Labels()
			}
			if err := c.sinks[n].replace(column, series); err != nil {
				return err
			}
		}
	}
	return e.minute()
}
