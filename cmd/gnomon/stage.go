package main

import (
	"context"
	"fmt"

	"github.com/oklog/run"
)

// addStage adds a part of the server to the process group. When the group ends,
// the stages are stopped one after the other in the order in which they were
// added, each only after the one before has come to its end: those that write
// before what they write to.
func addStage(g *run.Group, parent context.Context, name string, work func(context.Context) error) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	g.Add(func() error {
		defer close(done)
		if err := work(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}, func(error) {
		cancel()
		<-done
	})
}
