package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// selectTargets is the number of targets of 1,000 series at scale 1: at scale 16 there are a
// million series.
const selectTargets = 1000 / 16.0

// selections are the matchers measured. The greatest time counts for its metric.
var selections = []struct {
	metric   string
	matchers []*labels.Matcher
}{
	{"equal", []*labels.Matcher{equal(model.MetricNameLabel, "some_subsystem_metric_17_total"), equal(model.InstanceLabel, "host-3.example.com:9100")}},
	{"equal", []*labels.Matcher{equal(model.MetricNameLabel, "some_subsystem_metric_17_total")}},
	{"equal", []*labels.Matcher{equal(model.InstanceLabel, "host-3.example.com:9100"), equal("code", "204")}},
	{"regexp", []*labels.Matcher{equal(model.MetricNameLabel, "some_subsystem_metric_17_total"), match(model.InstanceLabel, "host-.*[37].example.com:9100")}},
	{"regexp", []*labels.Matcher{match("pod", "web-[0-9]+-.*a.*")}},
	{"regexp", []*labels.Matcher{match("uid", ".*a.*b.*c.*")}},
	{"regexp", []*labels.Matcher{equal("code", "204"), labels.MustNewMatcher(labels.MatchNotRegexp, model.InstanceLabel, "host-[0-9]*[13579].example.com:9100")}},
}

func equal(name, value string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, name, value)
}

func match(name, value string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchRegexp, name, value)
}

// selectTimes is how often each selection runs; the least time counts, as others use the
// machine too.
const selectTimes = 15

// selectSeries times a query from its opening to its first series, over series in memory and
// then over the same series in a block.
//
//	equal_head_ms, regexp_head_ms    least of the runs, greatest of the selections
//	equal_block_ms, regexp_block_ms  the same over the block
func selectSeries(j job, e engine) (values, bool, error) {
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	targets, rows := int(math.Ceil(selectTargets*float64(j.Scale))), min(8, j.Rows)
	if j.Tiny {
		targets = 4
	}
	if err := syntheticTargets(e, j.Start, targets, rows); err != nil {
		return nil, false, err
	}
	v := values{}
	if j.Engine == victoria { // what was added last cannot be searched at once
		if err := errors.Join(e.close(), e.open(j.Dir)); err != nil {
			return nil, false, err
		}
	}
	maxt := j.Start + int64(rows)*interval
	if err := timeSelections(j, e, maxt, "head", v); err != nil {
		return nil, false, err
	}
	if err := e.cut(j.Start, j.Start+cutRange.Milliseconds()); err != nil {
		return nil, false, err
	}
	if err := timeSelections(j, e, maxt, "block", v); err != nil {
		return nil, false, err
	}
	return v, false, e.close()
}

func timeSelections(j job, e engine, maxt int64, where string, v values) error {
	times := selectTimes
	if j.Tiny {
		times = 1
	} else if j.Profile != "" {
		times *= 4
	}
	file := j.Profile
	if file != "" {
		file += "." + where
	}
	_, err := measureProfiled(file, func() error {
		for i, s := range selections {
			least := math.Inf(1)
			for range times {
				begin := time.Now()
				found, err := e.first(j.Start, maxt, s.matchers...)
				if err != nil {
					return fmt.Errorf("selection %d: %w", i, err)
				}
				if !found {
					return fmt.Errorf("selection %d, %v: no series", i, s.matchers)
				}
				least = min(least, float64(time.Since(begin))/1e6)
			}
			name := s.metric + "_" + where + "_ms"
			v[name] = max(v[name], least)
			v[fmt.Sprintf("select_%d_%s_ms", i, where)] = least
		}
		return nil
	})
	return err
}
