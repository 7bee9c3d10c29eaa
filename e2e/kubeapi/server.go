package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // The server's own main package has these two;
	_ "k8s.io/component-base/metrics/prometheus/version"  // its /metrics lacks metrics without them.
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// serverArgs returns the flags of the API server.
func serverArgs(dir, store string, port int) []string {
	return []string{
		"--etcd-servers=" + store,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--cert-dir=" + filepath.Join(dir, certificates),
		"--token-auth-file=" + filepath.Join(dir, tokensFile),
		"--service-account-key-file=" + filepath.Join(dir, keyFile),
		"--service-account-signing-key-file=" + filepath.Join(dir, keyFile),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		// It would register the address it listens on, and loopback is refused.
		"--endpoint-reconciler-type=none",
		// It would refuse every pod, as nothing makes the accounts named default.
		"--disable-admission-plugins=ServiceAccount",
	}
}

// startServer starts the API server. The channel tells how it ended; it does when ctx ends.
func startServer(ctx context.Context, dir, store string, listener net.Listener, args []string) (<-chan error, error) {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	sections := opts.Flags()
	for _, section := range sections.FlagSets {
		flags.AddFlagSet(section)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := flags.Parse(append(serverArgs(dir, store, port), args...)); err != nil {
		return nil, err
	}
	opts.SecureServing.Listener = listener
	registry := opts.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return nil, err
	}
	if err := logsapi.ValidateAndApply(opts.Logs, registry.FeatureGateFor("kube")); err != nil {
		return nil, err
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if faults := completed.Validate(); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, completed) }()
	return ended, nil
}

// waitReady waits until the server says that it is ready, or has ended.
func waitReady(ctx context.Context, url, dir string, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready(ctx, url, dir) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("the API server ended before it was ready: %w", err)
		case <-tick.C:
		}
	}
	return nil
}

func ready(ctx context.Context, url, dir string) bool {
	// This fails until the server has written its certificate.
	client, err := rest.HTTPClientFor(adminConfig(dir, url))
	if err != nil {
		return false
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == http.StatusOK && string(body) == "ok"
}
