package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gnomonhq/gnomon/bench/queries"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "thanos:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "measure" {
		return fmt.Errorf("want the arguments measure JOB; documentation/benchmarks.md says how to compare engines")
	}
	var j queries.Job
	if err := json.Unmarshal([]byte(args[1]), &j); err != nil {
		return fmt.Errorf("job %q: %w", args[1], err)
	}
	v, err := queries.Measure(j, open, nil)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}
