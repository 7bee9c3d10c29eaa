package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// connect opens a client. Password and certificates are read anew each time, so that
// rotated ones are picked up with the next connection. If there is a user, connect logs
// in and so waits for etcd; otherwise the connection is made in the background. The
// client ends with ctx, and the caller closes it.
func (d *Discovery) connect(ctx context.Context) (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Context:              ctx,
		Endpoints:            d.endpoints,
		DialTimeout:          time.Duration(d.cfg.DialTimeout),
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		MaxCallRecvMsgSize:   d.tuning.maxMessage,
		// A member that is down must not fail a request that another can answer. Beyond
		// that, retrying is ours: it is slower, jittered and counted.
		MaxUnaryRetries: uint(2*len(d.endpoints) + 1),
		// The client logs each retry; what matters of it comes back as an error.
		Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			// gRPC's default grows to two minutes, which would outlast most outages.
			Backoff: backoff.Config{
				BaseDelay:  d.tuning.minBackoff,
				Multiplier: 1.6,
				Jitter:     0.2,
				MaxDelay:   max(d.tuning.minBackoff, d.tuning.maxBackoff/4),
			},
			MinConnectTimeout: time.Duration(d.cfg.DialTimeout),
		}), grpc.WithChainUnaryInterceptor(failFast)},
	}
	if d.cfg.TLSConfig != nil {
		t, err := config.NewTLSConfigWithContext(ctx, d.cfg.TLSConfig)
		if err != nil {
			return nil, fmt.Errorf("tls_config: %w", err)
		}
		cfg.TLS = t
		if name := d.cfg.TLSConfig.ServerName; name != "" {
			// The client would check the certificate against the endpoint instead.
			cfg.DialOptions = append(cfg.DialOptions, grpc.WithAuthority(name))
		}
	}
	if d.cfg.Username != "" {
		password, err := d.password()
		if err != nil {
			return nil, err
		}
		cfg.Username, cfg.Password = d.cfg.Username, password
	}
	client, err := clientv3.New(cfg)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fmt.Errorf("log in: no answer within dial_timeout, %s", cfg.DialTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return client, nil
}

// failFast makes requests fail when no member can be connected to, with the reason. The
// etcd client waits for a connection instead, and when the time is up the reason is lost.
func failFast(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, req, reply, cc, append(opts, grpc.WaitForReady(false))...)
}

// bound limits the time of a request. The returned function explains its error, in case
// it was for that limit, and must be called.
func bound(ctx context.Context, timeout time.Duration) (context.Context, func(error) error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	return bounded, func(err error) error {
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return fmt.Errorf("no answer within dial_timeout, %s", timeout)
		}
		return err
	}
}

// password returns the password, from its file if it has one.
func (d *Discovery) password() (string, error) {
	if d.cfg.PasswordFile == "" {
		return string(d.cfg.Password), nil
	}
	b, err := os.ReadFile(d.cfg.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("password_file: %w", err)
	}
	password := strings.TrimSpace(string(b))
	if password == "" {
		// The client would go on without logging in.
		return "", errors.New("password_file: " + d.cfg.PasswordFile + " is empty")
	}
	return password, nil
}
