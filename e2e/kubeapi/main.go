// Command kubeapi is a real Kubernetes API server for tests, and the real etcd that it
// stores in, in one process on 127.0.0.1:
//
//	kubeapi -dir DIR [-port N] [-controllers] [-- flag of kube-apiserver ...]
//
// It prints "ready URL" once it serves, and runs until SIGTERM. The folder keeps what is
// stored, so that the next run goes on with it, and the credentials of two users:
//
//	kubeconfig    of the user admin, who may do everything
//	admin.token   the same user's token
//	guest.token   of the user guest, who may do nothing until a role is bound to him
//	ca.crt        what the server's certificate is checked with
//
// It is the API and nothing else: no kubelet runs pods and fills in their status, nothing
// collects what has lost its owner, and a namespace that is deleted stays as it is. With
// -controllers, endpoints follow services and pods. It is a module of its own because
// Kubernetes needs replacements in go.mod that nobody else shall have.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
)

func main() {
	dir := flag.String("dir", "", "folder of the store, the keys and the credentials; it is made if need be")
	port := flag.Int("port", 0, "port to listen on; 0 for any that is free")
	controllers := flag.Bool("controllers", false, "let endpoints and endpoint slices follow services and pods")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *port, *controllers, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kubeapi:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, dir string, port int, withControllers bool, args []string) error {
	if dir == "" {
		return fmt.Errorf("-dir is missing")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := writeCredentials(dir); err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	store, stopStore, err := startEtcd(dir)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer stopStore()

	// The listener is ours, so that nobody can take the port in between.
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	url := "https://" + listener.Addr().String()
	ended, err := startServer(ctx, dir, store, listener, args)
	if err != nil {
		return fmt.Errorf("start the API server: %w", err)
	}
	if err := waitReady(ctx, url, dir, ended); err != nil {
		return err
	}
	if err := writeClientFiles(dir, url); err != nil {
		return fmt.Errorf("write the files for clients: %w", err)
	}
	if withControllers {
		if err := startControllers(ctx, adminConfig(dir, url)); err != nil {
			return fmt.Errorf("start the controllers: %w", err)
		}
	}
	fmt.Println("ready", url)
	return <-ended
}
