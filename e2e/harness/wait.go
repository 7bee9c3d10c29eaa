package harness

import (
	"errors"
	"testing"
	"time"
)

// pollInterval is the pause between two looks at a condition.
const pollInterval = 50 * time.Millisecond

// Eventually asks check until it returns nil, and ends the test with its last error if
// that takes longer than within. what completes the sentence "waiting for …".
func Eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	if err := poll(within, nil, check); err != nil {
		t.Fatalf("waiting for %s: not within %s: %v", what, within, err)
	}
}

// errStopped is returned by poll when its stop channel was closed.
var errStopped = errors.New("stopped waiting")

// poll asks check until it returns nil. It gives up with check's last error after within,
// or with errStopped joined to it once stop is closed; a nil stop never is.
func poll(within time.Duration, stop <-chan struct{}, check func() error) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-stop:
			return errors.Join(errStopped, err)
		case <-deadline.C:
			return err
		case <-tick.C:
		}
	}
}
