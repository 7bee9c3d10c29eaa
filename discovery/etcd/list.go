package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxPageGrowth is how many times the first page the largest may be.
	maxPageGrowth = 20
	// pageBytes is the size that pages grow to; it keeps the memory that etcd needs to
	// answer within bounds.
	pageBytes = 4 << 20
)

// list reads all keys at one revision, makes them the state and sends the difference.
// If it fails, the state is what it was.
func (d *Discovery) list(ctx context.Context, client *clientv3.Client, up chan<- []*targetgroup.Group) error {
	start := time.Now()
	l := lister{
		client:  client,
		timeout: time.Duration(d.cfg.DialTimeout),
		page:    d.tuning.pageSize,
		maxPage: maxPageGrowth * d.tuning.pageSize,
	}
	l.next, l.end = d.cfg.keyRange()
	snap := d.state.begin()
	for !l.done {
		page, err := l.nextPage(ctx)
		if err != nil {
			return fmt.Errorf("list keys from %q: %w", l.next, err)
		}
		snap.add(page)
		if snap.full() {
			// What is left would be read to be refused.
			snap.refuseRest(l.rest)
			break
		}
	}
	changed := snap.commit(l.rev)
	d.metrics.listed(d.gauges.config, d.mustList, time.Since(start))
	d.logger.Info("etcd discovery has read all keys", "reason", d.mustList,
		"revision", l.rev, "keys", len(d.state.keys), "changed_groups", len(changed.groups))
	d.cluster, d.listed, d.mustList = l.cluster, start, ""
	return d.publish(ctx, up, changed)
}

// lister reads a range of keys page by page, all at the revision of the first page. The
// size of a page adapts to what fits into one message.
type lister struct {
	client  *clientv3.Client
	timeout time.Duration

	// next and end bound what is left to read.
	next, end string
	// page is the number of keys to ask for next, at most maxPage.
	page, maxPage int64

	// rev and cluster are those of the first page; rev is 0 before it.
	rev     int64
	cluster uint64
	// rest is the number of keys behind the last page.
	rest int
	// done is set after the last page.
	done bool
}

// nextPage returns the next keys.
func (l *lister) nextPage(ctx context.Context) ([]keyValue, error) {
	for {
		resp, err := l.get(ctx, l.page)
		switch {
		case err == nil:
			// etcd counts the keys that are left for every page, so that small ones
			// make a list take time with the square of its length.
			if (*etcdserverpb.RangeResponse)(resp).Size() < pageBytes/2 {
				l.page = min(2*l.page, l.maxPage)
			}
			return l.take(resp, false), nil
		case !isTooLarge(err):
			return nil, err
		case l.page > 1:
			l.page /= 2
		default:
			// A single value that does not fit into a message: take its key alone, so
			// that the others are not lost because of it.
			resp, err := l.get(ctx, 1, clientv3.WithKeysOnly())
			if err != nil {
				return nil, err
			}
			return l.take(resp, true), nil
		}
	}
}

func (l *lister) get(ctx context.Context, limit int64, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, done := bound(ctx, l.timeout)
	opts = append(opts, clientv3.WithRange(l.end), clientv3.WithLimit(limit), clientv3.WithRev(l.rev))
	resp, err := l.client.Get(ctx, l.next, opts...)
	return resp, done(err)
}

// take notes how far resp goes and returns its keys.
func (l *lister) take(resp *clientv3.GetResponse, oversize bool) []keyValue {
	if l.rev == 0 {
		l.rev, l.cluster = resp.Header.Revision, resp.Header.ClusterId
	}
	page := make([]keyValue, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		page = append(page, keyValueOf(kv, oversize))
	}
	l.done = !resp.More || len(resp.Kvs) == 0
	l.rest = int(resp.Count) - len(resp.Kvs)
	if len(resp.Kvs) > 0 {
		// The next key in byte order after the last one.
		l.next = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	return page
}

func keyValueOf(kv *mvccpb.KeyValue, oversize bool) keyValue {
	return keyValue{
		key:      string(kv.Key),
		value:    kv.Value,
		rev:      kv.ModRevision,
		created:  kv.CreateRevision,
		oversize: oversize,
	}
}

// isTooLarge reports whether err is the client's refusal to receive a large message.
// etcd's own errors of the same code (too many requests, no space) are told apart.
func isTooLarge(err error) bool {
	if _, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return false
	}
	return status.Code(err) == codes.ResourceExhausted
}
