package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// binaryVariable names the environment variable with the path of the server to test.
// Without it the server is built from the repository this module lies in.
const binaryVariable = "GNOMON_BINARY"

// The packages of the peers and of Kubernetes's command lines. Their versions are in go.mod,
// here and in kubetools.
const (
	alertmanagerPackage = "github.com/prometheus/alertmanager/cmd/alertmanager"
	etcdPackage         = "go.etcd.io/etcd/server/v3"
	nodeExporterPackage = "github.com/prometheus/node_exporter"
	helmPackage         = "helm.sh/helm/v4/cmd/helm"
	kubectlPackage      = "github.com/gnomonhq/gnomon/e2e/kubetools/kubectl"
)

// programs holds the functions that build each program once, by package.
var programs = map[string]func() (string, error){
	alertmanagerPackage: buildTool(".", alertmanagerPackage),
	etcdPackage:         buildTool(".", etcdPackage),
	nodeExporterPackage: buildTool(".", nodeExporterPackage),
	helmPackage:         buildTool("kubetools", helmPackage),
	kubectlPackage:      buildTool("kubetools", kubectlPackage),
}

// tool returns the executable of a package that a go.mod names as a tool.
func tool(t testing.TB, pkg string) string {
	t.Helper()
	path, err := programs[pkg]()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildTool returns a function that has the go command build a tool of a module below e2e,
// or find it in the build cache.
func buildTool(module, pkg string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		root, err := repository()
		if err != nil {
			return "", err
		}
		path, err := run(filepath.Join(root, "e2e", module), "go", "tool", "-n", pkg)
		if err != nil {
			return "", fmt.Errorf("build %s: %w", pkg, err)
		}
		return path, nil
	})
}

// repository returns the folder of the repository this module lies in.
func repository() (string, error) {
	goMod, err := run("", "go", "env", "GOMOD")
	return filepath.Dir(filepath.Dir(goMod)), err
}

// binary returns the executable that an environment variable names, or else has it made by
// build, which gets the folder of the repository and the path in its bin/. The output stays
// in place, so that the next run need not link it again.
func binary(variable, name string, build func(root, path string) error) (string, error) {
	if path := os.Getenv(variable); path != "" {
		path, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", variable, err)
		}
		return path, nil
	}
	root, err := repository()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	if err := build(root, path); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}

// gnomonBinary finds or builds the server.
var gnomonBinary = sync.OnceValues(func() (string, error) {
	return binary(binaryVariable, "gnomon", func(root, path string) error {
		_, err := run(root, "go", "build", "-o", path, "./cmd/gnomon")
		return err
	})
})

// run returns the trimmed standard output of a command; its errors carry what the command
// complained about.
func run(dir, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", errors.Join(fmt.Errorf("%s: %w", cmd, err), errors.New(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// Programs returns a folder that has gnomon, etcd and kubectl under these names, to be put
// on the path.
func Programs(t testing.TB) string {
	t.Helper()
	gnomon, err := gnomonBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, path := range map[string]string{
		"gnomon": gnomon, "etcd": tool(t, etcdPackage), "kubectl": tool(t, kubectlPackage),
	} {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
