package api

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the expected responses in testdata")

// A script in testdata is a list of requests with the expected responses, in
// paragraphs:
//
//	# a comment
//	@directive
//	GET /query?query=up
//	200 application/json
//	{"status":"success",…}
//
// The path is that below /api/v1. A POST may have a form after the path. A
// header is given as "Name: value" after the request. Each response is compared
// with the script and with that of upstream's API over the same data, unless a
// directive says otherwise:
//
//	@differs reason    upstream's response is another one, and why
//	@unordered reason  upstream's response has the same bytes in any order
type step struct {
	comments  []string
	directive string
	request   string
	headers   []string
	status    string
	body      string
}

func parseScript(t *testing.T, text string) []step {
	var steps []step
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var s step
		for line := range strings.SplitSeq(paragraph, "\n") {
			switch {
			case s.request == "" && strings.HasPrefix(line, "#"):
				s.comments = append(s.comments, line)
			case s.request == "" && strings.HasPrefix(line, "@"):
				s.directive = line
			case s.request == "":
				s.request = line
			case s.status == "" && line[0] >= 'A' && line[0] <= 'Z':
				s.headers = append(s.headers, line)
			case s.status == "":
				s.status = line
			default:
				s.body += line + "\n"
			}
		}
		s.body = strings.TrimSuffix(s.body, "\n")
		require.False(t, s.request == "" && s.status != "", "paragraph without a request: %q", paragraph)
		steps = append(steps, s)
	}
	return steps
}

func formatScript(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 {
			b.WriteString("\n")
		}
		lines := slices.Clone(s.comments)
		if s.request != "" {
			if s.directive != "" {
				lines = append(lines, s.directive)
			}
			lines = append(append(lines, s.request), s.headers...)
			lines = append(lines, s.status)
			if s.body != "" {
				lines = append(lines, s.body)
			}
		}
		b.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return b.String()
}

// do sends the request of a step.
func (s *step) do(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	method, rest, _ := strings.Cut(s.request, " ")
	path, form, _ := strings.Cut(rest, " ")
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, header := range s.headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// outcome is the status line of a script. It shows the headers that matter.
func outcome(w *httptest.ResponseRecorder) string {
	parts := []string{fmt.Sprint(w.Code)}
	for _, name := range []string{"Content-Type", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Expose-Headers", "Vary"} {
		if name == "Vary" && w.Header().Get("Access-Control-Allow-Methods") == "" {
			continue
		}
		parts = append(parts, w.Header().Values(name)...)
	}
	return strings.Join(parts, " | ")
}

func TestScripts(t *testing.T) {
	f := newFixture(t)
	ours, theirs := f.handler(nil), f.upstreamHandler(t)
	files, err := filepath.Glob("testdata/*.script")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".script"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			steps := parseScript(t, string(text))
			for i := range steps {
				if steps[i].request != "" {
					t.Run(steps[i].request, func(t *testing.T) { runStep(t, &steps[i], ours, theirs) })
				}
			}
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(formatScript(steps)), 0o644))
			}
		})
	}
}

func runStep(t *testing.T, s *step, ours, theirs http.Handler) {
	got := s.do(t, ours)
	body := strings.TrimSuffix(got.Body.String(), "\n")
	if *update {
		s.status, s.body = outcome(got), body
	}
	require.Equal(t, s.status, outcome(got))
	require.Equal(t, s.body, body)

	want := s.do(t, theirs)
	switch directive, _, _ := strings.Cut(s.directive, " "); directive {
	case "":
		require.Equal(t, outcome(want), outcome(got), "status and headers of upstream")
		require.Equal(t, want.Body.String(), got.Body.String(), "body of upstream")
	case "@unordered":
		require.Equal(t, outcome(want), outcome(got), "status and headers of upstream")
		require.Equal(t, sortedBytes(want.Body), sortedBytes(got.Body), "bytes of upstream")
	case "@differs":
		require.NotEqual(t, outcome(want)+want.Body.String(), outcome(got)+got.Body.String(),
			"the response is that of upstream: drop the directive")
	default:
		t.Fatalf("unknown directive %q", s.directive)
	}
}

// TestConcurrentRequests sends the requests of the scripts from many goroutines,
// compressed or not: what handlers pool and share must not mix.
func TestConcurrentRequests(t *testing.T) {
	f := newFixture(t)
	h := f.handler(nil)
	var steps []step
	for _, name := range []string{"query", "query_range", "labels", "targets", "parse_query"} {
		text, err := os.ReadFile("testdata/" + name + ".script")
		require.NoError(t, err)
		for _, s := range parseScript(t, string(text)) {
			if s.request != "" && !strings.Contains(s.request, "timeout") {
				steps = append(steps, s)
			}
		}
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for worker := range cap(errs) {
		wg.Go(func() {
			for i := worker; i < len(steps); i += 2 {
				s := steps[i]
				if worker%2 == 1 {
					s.headers = append(slices.Clone(s.headers), "Accept-Encoding: gzip")
				}
				if got := plainBody(s.do(t, h)); got != s.body {
					errs <- fmt.Errorf("%s: got %s, want %s", s.request, got, s.body)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

// plainBody returns the body of a response without its compression, or the error
// of decompressing it.
func plainBody(w *httptest.ResponseRecorder) string {
	var r io.Reader = w.Body
	if w.Header().Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(w.Body)
		if err != nil {
			return err.Error()
		}
		r = unzipped
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(string(body), "\n")
}

func sortedBytes(b *bytes.Buffer) string {
	sorted := slices.Sorted(slices.Values(b.Bytes()))
	return string(sorted)
}
