// Command kubectl is Kubernetes's command line of the version in go.mod, as the main package
// in Kubernetes's own repository makes it, without the rest of that repository.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() { os.Exit(cli.Run(cmd.NewDefaultKubectlCommand())) }
