package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The ways in which a watch ends that call for reading all keys again.
var (
	errCompacted = errors.New("the revision to follow was compacted")
	errHistory   = errors.New("etcd has another history")
	errTooLarge  = errors.New("a change is too large to be received")
)

// watch follows the changes from the revision after the state's and sends them. It
// returns nil when all keys are due to be read again on the same connection, and an
// error when the session is over.
//
// The client's watch resumes by itself after short interruptions, without a gap, and
// would hide long ones; so the connection is probed beside it.
func (d *Discovery) watch(ctx context.Context, client *clientv3.Client, up chan<- []*targetgroup.Group) error {
	changes, cancel, err := d.openWatch(ctx, client)
	if err != nil {
		return err
	}
	defer cancel()
	d.gauges.up.Store(true)

	probe := time.NewTicker(d.tuning.probeInterval)
	defer probe.Stop()
	refresh := time.NewTimer(time.Until(d.listed.Add(time.Duration(d.cfg.RefreshInterval))))
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-refresh.C:
			d.mustList = relistRefresh
			return nil
		case <-probe.C:
			err := d.probe(ctx, client)
			if errors.Is(err, errHistory) {
				d.mustList = relistHistory
			}
			if err != nil {
				return err
			}
			d.healthy = true
		case resp, ok := <-changes:
			if !ok {
				return errors.New("watch: closed by the client")
			}
			if err := d.received(ctx, up, resp); err != nil {
				return err
			}
		}
	}
}

// openWatch returns the channel of changes, which ends with cancel.
func (d *Discovery) openWatch(ctx context.Context, client *clientv3.Client) (clientv3.WatchChan, context.CancelFunc, error) {
	// Without a leader a member that was cut off would accept the watch and stay silent.
	watchCtx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	timeout := time.Duration(d.cfg.DialTimeout)
	timer := time.AfterFunc(timeout, cancel)
	first, end := d.cfg.keyRange()
	changes := client.Watch(watchCtx, first,
		clientv3.WithRange(end),
		clientv3.WithRev(d.state.rev+1),
		clientv3.WithFragment(),
		clientv3.WithProgressNotify())
	if !timer.Stop() {
		cancel()
		return nil, nil, fmt.Errorf("watch: not established within dial_timeout, %s", timeout)
	}
	return changes, cancel, nil
}

// received applies one response of the watch.
func (d *Discovery) received(ctx context.Context, up chan<- []*targetgroup.Group, resp clientv3.WatchResponse) error {
	switch err := resp.Err(); {
	case err == nil:
	case errors.Is(err, rpctypes.ErrCompacted):
		d.mustList = relistCompaction
		return fmt.Errorf("%w: %d, of which %d is the first left", errCompacted, d.state.rev+1, resp.CompactRevision)
	case isTooLarge(err):
		d.mustList = relistOversize
		return fmt.Errorf("%w: %w", errTooLarge, err)
	default:
		return fmt.Errorf("watch: %w", err)
	}
	d.healthy = true
	if resp.IsProgressNotify() {
		d.state.advance(resp.Header.Revision)
		d.gauges.revision.Store(d.state.rev)
		return nil
	}
	events := make([]event, 0, len(resp.Events))
	for _, e := range resp.Events {
		events = append(events, event{
			keyValue: keyValueOf(e.Kv, false),
			deleted:  e.Type == clientv3.EventTypeDelete,
		})
	}
	return d.publish(ctx, up, d.state.applyEvents(events))
}
