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
	blocks [][2]string // language and text
}

func readTutorial(t *testing.T, name string, ports ...string) *tutorial {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "documentation", "tutorial", name))
	require.NoError(t, err)
	replace := make([]string, 0, 2*len(ports))
	for _, port := range ports {
		_, free, _ := strings.Cut(harness.FreeAddress(t), ":")
		replace = append(replace, ":"+port, ":"+free)
	}
	tu := &tutorial{t: t, dir: t.TempDir(), env: []string{"PATH=" + harness.Programs(t) + ":" + os.Getenv("PATH")}}
	for _, b := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		tu.blocks = append(tu.blocks, [2]string{b[1], strings.NewReplacer(replace...).Replace(b[2])})
	}
	return tu
}

// next returns the text of the next block, which has to be of the language.
func (tu *tutorial) next(language string) string {
	tu.t.Helper()
	require.NotEmpty(tu.t, tu.blocks)
	block := tu.blocks[0]
	tu.blocks = tu.blocks[1:]
	require.Equal(tu.t, language, block[0], block[1])
	return block[1]
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

// ask repeats the next command until its output has the block after it.
func (tu *tutorial) ask() {
	tu.t.Helper()
	command, want := tu.next("sh"), strings.TrimSpace(tu.next("json"))
	harness.Eventually(tu.t, soon, command, func() error {
		ctx, cancel := context.WithTimeout(tu.t.Context(), soon)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
		cmd.Dir = tu.dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			return fmt.Errorf("want %s, got %s (%v)", want, out, err)
		}
		return nil
	})
}

// The tutorial does what it says.
func TestTutorialEtcd(t *testing.T) {
	t.Parallel()
	tu := readTutorial(t, "etcd.md", "2379", "2380", "9090")
	tu.start("etcd")
	tu.file("prometheus.yml")
	gnomon := tu.start("gnomon")
	tu.ask()
	registration := tu.start("registration")
	tu.ask()
	registration.Signal(t, os.Interrupt)
	require.Zero(t, registration.Wait(t), registration.Output(t))
	tu.ask()
	require.Empty(t, tu.blocks)
	gnomon.Terminate(t)
}
