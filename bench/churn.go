package main

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/bench/recording"
	"github.com/gnomonhq/gnomon/storage"
)

// churnMinutes is how long series come and go, churnWarm when memory is first looked at.
const (
	churnMinutes = 60
	churnWarm    = 10
)

// churn appends an hour of rows in which each minute one series of a hundred goes stale and
// another takes its place.
//
//	churn_growth  memory after the hour as a multiple of that after ten minutes
//	churn_memory  memory per active series after the hour, bytes
func churn(j job, e engine) (values, bool, error) {
	recs, err := j.recordings()
	if err != nil {
		return nil, false, err
	}
	before, err := liveMemory()
	if err != nil {
		return nil, false, err
	}
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	c := churner{feed: feed{start: j.Start, targets: recording.Targets(recs, instances[j.Set]*j.Scale, labelCount)}}
	if err := c.begin(e); err != nil {
		return nil, false, err
	}
	v := values{}
	minutes := min(churnMinutes, j.Rows/rowsPerMinute)
	for minute := range minutes {
		if err := c.minute(e, minute); err != nil {
			return nil, false, err
		}
		if minute+1 == min(churnWarm, minutes/2) || minute+1 == minutes {
			now, err := liveMemory()
			if err != nil {
				return nil, false, err
			}
			name := "churn_memory"
			if minute+1 < minutes {
				name = "churn_memory_early"
			}
			v[name] = float64(now.anon-before.anon-int64(e.clientBytes())) / float64(c.series)
		}
	}
	v["churn_growth"] = v["churn_memory"] / v["churn_memory_early"]
	if err := writeHeapProfile(j.Profile); err != nil {
		return nil, false, err
	}
	return v, false, e.close()
}

// churner is a feed in which series are replaced.
type churner struct {
	feed
	row storage.Row
}

// minute appends the rows of a minute. The series that end get a staleness marker in its last
// row.
func (c *churner) minute(e engine, minute int) error {
	from := 1 + minute*rowsPerMinute
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
			b := labels.NewBuilder(t.Labels(column))
			b.Set("generation", fmt.Sprintf("%d-%d", n, minute))
			if err := c.sinks[n].replace(column, b.Labels()); err != nil {
				return err
			}
		}
	}
	return nil
}
