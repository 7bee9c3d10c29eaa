package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// tutorial follows the blocks of a tutorial in their order, with other ports.
type tutorial struct {
	t      *testing.T
	dir    string
	env    []string
	ports  []string    // ":port" of the text and of the test, in turn.
	blocks [][2]string // language and text
}

func readTutorial(t *testing.T, name string, ports ...string) *tutorial {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "documentation", "tutorial", name))
	require.NoError(t, err)
	tu := &tutorial{t: t, dir: t.TempDir(), env: []string{"PATH=" + harness.Programs(t) + ":" + os.Getenv("PATH")}}
	for _, port := range ports {
		tu.port(port, harness.FreeAddress(t))
	}
	for _, b := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		tu.blocks = append(tu.blocks, [2]string{b[1], b[2]})
	}
	return tu
}

// port has the blocks from here on use the port of an address in place of theirs.
func (tu *tutorial) port(theirs, address string) {
	_, ours, _ := strings.Cut(address, ":")
	tu.ports = append(tu.ports, ":"+theirs, ":"+ours)
}

// next returns the text of the next block, which has to be of the language.
func (tu *tutorial) next(language string) string {
	tu.t.Helper()
	require.NotEmpty(tu.t, tu.blocks)
	block := tu.blocks[0]
	tu.blocks = tu.blocks[1:]
	require.Equal(tu.t, language, block[0], block[1])
	return strings.NewReplacer(tu.ports...).Replace(block[1])
}

// file writes the next block into a file.
func (tu *tutorial) file(name string) {
	tu.t.Helper()
	harness.WriteFile(tu.t, filepath.Join(tu.dir, name), tu.next("yaml"))
}

// start runs the next command in a terminal of its own.
func (tu *tutorial) start(name string) *harness.Process {
	tu.t.Helper()
	return harness.Start(tu.t, harness.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", "exec " + tu.next("sh")}, Dir: tu.dir, Env: tu.env})
}

// ask repeats the next command until its output has the block after it, which is JSON.
func (tu *tutorial) ask() {
	tu.t.Helper()
	tu.until("json")
}

// until repeats the next command until its output has the block after it, which is of the
// language.
func (tu *tutorial) until(language string) {
	tu.t.Helper()
	command, want := tu.next("sh"), strings.TrimSpace(tu.next(language))
	harness.Eventually(tu.t, soon, command, func() error {
		ctx, cancel := context.WithTimeout(tu.t.Context(), soon)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
		cmd.Dir, cmd.Env = tu.dir, append(os.Environ(), tu.env...)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			return fmt.Errorf("want %s, got %s (%v)", want, out, err)
		}
		return nil
	})
}
