package etcd

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// putMany writes n keys, many in one transaction.
func putMany(t *testing.T, c *clientv3.Client, n int) {
	t.Helper()
	const batch = 100
	for i := 0; i < n; i += batch {
		var ops []clientv3.Op
		for k := i; k < min(i+batch, n); k++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/s/job-%d/%06d", k%20, k),
				fmt.Sprintf(`{"targets":["10.%d.%d.%d:8080"],"labels":{"env":"prod","zone":"z%d"}}`, k>>16, k>>8&255, k&255, k%3)))
		}
		_, err := c.Txn(bounded(t)).Then(ops...).Commit()
		require.NoError(t, err)
	}
}

// A hundred thousand keys are read in pages, and a change of one of them costs that key
// only: one group is sent, and no key is read again.
func TestFollowManyKeys(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	const n = 100_000
	putMany(t, c, n)
	cfg := baseConfig(server.client.Host)
	cfg.KeyTemplate = "/s/{job}/{instance}"
	cfg.MaxKeys = n
	began := time.Now()
	f := follow(t, cfg)
	f.awaitUp()
	t.Logf("%d keys after %s", n, time.Since(began))
	require.Len(t, f.targets(), n)

	updates := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.mu.updates
	}
	require.Equal(t, 1, updates())
	putKey(t, c, "/s/job-0/000000", "10.9.9.9:1")
	f.until("the change", func() bool { return f.targets()["/s/job-0/000000"] == "10.9.9.9:1" })
	require.Equal(t, 2, updates())
	require.Equal(t, 1, f.sent("/s/job-1/000001"))
	require.Equal(t, 1.0, f.lists(relistStart))
}

// A prefix with far more keys than are wanted is not read to its end, and what is left is
// counted.
func TestFollowTooManyKeys(t *testing.T) {
	t.Parallel()
	server := newCluster(t, 1, nil)[0]
	c := server.dial()
	const n, limit = 20_000, 1_000
	putMany(t, c, n)
	cfg := baseConfig(server.client.Host)
	cfg.MaxKeys, cfg.RefreshInterval = limit, model.Duration(time.Second)
	f := follow(t, cfg, func(u *tuning) { u.pageSize = 100 })
	f.awaitUp()
	require.Len(t, f.targets(), limit)
	require.EqualValues(t, n-limit, f.d.gauges.refusedKeys.Load())
	require.Contains(t, f.log.String(), "max_keys=1000 keys=19000 first=/s/job-1/000001")

	// Known keys keep their place when all keys are read again.
	f.until("read again", func() bool { return f.lists(relistRefresh) >= 1 })
	require.EqualValues(t, n-limit, f.d.gauges.refusedKeys.Load())
	require.Len(t, f.targets(), limit)
	deleteKey(t, c, "/s/job-0/000000")
	f.until("one more gets in", func() bool { _, ok := f.targets()["/s/job-1/000001"]; return ok })
}

// A list ends early only if nothing behind can be wanted.
func TestSnapshotIsFull(t *testing.T) {
	keys := func(names ...string) (page []keyValue) {
		for _, name := range names {
			page = append(page, keyValue{key: name, value: []byte("h:1"), rev: 1, created: 1})
		}
		return page
	}
	s := newState(&parser{template: &Template{}, maxValueSize: 10}, 2)
	snap := s.begin()
	snap.add(keys("b", "c"))
	require.False(t, snap.full(), "there may be no further key")
	snap.add(keys("d"))
	require.True(t, snap.full())
	snap.refuseRest(5)
	require.Equal(t, 6, snap.commit(1).overLimit)

	snap = s.begin()
	snap.add(keys("a", "b"))
	require.False(t, snap.full(), "c is known and may follow")
	snap.add(keys("c"))
	require.True(t, snap.full())
}

// BenchmarkChange has what one changed key costs among few and many others.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			template, err := ParseTemplate("/s/{job}/{instance}")
			require.NoError(b, err)
			s := newState(&parser{template: template, maxValueSize: 1 << 20}, n)
			snap := s.begin()
			for i := range n {
				snap.add([]keyValue{{key: fmt.Sprintf("/s/a/%d", i), value: []byte("h:1"), rev: 1, created: 1}})
			}
			snap.commit(1)
			b.ReportAllocs()
			rev := int64(1)
			for b.Loop() {
				rev++
				value := fmt.Appendf(nil, "h:%d", rev%1000+1)
				s.applyEvents([]event{{keyValue: keyValue{key: "/s/a/7", value: value, rev: rev, created: 1}}})
			}
		})
	}
}
