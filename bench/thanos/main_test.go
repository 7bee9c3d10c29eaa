package main

import (
	"testing"
	"time"

	"github.com/gnomonhq/gnomon/bench/queries"
)

// TestKnowsMostQueries measures at a tiny scale; how great values are is not judged.
func TestKnowsMostQueries(t *testing.T) {
	v, err := queries.Measure(queries.Job{
		Dir: t.TempDir(), Start: time.Now().Truncate(24 * time.Hour).UnixMilli(), Scale: 1, Tiny: true,
	}, open, nil)
	if err != nil {
		t.Fatal(err)
	}
	if known := len(v) / 6; known < len(queries.List)*9/10 {
		t.Fatalf("%d of %d queries have values", known, len(queries.List))
	}
}

func TestWrongArguments(t *testing.T) {
	if err := run([]string{"measure", "{"}); err == nil {
		t.Fatal("a job that is no JSON is taken")
	}
	if err := run(nil); err == nil {
		t.Fatal("no arguments are taken")
	}
}
