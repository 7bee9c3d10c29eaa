package harness

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Page is one answer of a [Site].
type Page struct {
	Status      int    // Status is the HTTP status code; 0 for 200.
	ContentType string // ContentType is left out of the answer if it is empty.
	Body        string
}

// Site is a web server whose pages a test writes, for scrape targets that say something
// particular. Its methods are safe for concurrent use.
type Site struct {
	server *httptest.Server

	mu    sync.Mutex
	pages map[string]Page // By path.
}

// StartSite listens until the test ends. Paths without a page answer 404.
func StartSite(t testing.TB) *Site {
	t.Helper()
	s := &Site{pages: make(map[string]Page)}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// Address returns the host:port of the site.
func (s *Site) Address() string { return s.server.Listener.Addr().String() }

// Set writes the page at a path.
func (s *Site) Set(path string, page Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = page
}

// ServeHTTP answers with the page at the request's path.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	page, ok := s.pages[r.URL.Path]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	// A nil value keeps net/http from guessing a type.
	w.Header()["Content-Type"] = nil
	if page.ContentType != "" {
		w.Header().Set("Content-Type", page.ContentType)
	}
	if page.Status != 0 {
		w.WriteHeader(page.Status)
	}
	// A client that went away needs no answer.
	_, _ = w.Write([]byte(page.Body))
}
