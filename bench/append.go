package main

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/bench/recording"
	"github.com/gnomonhq/gnomon/storage"
)

// rowColumns is the width of the rows of appendRows, and the samples of a transaction of
// appendSingles.
const rowColumns = 1000

// appendRows appends rows of 1,000 columns of a recorded exporter to as many targets as the
// scale says, log and sealing included. The first rows are not measured.
//
//	row_ns      processor time per sample
//	row_allocs  heap objects per row
func appendRows(j job, e engine) (values, bool, error) {
	recs, err := recording.Load(j.Data, recording.Options{Want: func(kind string) bool { return kind == "victoriametrics" }})
	if err != nil {
		return nil, false, err
	}
	columns := rowColumns
	if j.Tiny {
		columns = 10
	}
	narrow, err := recs[0].Narrow(columns)
	if err != nil {
		return nil, false, err
	}
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	f := feed{start: j.Start, targets: recording.Targets([]*recording.Recording{narrow}, j.Scale, labelCount)}
	if err := f.begin(e); err != nil {
		return nil, false, err
	}
	warm, rows := min(200, j.Rows/2), max(j.Rows, 8*j.Rows/j.Scale)
	if err := f.rows(e, 1, warm); err != nil {
		return nil, false, err
	}
	first := f.samples
	c, err := measureProfiled(j.Profile, func() error { return f.rows(e, warm, rows) })
	if err != nil {
		return nil, false, err
	}
	return values{
		"row_ns":     float64(c.cpu) / float64(f.samples-first),
		"row_allocs": float64(c.allocs) / float64((rows-warm)*j.Scale),
	}, false, e.close()
}

// singlesTargets is how many thousand series appendSingles has at scale 1.
const singlesTargets = 10

// appendSingles appends samples one by one, a thousand in a transaction, log included.
//
//	reference_ns  processor time per sample, series named by the reference of an earlier append
//	labels_ns     series named by their labels
func appendSingles(j job, e engine) (values, bool, error) {
	if err := e.open(j.Dir); err != nil {
		return nil, false, err
	}
	batches := make([][]labels.Labels, singlesTargets*j.Scale)
	if j.Tiny {
		batches = batches[:1]
	}
	refs := make([][]uint64, len(batches))
	for n := range batches {
		refs[n] = make([]uint64, rowColumns)
		for c := range rowColumns {
			batches[n] = append(batches[n], syntheticLabels(n, c))
		}
	}
	t, step := j.Start, 0
	rounds := func(k int, forget bool) error {
		for range k {
			for n, series := range batches {
				if forget {
					clear(refs[n])
				}
				if err := e.singles(refs[n], series, t, float64(step%100*n)); err != nil {
					return err
				}
			}
			t += interval
			if step++; step%rowsPerMinute == 0 {
				if err := e.minute(); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := rounds(2, true); err != nil {
		return nil, false, err
	}
	k := max(1, j.Rows/8)
	n := float64(k * len(batches) * rowColumns)
	v := values{}
	for _, way := range []string{"reference", "labels"} {
		if way == "reference" && j.Engine == victoria {
			continue
		}
		file := j.Profile
		if file != "" {
			file += "." + way
		}
		c, err := measureProfiled(file, func() error { return rounds(k, way == "labels") })
		if err != nil {
			return nil, false, err
		}
		v[way+"_ns"], v[way+"_allocs"] = float64(c.cpu)/n, float64(c.allocs)/n
	}
	return v, false, e.close()
}

// syntheticLabels are 10 labels of series c of target n: metric names that all targets have, a
// few values of most labels, many of some.
func syntheticLabels(n, c int) labels.Labels {
	return labels.FromStrings(
		model.MetricNameLabel, fmt.Sprintf("some_subsystem_metric_%d_total", c/10),
		"code", fmt.Sprint(200+c%10), "handler", "/api/v1/query_range",
		model.InstanceLabel, fmt.Sprintf("host-%d.example.com:9100", n), model.JobLabel, fmt.Sprintf("job-%d", n%20),
		"pod", fmt.Sprintf("web-%d-%08x", n, uint32(n)*2654435761), "node", fmt.Sprintf("node-%d", n/8),
		"uid", fmt.Sprintf("%08x", uint32(n*rowColumns+c)/10*2654435761),
		"cluster", "production-eu-1", "region", "eu-central-1",
	)
}

// syntheticTargets makes targets of 1,000 series with synthetic labels, and gives each its rows,
// of small integers.
func syntheticTargets(e engine, start int64, targets, rows int) error {
	sinks := make([]target, targets)
	for n := range sinks {
		t, err := e.target(fmt.Sprint(n), rowColumns, func(c int) labels.Labels { return syntheticLabels(n, c) })
		if err != nil {
			return err
		}
		sinks[n] = t
	}
	row := storage.Row{Values: make([]float64, rowColumns)}
	for i := range rows {
		row.T = start + int64(i)*interval
		for n, t := range sinks {
			for c := range row.Values {
				row.Values[c] = float64((i*c + n) % 1000)
			}
			if err := t.append(&row); err != nil {
				return err
			}
		}
		if i%rowsPerMinute == 0 {
			if err := e.minute(); err != nil {
				return err
			}
		}
	}
	return nil
}
