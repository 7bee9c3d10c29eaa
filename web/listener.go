package web

import (
	"errors"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// limitListener hands out a connection only when there is a slot for it. Several
// listeners may share the slots. A listener takes a slot after it accepted, not
// before, so that one without connections takes none from the others; each then
// has at most one connection that waits.
type limitListener struct {
	net.Listener
	// slots holds one element per open connection.
	slots     chan struct{}
	open      prometheus.Gauge
	closed    chan struct{}
	closeOnce sync.Once
}

func newLimitListener(l net.Listener, slots chan struct{}, open prometheus.Gauge) *limitListener {
	return &limitListener{Listener: l, slots: slots, open: open, closed: make(chan struct{})}
}

// Accept waits for a connection and then for a slot.
func (l *limitListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	l.open.Inc()
	return &limitConn{Conn: conn, release: sync.OnceFunc(func() {
		l.open.Dec()
		<-l.slots
	})}, nil
}

// Close ends a waiting Accept too.
func (l *limitListener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitConn gives its slot back when it is closed.
type limitConn struct {
	net.Conn
	release func()
}

// Close closes the connection and gives the slot back.
func (c *limitConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
