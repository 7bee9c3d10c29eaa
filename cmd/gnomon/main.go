package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gnomonhq/gnomon/cmd/gnomon/etcd"
	"github.com/gnomonhq/gnomon/cmd/gnomon/folder"
)

func main() { os.Exit(execute(os.Args[1:])) }

// execute does what the command line says and returns the exit code: 0 after an
// orderly end, 1 after a failure, 2 for a command line that makes no sense.
func execute(args []string) int {
	if len(args) > 0 {
		switch args[0] {
		case folder.Name:
			return folder.Execute(args[1:], os.Stdout, os.Stderr)
		case etcd.Name:
			return etcd.Execute(args[1:], os.Stdout, os.Stderr)
		}
	}
	opts, err := parseFlags(args, os.Stdout)
	switch {
	case errors.Is(err, errInformed):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\nTry '%s --help'.\n", appName, err, appName)
		return 2
	}
	s, err := newServer(opts, os.Stdout)
	if err == nil {
		err = s.run(context.Background())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", appName, err)
		return 1
	}
	return 0
}
