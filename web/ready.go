package web

import (
	"io"
	"net/http"
	"strconv"
)

// SetReady says how far the server is with starting and stopping.
func (s *Server) SetReady(state State) {
	s.state.Store(uint32(state))
	if state == Ready {
		s.metrics.ready.Set(1)
	} else {
		s.metrics.ready.Set(0)
	}
}

// State returns what SetReady said last.
func (s *Server) State() State { return State(s.state.Load()) }

// whenReady returns h, but for a server that is not ready: that answers 503 and
// says in a header whether it is on its way up or down.
func (s *Server) whenReady(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := s.State()
		if state == Ready {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Prometheus-Stopping", strconv.FormatBool(state == Stopping))
		w.WriteHeader(http.StatusServiceUnavailable)
		writeText(w, "Service Unavailable")
	})
}

// writeText writes a short text. If it fails the client has gone away, and there
// is nobody left to tell.
func writeText(w io.Writer, text string) {
	_, _ = io.WriteString(w, text)
}
