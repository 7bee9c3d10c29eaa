package etcd

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gnomonhq/gnomon/discovery/etcd/registration"
)

// registered runs a registration until the test ends, or until stop is called.
func registered(t *testing.T, opts registration.Options) (log *syncBuffer, stop func() error) {
	t.Helper()
	log = &syncBuffer{}
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- registration.Run(ctx, opts) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return log, stop
}

// leaseOf returns the lease of a key, 0 if there is no such key, or no etcd just now.
func leaseOf(t *testing.T, c *clientv3.Client, key string) clientv3.LeaseID {
	resp, err := c.Get(bounded(t), key)
	if err != nil || len(resp.Kvs) == 0 {
		return 0
	}
	return clientv3.LeaseID(resp.Kvs[0].Lease)
}

func TestRegistrationIsKeptAndRemoved(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	f := follow(t, baseConfig(server.client.Host))
	opts := registration.Options{
		Endpoints: []string{server.client.Host}, Key: "/s/api/1", TTL: 2 * time.Second,
		Targets: []string{"a:1", "b:2"}, Labels: map[string]string{"env": "prod"},
	}
	log, stop := registered(t, opts)
	want := map[string]string{"/s/api/1": "a:1 b:2"}
	f.await(want)

	// It outlives its time to live, as it is renewed.
	first := leaseOf(t, c, opts.Key)
	require.NotZero(t, first)
	began := time.Now()
	f.until("a time to live has passed", func() bool { return time.Since(began) > opts.TTL+opts.TTL/2 })
	require.Equal(t, first, leaseOf(t, c, opts.Key))

	// A lease that is lost, or a key, is replaced.
	_, err := c.Revoke(bounded(t), first)
	require.NoError(t, err)
	f.until("registered again", func() bool { l := leaseOf(t, c, opts.Key); return l != 0 && l != first })
	second := leaseOf(t, c, opts.Key)
	deleteKey(t, c, opts.Key)
	f.until("registered again", func() bool { l := leaseOf(t, c, opts.Key); return l != 0 && l != second })
	require.Contains(t, log.String(), "not registered in etcd")
	f.await(want)

	// So it is when etcd comes back.
	server.stop()
	start(t, server)
	f.until("still or again registered", func() bool { return leaseOf(t, c, opts.Key) != 0 })

	require.NoError(t, stop())
	f.await(map[string]string{})
	leases, err := c.Leases(bounded(t))
	require.NoError(t, err)
	require.Empty(t, leases.Leases, "no lease is left behind")
}

// A lease that is lost just before the end is no failure to remove the targets.
func TestRegistrationEndsAfterItsLease(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	for range 5 {
		_, stop := registered(t, registration.Options{Endpoints: []string{server.client.Host}, Key: "/s/a", Targets: []string{"a:1"}})
		require.Eventually(t, func() bool { return leaseOf(t, c, "/s/a") != 0 }, patience, 5*time.Millisecond)
		_, err := c.Revoke(bounded(t), leaseOf(t, c, "/s/a"))
		require.NoError(t, err)
		require.NoError(t, stop())
		require.Zero(t, leaseOf(t, c, "/s/a"))
	}
}

// A program that dies cannot remove its target; its lease does.
func TestTargetsEndWithTheirLease(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	p := newProxy(t, server.client.Host)
	f := follow(t, baseConfig(server.client.Host))
	_, stop := registered(t, registration.Options{
		Endpoints: []string{p.address()}, Key: "/s/api/1", TTL: 2 * time.Second, Timeout: time.Second, Targets: []string{"a:1"},
	})
	f.await(map[string]string{"/s/api/1": "a:1"})
	p.set("", false)
	f.await(map[string]string{})
	p.set(server.client.Host, false)
	f.await(map[string]string{"/s/api/1": "a:1"})
	p.set("", false)
	err := stop()
	require.ErrorContains(t, err, "disappears with its lease within 2s")
}

func TestRegistrationRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	err := registration.Run(t.Context(), registration.Options{TTL: 1500 * time.Millisecond, Targets: []string{" "}})
	for _, want := range []string{"no endpoint", "no key", "a target is empty", "whole seconds"} {
		require.ErrorContains(t, err, want)
	}
	// What is wrong with the credentials is said, and tried again.
	log, _ := registered(t, registration.Options{
		Endpoints: []string{address(t)}, Key: "/s/a", Targets: []string{"a:1"},
		Login: func() (string, string, error) { return "", "", errors.New("no password") },
	})
	require.Eventually(t, func() bool { return strings.Count(log.String(), "no password") > 1 }, patience, 10*time.Millisecond)
}
