package web

import (
	"errors"
	"net/http"
	"runtime/debug"
)

// recovered returns h with its panics contained: they are logged with their
// stack, counted, and answered 500. A response that has already begun is cut
// off instead, so that the client does not take it for complete.
func (s *Server) recovered(name string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := &begunWriter{ResponseWriter: w}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			s.metrics.panics.WithLabelValues(name).Inc()
			s.opts.Logger.Error("panic while serving request",
				"client", r.RemoteAddr, "url", r.URL.String(), "err", cause, "stack", string(debug.Stack()))
			if begun.begun {
				panic(http.ErrAbortHandler)
			}
			clear(w.Header())
			http.Error(w, "internal server error, see the log of the server", http.StatusInternalServerError)
		}()
		h.ServeHTTP(begun, r)
	})
}

// begunWriter knows whether the response has begun.
type begunWriter struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader begins the response.
func (w *begunWriter) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the response.
func (w *begunWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Flush begins the response. It is here for handlers that look for it instead
// of using http.ResponseController.
func (w *begunWriter) Flush() {
	w.begun = true
	// A writer that cannot flush sends when the handler returns.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the writer underneath.
func (w *begunWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
