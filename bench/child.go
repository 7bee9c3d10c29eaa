package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gnomonhq/gnomon/bench/recording"
)

// Every measurement runs in a process of its own, which is this program again: what one leaves
// in the heap, in caches or in the scheduler does not disturb the next, and the kernel's count
// of processor time is that of the measurement.

// job tells a child what to measure.
type job struct {
	What, Engine, Set string
	// Scale multiplies the number of series.
	Scale int
	// Data is the folder of recordings, Dir the engine's folder.
	Data, Dir string
	// Rows is the number of rows of each target.
	Rows int
	// Start is the time of the first row, milliseconds.
	Start int64
	// Samples and Series are how many there are in Dir, once it was filled.
	Samples, Series int
	// Tiny makes the parts that do not depend on Data small: for tests.
	Tiny bool
	// Profile is the file that gets a profile of the measured part, none if empty.
	Profile string
}

// values are the results of a job by the name of the metric.
type values map[string]float64

// measurement is a way to measure. It returns abandon if the process shall be killed without
// closing anything, as if it had crashed.
type measurement func(j job, e engine) (v values, abandon bool, err error)

var measurements = map[string]measurement{
	"ingest": ingest,
	"replay": replay,
	"cut":    cut,
	"join":   join,
	"codec":  codec,
	"log":    logRows,
	"row":    appendRows,
	"single": appendSingles,
	"select": selectSeries,
	"churn":  churn,

	queryGroup: query,
}

// childCommand is the first argument of a child; the second is the job as JSON.
const childCommand = "measure"

// childMemoryLimit keeps a child from taking the machine: Go collects harder near it.
const childMemoryLimit = "GOMEMLIMIT=5GiB"

// childTimeout ends a child that hangs.
const childTimeout = 30 * time.Minute

// runChild starts a child and waits for its values. program is empty for this
// program.
func runChild(ctx context.Context, program string, j job) (values, error) {
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	c := exec.CommandContext(ctx, program, childCommand, string(text))
	c.Env = append(os.Environ(), childMemoryLimit)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	runErr := c.Run()
	var v values
	if err := json.Unmarshal(out.Bytes(), &v); err != nil || len(v) == 0 {
		return nil, fmt.Errorf("%s of %s, %s x%d: %v: %s", j.What, j.Engine, j.Set, j.Scale, runErr, bytes.TrimSpace(errs.Bytes()))
	}
	return v, nil
}

// buildThanos builds the program that measures Thanos's engine into dir, and returns
// its file. The folder of this command is the working directory.
func buildThanos(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, thanos)
	if out, err := exec.CommandContext(ctx, "go", "build", "-C", "thanos", "-o", file, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build bench/thanos: %w: %s", err, bytes.TrimSpace(out))
	}
	return file, nil
}

// childMain is the main function of a child.
func childMain(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	if j.Profile != "" && (j.What == "ingest" || j.What == "churn") {
		runtime.MemProfileRate = heapProfileBytes
	}
	v, abandon, err := runJob(j)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		return err
	}
	if abandon {
		p, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		return p.Kill()
	}
	return nil
}

func runJob(j job) (values, bool, error) {
	m := measurements[j.What]
	if m == nil {
		return nil, false, fmt.Errorf("no measurement %q", j.What)
	}
	e, err := newEngine(j.Engine)
	if err != nil {
		return nil, false, err
	}
	return m(j, e)
}

// Sets of recordings. The API server is apart because it flatters: most of its series never
// change.
const (
	small = "small" // the small exporters
	mixed = "mixed" // the small exporters and the API server
)

const apiServer = "kubeapiserver"

// instances is how many targets of each recording a set has at scale 1: about 20,000 series.
var instances = map[string]int{small: 4, mixed: 1}

func (j job) recordings() ([]*recording.Recording, error) {
	return recording.Load(j.Data, recording.Options{Want: func(kind string) bool { return j.Set == mixed || kind != apiServer }})
}

// labelCount is how many labels a series has, metric name, job and instance included.
const labelCount = 10
