package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// plan is what a run of the command measures.
type plan struct {
	data, temporary, profiles string
	groups, engines, sets     []string
	scales                    []int
	count, rows               int
	tiny                      bool
	// programs are the files of those that measure an engine which is not in this
	// one, by the engine's name.
	programs map[string]string
	progress io.Writer
}

// key names a cell of the table.
type key struct {
	metric, set, engine string
	scale               int
}

// results has the values of each cell, one per repetition.
type results map[key][]float64

// noSet is the set of measurements that do not play sets of recordings.
const noSet = "-"

// needs says which jobs the rows of a group come from. The jobs of a chain follow each other on
// one folder: each needs those before it.
var needs = map[string]struct {
	chain string
	alone []string
}{
	"disk":       {chain: "join"},
	"index":      {chain: "join"},
	"compaction": {chain: "join"},
	"replay":     {chain: "replay"},
	"memory":     {chain: "ingest"},
	"log":        {chain: "ingest", alone: []string{"log"}},
	"codec":      {alone: []string{"codec"}},
	"append":     {chain: "ingest", alone: []string{"row", "single"}},
	"select":     {alone: []string{"select"}},
	"churn":      {alone: []string{"churn"}},
	queryGroup:   {alone: []string{queryGroup}},
}

// chain is in the order in which the jobs run.
var chain = []string{"ingest", "replay", "cut", "join"}

// bySet are the jobs that play sets of recordings; the others make series of their own.
var bySet = []string{"codec", "log", "churn"}

// run measures everything, each repetition engine by engine in turn. What failed is in the
// error; the rest is in the results.
func (p plan) run(ctx context.Context) (results, error) {
	if slices.Contains(p.engines, thanos) && slices.Contains(p.groups, queryGroup) {
		dir, err := os.MkdirTemp(p.temporary, "gnomon-bench-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		program, err := buildThanos(ctx, dir)
		if err != nil {
			return nil, err
		}
		p.programs = map[string]string{thanos: program}
	}
	var errs []error
	out := results{}
	for round := range p.count {
		for _, scale := range p.scales {
			for _, engine := range p.engines {
				for _, set := range p.sets {
					errs = append(errs, p.runChain(ctx, out, round, job{Engine: engine, Set: set, Scale: scale}))
				}
			}
			for _, what := range p.alone() {
				sets := []string{noSet}
				if slices.Contains(bySet, what) {
					sets = p.sets
				}
				for _, set := range sets {
					for _, engine := range p.engines {
						errs = append(errs, p.runAlone(ctx, out, round, job{What: what, Engine: engine, Set: set, Scale: scale}))
					}
				}
			}
		}
	}
	return out, errors.Join(errs...)
}

// alone returns the jobs that need no other, in a fixed order.
func (p plan) alone() []string {
	var list []string
	for _, group := range p.groups {
		for _, what := range needs[group].alone {
			if !slices.Contains(list, what) {
				list = append(list, what)
			}
		}
	}
	return list
}

// lastOfChain returns how many jobs of the chain the groups need.
func (p plan) lastOfChain() int {
	last := 0
	for _, group := range p.groups {
		for i := range chain {
			if chain[i] == needs[group].chain {
				last = max(last, i+1)
			}
		}
	}
	return last
}

// applies says whether an engine can do a job, and whether the job grows with the scale.
func (p plan) applies(j job) bool {
	if j.Engine == victoria && slices.Contains([]string{"replay", "cut", "log"}, j.What) {
		return false // it has no log, and writes blocks all the time
	}
	if j.Engine == victoria && j.What == queryGroup {
		return false // its queries are another language, behind a server
	}
	if j.Engine == thanos && j.What != queryGroup {
		return false // its database is Prometheus's
	}
	return j.What != "codec" || j.Scale == p.scales[0]
}

func (p plan) runChain(ctx context.Context, out results, round int, j job) error {
	n := p.lastOfChain()
	if n == 0 {
		return nil
	}
	return p.inFolder(&j, func() error {
		for _, step := range chain[:n] {
			if j.What = step; !p.applies(j) || step == "replay" && !slices.Contains(p.groups, "replay") {
				continue
			}
			v, err := p.runOne(ctx, out, round, j)
			if err != nil {
				return err
			}
			if step == "ingest" {
				j.Samples, j.Series = int(v["samples"]), int(v["series"])
			}
		}
		return nil
	})
}

func (p plan) runAlone(ctx context.Context, out results, round int, j job) error {
	if !p.applies(j) {
		return nil
	}
	return p.inFolder(&j, func() error {
		_, err := p.runOne(ctx, out, round, j)
		return err
	})
}

// inFolder gives a job a folder of its own for as long as work runs.
func (p plan) inFolder(j *job, work func() error) error {
	dir, err := os.MkdirTemp(p.temporary, "gnomon-bench-")
	if err != nil {
		return err
	}
	j.Data, j.Dir, j.Rows, j.Start, j.Tiny = p.data, dir, p.rows, dayStart(time.Now()), p.tiny
	return errors.Join(work(), os.RemoveAll(dir))
}

func (p plan) runOne(ctx context.Context, out results, round int, j job) (values, error) {
	if p.profiles != "" {
		j.Profile = filepath.Join(p.profiles, fmt.Sprintf("%s-%s-%s-%d", j.What, j.Engine, j.Set, j.Scale))
	}
	begin := time.Now()
	v, err := runChild(ctx, p.programs[j.Engine], j)
	fmt.Fprintf(p.progress, "%d/%d %s %s %s x%d: %.1fs %v\n", round+1, p.count, j.What, j.Engine, j.Set, j.Scale, time.Since(begin).Seconds(), err)
	for metric, value := range v {
		k := key{metric: metric, set: j.Set, engine: j.Engine, scale: j.Scale}
		out[k] = append(out[k], value)
	}
	return v, err
}
