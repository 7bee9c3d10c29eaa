// Command bench measures Gnomon's storage engine beside Prometheus's and VictoriaMetrics's, and
// its query engine beside Prometheus's and Thanos's, on the same samples, in one run, and prints
// tables.
//
//	go run . -data FOLDER                     everything
//	go run . -data FOLDER -run disk,replay -scale 1 -count 1
//	go run . -data FOLDER -run memory -profile DIR
//
// documentation/benchmarks.md says what each row means.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// engineNames are the engines in the order in which they are measured.
var engineNames = []string{ours, upstream, victoria, thanos}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == childCommand {
		return childMain(args[1])
	}
	p, err := parsePlan(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	begin := time.Now()
	got, err := p.run(ctx)
	fmt.Printf("%s, %s, %s, commit %s, %d × %s, took %s\n\n", begin.UTC().Format("2006-01-02 15:04 MST"), machine(), runtime.Version(), commit(),
		p.count, strings.Join(p.groups, ","), time.Since(begin).Round(time.Second))
	printTable(os.Stdout, p, got)
	printQueries(os.Stdout, p, got)
	return err
}

// parsePlan reads the command line. The flags have a set of their own, since VictoriaMetrics's
// libraries put theirs into the common one.
func parsePlan(args []string) (plan, error) {
	p := plan{progress: os.Stderr}
	fs := flag.NewFlagSet("bench", flag.ExitOnError)
	fs.StringVar(&p.data, "data", "../../shared/data", "folder of recordings, *.rec.zst")
	fs.StringVar(&p.temporary, "tmp", "", "folder for the engines' data, which is deleted again; empty is the system's")
	fs.StringVar(&p.profiles, "profile", "", "folder for profiles of the measured parts; empty makes none")
	fs.IntVar(&p.count, "count", 3, "repetitions; the table has the least of them, and the median in brackets")
	fs.IntVar(&p.rows, "rows", 480, "rows of each target; 480 are two hours")
	groups := fs.String("run", strings.Join(groupNames(), ","), "groups of rows to measure")
	engines := fs.String("engines", strings.Join(engineNames, ","), "engines to measure")
	sets := fs.String("sets", small+","+mixed, "sets of recordings: small exporters, mixed with an API server")
	scales := fs.String("scale", "1,4,16", "multiples of the number of series")
	if err := fs.Parse(args); err != nil {
		return p, err
	}
	var err error
	if p.groups, err = choose("group", *groups, groupNames()); err != nil {
		return p, err
	}
	if p.engines, err = choose("engine", *engines, engineNames); err != nil {
		return p, err
	}
	if p.sets, err = choose("set", *sets, []string{small, mixed}); err != nil {
		return p, err
	}
	for _, s := range strings.Split(*scales, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 64 {
			return p, fmt.Errorf("scale %q is not a number from 1 to 64", s)
		}
		p.scales = append(p.scales, n)
	}
	if p.count < 1 || p.rows < 2 {
		return p, fmt.Errorf("%d repetitions of %d rows: at least 1 and 2", p.count, p.rows)
	}
	if p.profiles != "" {
		err = os.MkdirAll(p.profiles, 0o755)
	}
	return p, err
}

// choose splits a list and refuses what is not known.
func choose(what, list string, known []string) ([]string, error) {
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no %s %q; there are %s", what, name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// machine describes the processor.
func machine() string {
	name := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			name = strings.TrimSpace(strings.TrimLeft(line, "\t: "))
		}
	}
	return fmt.Sprintf("%s, %d cores", name, runtime.NumCPU())
}

// commit names the commit of the working tree.
func commit() string {
	b, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
