package registration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// minBackoff and maxBackoff bound the time between attempts to register.
const (
	minBackoff = 250 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// The ways in which a registration is lost.
var (
	errLeaseLost  = errors.New("the lease ended: etcd was out of reach for longer than its time to live, or someone revoked it")
	errKeyDeleted = errors.New("someone deleted the key")
)

// Run registers the targets and keeps them registered until ctx ends; then it removes
// them. While etcd is out of reach it goes on trying. It returns an error if the options
// are wrong or the targets could not be removed, in which case they disappear with their
// lease.
func Run(ctx context.Context, opts Options) error {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return err
	}
	value, err := opts.value()
	if err != nil {
		return fmt.Errorf("encode the targets: %w", err)
	}
	backoff := minBackoff
	for {
		r := &registration{opts: &opts, value: value}
		err := r.session(ctx)
		if ctx.Err() != nil {
			return r.ended
		}
		if r.registered {
			backoff = minBackoff
		}
		// Many programs lose their leases at the same time; they do not return at once.
		wait := backoff/2 + rand.N(backoff/2)
		backoff = min(2*backoff, maxBackoff)
		opts.Logger.Warn("not registered in etcd", "key", opts.Key, "err", err, "retry_in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// registration is one lease and its key, over one connection.
type registration struct {
	opts  *Options
	value string

	client *clientv3.Client
	lease  clientv3.LeaseID
	// registered is set once the key was written.
	registered bool
	// ended is what went wrong when the lease was given back.
	ended error
}

// session connects, registers, and returns why the registration was lost. In the end it
// removes the targets, as far as they are still there.
func (r *registration) session(ctx context.Context) (err error) {
	username, password, err := r.opts.Login()
	if err != nil {
		return err
	}
	r.client, err = clientv3.New(clientv3.Config{
		// The client has to outlive ctx, in order to remove the targets.
		Endpoints: r.opts.Endpoints, DialTimeout: r.opts.Timeout, TLS: r.opts.TLS,
		Username: username, Password: password,
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		Logger: zap.NewNop(),
	})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = r.client.Close() }()
	defer func() { r.ended = r.end(ctx) }()
	rev, err := r.register(ctx)
	if err != nil {
		return err
	}
	return r.keep(ctx, rev)
}

// register writes the key under a new lease and returns the revision of that.
func (r *registration) register(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	lease, err := r.client.Grant(ctx, int64(r.opts.TTL/time.Second))
	if err != nil {
		return 0, fmt.Errorf("get a lease: %w", err)
	}
	r.lease = lease.ID
	put, err := r.client.Put(ctx, r.opts.Key, r.value, clientv3.WithLease(r.lease))
	if err != nil {
		return 0, fmt.Errorf("write key %q: %w", r.opts.Key, err)
	}
	r.registered = true
	r.opts.Logger.Info("registered in etcd", "key", r.opts.Key, "targets", r.opts.Targets, "ttl", r.opts.TTL)
	return put.Header.Revision, nil
}

// keep renews the lease until it, or the key, is lost.
func (r *registration) keep(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewals, err := r.client.KeepAlive(ctx, r.lease)
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	changes := r.client.Watch(ctx, r.opts.Key, clientv3.WithRev(rev+1), clientv3.WithFilterPut())
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-renewals:
			if !ok {
				return errLeaseLost
			}
		case change, ok := <-changes:
			switch {
			case !ok:
				return errors.New("the watch of the key ended")
			case change.Err() != nil:
				return fmt.Errorf("watch key %q: %w", r.opts.Key, change.Err())
			case len(change.Events) > 0:
				return errKeyDeleted
			}
		}
	}
}

// end gives the lease back, and the key with it, although ctx may have ended.
func (r *registration) end(ctx context.Context) error {
	if r.lease == clientv3.NoLease {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Timeout)
	defer cancel()
	_, err := r.client.Revoke(ctx, r.lease)
	// A lease that has ended took the key with it.
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("remove key %q: %w; it disappears with its lease within %s", r.opts.Key, err, r.opts.TTL)
	}
	return nil
}
