package main

import (
	"context"
	"errors"
	"testing"

	"github.com/oklog/run"
	"github.com/stretchr/testify/require"
)

// TestStagesStopInOrder makes sure that a stage is told to stop only after the
// one before has stopped, and that the first failure is what the group says.
func TestStagesStopInOrder(t *testing.T) {
	var g run.Group
	var order []string
	started := make(chan struct{}, 2)
	for _, name := range []string{"first", "second"} {
		addStage(&g, context.Background(), name, func(ctx context.Context) error {
			started <- struct{}{}
			<-ctx.Done()
			order = append(order, name)
			return nil
		})
	}
	addStage(&g, context.Background(), "failing", func(context.Context) error {
		<-started
		<-started
		return errors.New("out of luck")
	})
	require.EqualError(t, g.Run(), "failing: out of luck")
	require.Equal(t, []string{"first", "second"}, order)
}
