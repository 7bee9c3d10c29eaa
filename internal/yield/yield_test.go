package yield

import (
	"runtime"
	"testing"
)

// TestOfferIsTakenWhenNoProcessorIsFree has one processor: who waits for it runs as soon as it is
// offered.
func TestOfferIsTakenWhenNoProcessorIsFree(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ran := false
	done := make(chan struct{})
	go func() {
		ran = true
		close(done)
	}()
	var o Offer
	for range 1_000_000 {
		o.Make()
		select {
		case <-done:
			if !ran {
				t.Fatal("closed before it ran")
			}
			return
		default:
		}
	}
	t.Fatal("nobody else ran")
}

func BenchmarkOffer(b *testing.B) {
	var o Offer
	for b.Loop() {
		o.Make()
	}
}
