package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are taken from below the range the kernel uses for outgoing connections
// (32768 and up on Linux), so that none can be lost between asking for it and using it,
// nor while a killed server is down.
const (
	firstPort = 20000
	lastPort  = 32000
)

// handedOut remembers the ports given away by this test binary, whose tests run in
// parallel.
var handedOut struct {
	mu    sync.Mutex
	ports map[int]bool
}

// FreeAddress returns a loopback address with a port that nobody listens on and that is
// not handed out again.
func FreeAddress(t testing.TB) string {
	t.Helper()
	handedOut.mu.Lock()
	defer handedOut.mu.Unlock()
	if handedOut.ports == nil {
		handedOut.ports = make(map[int]bool)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if handedOut.ports[port] {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatalf("release port %d: %v", port, err)
		}
		handedOut.ports[port] = true
		return address
	}
	t.Fatalf("no free port between %d and %d on 127.0.0.1", firstPort, lastPort)
	return ""
}
