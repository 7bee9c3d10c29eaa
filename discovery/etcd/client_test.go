package etcd

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBoundExplainsItsOwnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, done := bound(t.Context(), time.Second)
		<-ctx.Done()
		require.EqualError(t, done(ctx.Err()), "no answer within dial_timeout, 1s")

		_, done = bound(t.Context(), time.Second)
		require.NoError(t, done(nil))
		other := errors.New("other")
		_, done = bound(t.Context(), time.Second)
		require.Equal(t, other, done(other))

		outer, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		ctx, done = bound(outer, time.Second)
		<-ctx.Done()
		require.ErrorIs(t, done(ctx.Err()), context.DeadlineExceeded, "the limit of the caller")
	})
}
