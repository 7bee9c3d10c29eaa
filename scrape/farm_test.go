package scrape

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/require"
)

// The farm in full is make farm: 10,000 targets at 15 s with a jitter of 50 ms.
var (
	farmTargets  = flag.Int("farm-targets", 500, "targets of the farm")
	farmInterval = flag.Duration("farm-interval", 1500*time.Millisecond, "interval at which the farm is scraped")
	farmRounds   = flag.Int("farm-rounds", 3, "scrapes of each target of the farm")
	farmJitter   = flag.Duration("farm-jitter", 250*time.Millisecond, "99th percentile of how late the scrapes of the farm may begin")
)

const (
	// farmVariable makes the test binary a farm: its connections are not to count
	// for the scraper's limit of open files.
	farmVariable = "GNOMON_TEST_FARM"
	farmSamples  = 100
)

// serveFarm answers scrapes until standard input ends. Its address is the first line
// of the output.
func serveFarm() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	var scraped atomic.Int64
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := scraped.Add(1)
		w.Header().Set("Content-Type", plainType)
		for i := range farmSamples {
			fmt.Fprintf(w, "farm_metric_with_a_name{number=\"%d\",kind=\"a label value\"} %d\n", i, n/int64(i+1))
		}
	})}
	go func() { _ = server.Serve(l) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startFarm starts a farm in a process of its own and returns its address.
func startFarm(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	farm := exec.Command(self)
	farm.Env, farm.Stderr = append(os.Environ(), farmVariable+"=1"), os.Stderr
	in, err := farm.StdinPipe()
	require.NoError(t, err)
	out, err := farm.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, farm.Start())
	t.Cleanup(func() {
		_ = in.Close()
		require.NoError(t, farm.Wait())
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(address)
}

// connections counts those that are dialled and open.
type connections struct {
	address             string
	dialled, open, most atomic.Int64
}

func (c *connections) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	c.dialled.Add(1)
	now := c.open.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	return &countedConnection{Conn: conn, of: c}, nil
}

type countedConnection struct {
	net.Conn
	of   *connections
	once sync.Once
}

func (c *countedConnection) Close() error {
	c.once.Do(func() { c.of.open.Add(-1) })
	return c.Conn.Close()
}

// TestFarm scrapes many targets, each with a connection of its own, for real.
func TestFarm(t *testing.T) {
	conns := &connections{address: startFarm(t)}
	m, err := New(Options{
		TimestampTolerance: -1, // timestamps are to be when scrapes began
		ReloadInterval:     time.Nanosecond,
		HTTPClientOptions:  []config_util.HTTPClientOption{config_util.WithDialContextFunc(conns.dial)},
	}, nothing{})
	require.NoError(t, err)
	interval := model.Duration(*farmInterval)
	require.NoError(t, m.ApplyConfig(loadJobs(t, job(fmt.Sprintf("scrape_interval: %s", interval), fmt.Sprintf("scrape_timeout: %s", interval))), SeriesLimits{}))
	ctx, cancel := context.WithCancel(context.Background())
	updates := make(chan map[string][]*targetgroup.Group)
	var run sync.WaitGroup
	run.Go(func() { require.NoError(t, m.Run(ctx, updates)) })
	defer func() {
		cancel()
		run.Wait()
		m.allPools()["test"].clients.closeIdle()
	}()
	goroutines, busy := runtime.NumGoroutine(), processTime(t)
	updates <- map[string][]*targetgroup.Group{"test": {addressGroup("farm", upTo(*farmTargets)...)}}

	var targets []*Target
	most := 0
	require.Eventually(t, func() bool {
		most = max(most, runtime.NumGoroutine()-goroutines)
		targets = m.TargetsActive()["test"]
		for _, target := range targets {
			if len(target.Records()) < *farmRounds {
				return false
			}
		}
		return len(targets) == *farmTargets
	}, time.Duration(*farmRounds+2)**farmInterval+10*time.Second, *farmInterval/5)
	busy = processTime(t) - busy

	var late []time.Duration
	scrapes := 0
	loops := m.allPools()["test"].loops
	for _, target := range targets {
		records := target.Records()
		scrapes += len(records)
		schedule := loops[target.hash].settings.Load().schedule
		before := int64(0)
		for _, r := range records {
			require.NoError(t, r.Err)
			require.Equal(t, farmSamples, r.Samples)
			// Timestamps are cut to the millisecond.
			began := r.Start.Add(time.Millisecond - 1).UnixNano()
			slot := schedule.at(began)
			if before != 0 {
				require.Equal(t, before+schedule.interval, slot, "a slot was missed")
			}
			before = slot
			late = append(late, time.Duration(began-slot))
		}
	}
	slices.Sort(late)
	p99 := late[len(late)*99/100]
	t.Logf("%d targets at %v: %d scrapes of %d samples; began late by %v (median), %v (99 %%), %v (most); %v of processor time a scrape; at most %d goroutines and %d connections, %d dialled",
		*farmTargets, *farmInterval, scrapes, farmSamples, late[len(late)/2], p99, late[len(late)-1],
		(busy / time.Duration(scrapes)).Round(time.Microsecond), most, conns.most.Load(), conns.dialled.Load())
	require.Zero(t, testutil.ToFloat64(m.metrics.slotsSkipped))
	require.LessOrEqual(t, p99, *farmJitter)
	// A loop, and the two of a connection that stays open.
	require.LessOrEqual(t, most, 3**farmTargets+20)
	require.LessOrEqual(t, conns.most.Load(), int64(*farmTargets))
	require.LessOrEqual(t, conns.dialled.Load(), int64(*farmTargets)+int64(*farmTargets)/100, "connections are used again")
}

func processTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// upTo returns the numbers from 0 up to n, without it.
func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
