package harness

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// kubeapiVariable names the environment variable with the path of the Kubernetes API server,
// which e2e/kubeapi builds. Without it, it is built, which takes minutes the first time.
const kubeapiVariable = "KUBEAPI_BINARY"

// Kubernetes is a real Kubernetes API server with the controllers of endpoints, and without
// anything that runs pods. It keeps what is stored, its keys and its address over restarts.
type Kubernetes struct {
	*Process // The current run, or the last one.

	Dir     string // Dir has the credentials: kubeconfig, ca.crt, admin.token, guest.token.
	Address string // Address is host:port.
	URL     string // URL has no slash at its end.
}

// StartKubernetes starts an API server that stores nothing yet.
func StartKubernetes(t testing.TB) *Kubernetes {
	t.Helper()
	k := &Kubernetes{Dir: t.TempDir()}
	k.StartAt(t, FreeAddress(t))
	return k
}

// StartAt starts the server at an address of 127.0.0.1, again if it was stopped before.
func (k *Kubernetes) StartAt(t testing.TB, address string) {
	t.Helper()
	path, err := kubeapiBinary()
	if err != nil {
		t.Fatal(err)
	}
	k.Address, k.URL = address, "https://"+address
	_, port, _ := strings.Cut(address, ":")
	k.Process = Start(t, Spec{Name: "kubeapi", Path: path, Args: []string{"-dir=" + k.Dir, "-port=" + port, "-controllers"}})
	k.WaitOutput(t, "ready "+k.URL)
}

// File returns the path of a file in Dir.
func (k *Kubernetes) File(name string) string { return filepath.Join(k.Dir, name) }

// Config returns the client configuration of the user admin, who may do everything, for the
// address of the current run.
func (k *Kubernetes) Config(t testing.TB) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.File("kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	// The test is not slowed down, and need not read that endpoints are deprecated.
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	return config
}

// Client returns a client of the user admin for the address of the current run.
func (k *Kubernetes) Client(t testing.TB) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(k.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Kubectl runs kubectl in the folder of the repository as the user admin, and returns what
// it wrote.
func (k *Kubernetes) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	return k.mustCommand(t, "kubectl", args)
}

// Helm runs helm in the folder of the repository as the user admin, and returns what it
// wrote.
func (k *Kubernetes) Helm(t testing.TB, args ...string) string {
	t.Helper()
	return k.mustCommand(t, "helm", args)
}

func (k *Kubernetes) mustCommand(t testing.TB, name string, args []string) string {
	t.Helper()
	code, output := k.Command(t, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: status %d:\n%s", name, strings.Join(args, " "), code, output)
	}
	return output
}

// Command runs kubectl or helm like the methods of their names, and returns the exit status,
// too.
func (k *Kubernetes) Command(t testing.TB, name string, args ...string) (code int, output string) {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	return RunCommand(t, Spec{
		Name: name + " " + strings.Join(args, " "),
		Path: tool(t, map[string]string{"kubectl": kubectlPackage, "helm": helmPackage}[name]),
		Args: args,
		Dir:  root,
		// What they keep in the home is kept with the server.
		Env: []string{"KUBECONFIG=" + k.File("kubeconfig"), "HOME=" + k.Dir},
	})
}

// kubeapiBinary finds or builds the API server.
var kubeapiBinary = sync.OnceValues(func() (string, error) {
	return binary(kubeapiVariable, "kubeapi", func(root, path string) error {
		_, err := run(root, filepath.Join(root, "e2e", "kubeapi", "build.sh"), path)
		return err
	})
})
