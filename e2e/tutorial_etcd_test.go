package e2e

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

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
