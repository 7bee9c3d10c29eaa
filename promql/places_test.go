package promql

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/promql/exec"
)

func testPlaces(most, waiting int) *places {
	return newPlaces(most, waiting, newMetrics(nil, most, exec.NewTotalMemory(0), nil, nil))
}

// order has what ran, in order.
type order struct {
	mu   sync.Mutex
	list []string
}

func (o *order) add(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, name)
}

func (o *order) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list)
}

// crowd is queries that take a place for a while.
type crowd struct {
	t      *testing.T
	places *places
	ran    order
	all    sync.WaitGroup
}

// query comes, and is running or waiting when it returns.
func (c *crowd) query(class Class, name string, takes time.Duration) {
	c.all.Go(func() {
		place, err := c.places.take(context.Background(), class)
		if err != nil {
			c.t.Error(err)
			return
		}
		c.ran.add(name)
		time.Sleep(takes)
		c.places.release(place, class)
	})
	synctest.Wait()
}

// TestPlacesGoToTheMostUrgent lets queries of all classes wait for two places, of which one is for
// rules only.
func TestPlacesGoToTheMostUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, places: testPlaces(2, 100)}
		for i := range 3 {
			c.query(ClassAdHoc, fmt.Sprint("ad hoc ", i), 3*time.Second/2)
		}
		c.query(ClassDashboard, "dashboard 0", time.Second)
		c.query(ClassRule, "rule 0", time.Second)
		c.query(ClassRule, "rule 1", time.Second)
		require.Equal(t, []string{"ad hoc 0", "rule 0"}, c.ran.all(), "one place is for rules")
		waiting := c.places.metrics.waiting.WithLabelValues("ad-hoc")
		require.Equal(t, 2.0, testutil.ToFloat64(waiting))
		c.all.Wait()
		require.Equal(t, []string{"ad hoc 0", "rule 0", "rule 1", "dashboard 0", "ad hoc 1", "ad hoc 2"}, c.ran.all())
		require.Len(t, c.places.mu.free, 2)
		require.Zero(t, testutil.ToFloat64(waiting))
	})
}

// TestNobodyWaitsForEver has so many dashboards that there is always one waiting.
func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, places: testPlaces(1, 1000)}
		c.query(ClassDashboard, "first", time.Second)
		time.Sleep(time.Millisecond)
		c.query(ClassAdHoc, "ad hoc", time.Second)
		time.Sleep(time.Millisecond)
		for range 30 {
			c.query(ClassDashboard, "dashboard", time.Second)
		}
		c.all.Wait()
		require.Contains(t, c.ran.all()[:longestFirst+1], "ad hoc")
	})
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlaces(1, 1)
		ctx := context.Background()
		place, err := p.take(ctx, ClassAdHoc)
		require.NoError(t, err)

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		errs := make(chan error)
		go func() {
			_, err := p.take(short, ClassDashboard)
			errs <- err
		}()
		synctest.Wait()
		_, err = p.take(ctx, ClassRule)
		require.ErrorIs(t, err, errQueueFull)
		require.ErrorContains(t, err, "1 queries run and 1 wait")
		require.Equal(t, 1.0, testutil.ToFloat64(p.metrics.refused.WithLabelValues("rule")))
		require.ErrorIs(t, <-errs, context.DeadlineExceeded)
		p.release(place, ClassAdHoc)
		require.Len(t, p.mu.free, 1)
		place, err = p.take(ctx, ClassDashboard)
		require.NoError(t, err, "who gave up takes no place")
		p.release(place, ClassDashboard)
	})
}

// TestPlacesUnderLoad hands each place to one query at a time.
func TestPlacesUnderLoad(t *testing.T) {
	p := testPlaces(5, 10_000)
	var mu sync.Mutex
	taken := map[int]bool{}
	var queries sync.WaitGroup
	for i := range 2000 {
		queries.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			if i%7 == 0 {
				go cancel()
			}
			defer cancel()
			class := Class(i % int(numClasses))
			place, err := p.take(ctx, class)
			if err != nil {
				return
			}
			mu.Lock()
			if taken[place] {
				t.Errorf("place %d is taken twice", place)
			}
			taken[place] = true
			mu.Unlock()
			mu.Lock()
			taken[place] = false
			mu.Unlock()
			p.release(place, class)
		})
	}
	queries.Wait()
	require.Len(t, p.mu.free, 5)
	require.Zero(t, p.mu.rules)
	require.Zero(t, p.waitingLocked())
}
