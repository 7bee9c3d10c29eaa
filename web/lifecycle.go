package web

import (
	"context"
	"fmt"
	"net/http"
)

// Quit returns a channel that is closed when somebody asked the server to quit.
func (s *Server) Quit() <-chan struct{} { return s.quit }

// quitHandler serves POST and PUT /-/quit.
func (s *Server) quitHandler(w http.ResponseWriter, _ *http.Request) {
	text := "Termination already in progress."
	s.quitOnce.Do(func() {
		close(s.quit)
		text = "Requesting termination... Goodbye!"
	})
	writeText(w, text)
}

// reloadHandler serves POST and PUT /-/reload. It answers when the reload is
// done; reloads wait for each other.
func (s *Server) reloadHandler(w http.ResponseWriter, r *http.Request) {
	select {
	case s.reloading <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	defer func() { <-s.reloading }()
	// A reload that began ends, even if the client does not wait for it.
	if err := s.opts.Reload(context.WithoutCancel(r.Context())); err != nil {
		http.Error(w, fmt.Sprintf("failed to reload config: %s", err), http.StatusInternalServerError)
	}
}

// forbiddenHandler serves the life cycle endpoints while they are disabled.
func forbiddenHandler(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusForbidden)
	writeText(w, "Lifecycle API is not enabled.")
}

// wrongMethodHandler serves GET on the life cycle endpoints.
func wrongMethodHandler(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusMethodNotAllowed)
	writeText(w, "Only POST or PUT requests allowed")
}
