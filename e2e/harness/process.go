package harness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// readyWithin bounds every start. It is far above what a start takes, for machines
	// that do several things at once.
	readyWithin = 60 * time.Second
	// stopWithin bounds every stop that is asked for by a signal.
	stopWithin = 30 * time.Second
	// tailLines is how much of a program's output a failed test shows.
	tailLines = 60
	// maxOutput bounds the bytes read back from a program's output.
	maxOutput = 4 << 20
)

// Spec says what to run.
type Spec struct {
	Name string   // Name is what messages call the program.
	Path string   // Path is the executable.
	Args []string // Args are its arguments.
	Dir  string   // Dir is its working folder.
	Env  []string // Env is added to the environment of the test, as name=value.
}

// Process is one run of a program. It is killed when the test ends; if the test failed,
// the end of its output is shown.
type Process struct {
	spec   Spec
	cmd    *exec.Cmd
	log    string        // File with the output of this run, both streams.
	exited chan struct{} // Closed once cmd.Wait has returned.
}

// Start runs a program in the background.
func Start(t testing.TB, spec Spec) *Process {
	t.Helper()
	program, _, _ := strings.Cut(spec.Name, " ")
	log, err := os.CreateTemp(t.TempDir(), program+"-*.log")
	if err != nil {
		t.Fatalf("create a file for the output of %s: %v", spec.Name, err)
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Dir, log, log
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.SysProcAttr = diesWithTest()
	err = cmd.Start()
	if closeErr := log.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatalf("start %s: %v", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		// How it ended is read from cmd.ProcessState.
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { p.cleanup(t) })
	return p
}

// RunCommand runs a program, waits for its end, and returns its exit status and what it
// wrote.
func RunCommand(t testing.TB, spec Spec) (code int, output string) {
	t.Helper()
	p := Start(t, spec)
	code = p.Wait(t)
	return code, p.Output(t)
}

// cleanup ends the run with its test.
func (p *Process) cleanup(t testing.TB) {
	select {
	case <-p.exited:
	default:
		p.Kill(t)
	}
	if t.Failed() {
		t.Logf("%s %s (%s) wrote:\n%s", p.spec.Name, strings.Join(p.spec.Args, " "), p.cmd.ProcessState, p.tail(t))
	}
}

// Output returns what the program has written so far, at most its first 4 MiB.
func (p *Process) Output(t testing.TB) string {
	t.Helper()
	f, err := os.Open(p.log)
	if err != nil {
		t.Fatalf("open the output of %s: %v", p.spec.Name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxOutput))
	if err != nil {
		t.Fatalf("read the output of %s: %v", p.spec.Name, err)
	}
	return string(text)
}

// tail returns the last lines of the output.
func (p *Process) tail(t testing.TB) string {
	lines := strings.Split(strings.TrimRight(p.Output(t), "\n"), "\n")
	if cut := len(lines) - tailLines; cut > 0 {
		lines = append([]string{fmt.Sprintf("(%d lines before these)", cut)}, lines[cut:]...)
	}
	return strings.Join(lines, "\n")
}

// WaitReady waits until a GET of url answers 200, and ends the test if the program exits
// before.
func (p *Process) WaitReady(t testing.TB, client *http.Client, url string) {
	t.Helper()
	err := poll(readyWithin, p.exited, func() error {
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	})
	switch {
	case errors.Is(err, errStopped):
		t.Fatalf("%s exited before it was ready (%s):\n%s", p.spec.Name, p.cmd.ProcessState, p.tail(t))
	case err != nil:
		t.Fatalf("%s was not ready within %s: %v", p.spec.Name, readyWithin, err)
	}
}

// WaitOutput waits until the program has written a text, and ends the test if the program
// exits before.
func (p *Process) WaitOutput(t testing.TB, text string) {
	t.Helper()
	err := poll(readyWithin, p.exited, func() error {
		if !strings.Contains(p.Output(t), text) {
			return fmt.Errorf("%q is not there", text)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s did not write what it should (%v):\n%s", p.spec.Name, err, p.tail(t))
	}
}

// Signal sends sig.
func (p *Process) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("send %s to %s: %v", sig, p.spec.Name, err)
	}
}

// Kill sends SIGKILL, which leaves the program no chance to do anything, and waits for
// its end.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	p.wait(t)
}

// Terminate asks the program to end by SIGTERM, waits for that, and fails the test if it
// did not exit with status 0.
func (p *Process) Terminate(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 0 {
		t.Fatalf("%s exited with status %d after SIGTERM:\n%s", p.spec.Name, code, p.tail(t))
	}
}

// Wait waits for the program to end by itself and returns its exit status, −1 if a signal
// ended it.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	p.wait(t)
	return p.cmd.ProcessState.ExitCode()
}

func (p *Process) wait(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		t.Fatalf("%s did not exit within %s:\n%s", p.spec.Name, stopWithin, p.tail(t))
	}
}

// WriteFile writes a file of a test's folder so that a program sees the old content or
// the new one, never a part.
func WriteFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}
