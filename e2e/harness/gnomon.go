package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

const (
	// configName is the configuration file's name in the server's folder, the one that
	// the server looks for by default.
	configName = "prometheus.yml"
	// requestWithin bounds every HTTP request of a test.
	requestWithin = 60 * time.Second
	// maxBody bounds the bytes read of an answer.
	maxBody = 64 << 20
)

// Options say how to run the server. The zero value runs it in an empty folder with no
// configuration.
type Options struct {
	Dir    string       // Dir is the working folder; "" for a new one.
	Config string       // Config is the text of prometheus.yml; "" for no such file.
	Args   []string     // Args are added to the listen address.
	Env    []string     // Env is added to the environment, as name=value.
	Client *http.Client // Client talks to the server; nil for a plain one.
	TLS    bool         // TLS makes URL begin with https.
}

// Gnomon is the server under test. It keeps its folder and address over restarts.
type Gnomon struct {
	*Process // The current run, or the last one; nil before the first.

	Dir     string // Dir is the working folder.
	Address string // Address is host:port.
	URL     string // URL has no slash at its end.
	Client  *http.Client

	args, env []string
}

// NewGnomon prepares the server without starting it, so that a test can put files into
// its folder first.
func NewGnomon(t testing.TB, opts Options) *Gnomon {
	t.Helper()
	g := &Gnomon{Dir: opts.Dir, Address: FreeAddress(t), Client: opts.Client, env: opts.Env}
	if g.Dir == "" {
		g.Dir = t.TempDir()
	}
	if g.Client == nil {
		g.Client = &http.Client{Timeout: requestWithin}
	}
	g.URL = "http://" + g.Address
	if opts.TLS {
		g.URL = "https://" + g.Address
	}
	g.args = append([]string{"--web.listen-address=" + g.Address}, opts.Args...)
	if opts.Config != "" {
		g.WriteFile(t, configName, opts.Config)
	}
	return g
}

// StartGnomon prepares the server, starts it and waits until it is ready.
func StartGnomon(t testing.TB, opts Options) *Gnomon {
	t.Helper()
	g := NewGnomon(t, opts)
	g.Start(t)
	return g
}

// Launch starts the server without waiting for anything.
func (g *Gnomon) Launch(t testing.TB) {
	t.Helper()
	path, err := gnomonBinary()
	if err != nil {
		t.Fatal(err)
	}
	g.Process = Start(t, Spec{Name: "gnomon", Path: path, Args: g.args, Dir: g.Dir, Env: g.env})
}

// RunGnomon runs a command of the program under test in a folder, waits for its end, and
// returns its exit status and what it wrote.
func RunGnomon(t testing.TB, dir string, args ...string) (code int, output string) {
	t.Helper()
	path, err := gnomonBinary()
	if err != nil {
		t.Fatal(err)
	}
	return RunCommand(t, Spec{Name: "gnomon " + strings.Join(args, " "), Path: path, Args: args, Dir: dir})
}

// Start starts the server and waits until it is ready.
func (g *Gnomon) Start(t testing.TB) {
	t.Helper()
	g.Launch(t)
	g.WaitReady(t, g.Client, g.URL+"/-/ready")
}

// WaitReplayed waits until the server that was started on data has read its log to the end:
// it is ready before, and answers queries with a warning.
func (g *Gnomon) WaitReplayed(t testing.TB, within time.Duration) {
	t.Helper()
	Eventually(t, within, "the log to be replayed", func() error {
		if _, body := g.Get(t, "/-/ready", nil); strings.Contains(body, "replayed") {
			return errors.New(body)
		}
		return nil
	})
}

// WriteFile replaces a file in the server's folder.
func (g *Gnomon) WriteFile(t testing.TB, name, content string) {
	t.Helper()
	WriteFile(t, filepath.Join(g.Dir, name), content)
}

// WriteConfig replaces the configuration file.
func (g *Gnomon) WriteConfig(t testing.TB, content string) {
	t.Helper()
	g.WriteFile(t, configName, content)
}

// API returns the official client for the server.
func (g *Gnomon) API(t testing.TB) v1.API {
	t.Helper()
	client, err := api.NewClient(api.Config{Address: g.URL, Client: g.Client})
	if err != nil {
		t.Fatal(err)
	}
	return v1.NewAPI(client)
}

// Get sends a GET request and returns the status code and the body.
func (g *Gnomon) Get(t testing.TB, path string, params url.Values) (int, string) {
	t.Helper()
	target := g.URL + path
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	return g.do(t, http.MethodGet, target, "")
}

// Post sends a POST request with a form and returns the status code and the body.
func (g *Gnomon) Post(t testing.TB, path string, form url.Values) (int, string) {
	t.Helper()
	return g.do(t, http.MethodPost, g.URL+path, form.Encode())
}

func (g *Gnomon) do(t testing.TB, method, target, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := g.Client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		t.Fatalf("%s %s: read the body: %v", method, target, err)
	}
	return response.StatusCode, string(text)
}

// Vector evaluates an expression now.
func (g *Gnomon) Vector(t testing.TB, expr string) (model.Vector, error) {
	t.Helper()
	value, err := g.query(t, expr, time.Now())
	if err != nil {
		return nil, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("query %q: got a %s, want a vector", expr, value.Type())
	}
	return vector, nil
}

// Matrix evaluates an expression that ends in a range, at an instant.
func (g *Gnomon) Matrix(t testing.TB, expr string, at time.Time) (model.Matrix, error) {
	t.Helper()
	value, err := g.query(t, expr, at)
	if err != nil {
		return nil, err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("query %q: got a %s, want a matrix", expr, value.Type())
	}
	return matrix, nil
}

func (g *Gnomon) query(t testing.TB, expr string, at time.Time) (model.Value, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestWithin)
	defer cancel()
	value, warnings, _, err := g.API(t).Query(ctx, expr, at)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, err)
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("query %q: unexpected warnings %q", expr, warnings)
	}
	return value, nil
}

// Scalar evaluates an expression that yields exactly one series, and returns its value.
func (g *Gnomon) Scalar(t testing.TB, expr string) (float64, error) {
	t.Helper()
	vector, err := g.Vector(t, expr)
	if err != nil {
		return 0, err
	}
	if len(vector) != 1 {
		return 0, fmt.Errorf("query %q: got %d series, want 1: %v", expr, len(vector), vector)
	}
	return float64(vector[0].Value), nil
}

// WaitFor waits until an expression yields exactly one series with the value want.
func (g *Gnomon) WaitFor(t testing.TB, within time.Duration, expr string, want float64) {
	t.Helper()
	Eventually(t, within, fmt.Sprintf("%s to be %v", expr, want), func() error {
		got, err := g.Scalar(t, expr)
		if err == nil && got != want {
			err = fmt.Errorf("query %q: got %v", expr, got)
		}
		return err
	})
}
