package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func lifeChecks() []check {
	return []check{
		{"life/a closed group", 0, checkClosedGroup},
		{"life/a closed store", 0, checkClosedStore},
		{"life/many groups at once", 0, checkConcurrent},
	}
}

func checkClosedGroup(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1}}))
	require.NoError(t, g.Close())
	require.ErrorIs(t, g.Close(), storage.ErrClosed)
	require.ErrorIs(t, g.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{1}}), storage.ErrClosed)
	_, err := g.AddColumn(series(1))
	require.ErrorIs(t, err, storage.ErrClosed)
	g.ReleaseColumn(0)
	next := openGroup(t, s, 1)
	require.NoError(t, next.AppendRow(&storage.Row{T: Base + 1000, Values: []float64{2}}))
	RequireEqual(t, Contents{series(0).String(): floats(1, 2)}, ReadAll(t, s))
}

func checkClosedStore(t *testing.T, s storage.Store) {
	g := openGroup(t, s, 1)
	require.NoError(t, g.AppendRow(&storage.Row{T: Base, Values: []float64{1}}))
	q, err := s.Querier(Base, Base)
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	RequireEqual(t, Contents{series(0).String(): floats(1)}, ReadQuerier(t, q, Base, Base, labels.MustNewMatcher(labels.MatchEqual, "i", "0")))
	require.NoError(t, q.Close())
	require.NoError(t, q.Close(), "closing twice is harmless")
	require.NoError(t, <-closed)
	_, err = s.Querier(Base, Base)
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = s.OpenGroup(storage.GroupOptions{})
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorIs(t, g.AppendRow(&storage.Row{T: Base + 1, Values: []float64{1}}), storage.ErrClosed)
	_, err = s.Appender(context.Background()).Append(0, series(0), Base+1, 1)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorIs(t, s.Close(), storage.ErrClosed)
}

// checkConcurrent appends to groups from a goroutine each while readers look,
// and demands that every reader sees whole rows: all columns of a group end at
// the same sample.
func checkConcurrent(t *testing.T, s storage.Store) {
	const groups, columns, rows = 4, 30, 150
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for n := range groups {
		g, err := s.OpenGroup(storage.GroupOptions{Origin: fmt.Sprint(n)})
		require.NoError(t, err)
		for i := range columns {
			_, err := g.AddColumn(labels.FromStrings(model.MetricNameLabel, "m", "g", fmt.Sprint(n), "i", fmt.Sprint(i)))
			require.NoError(t, err)
		}
		writers.Go(func() {
			row := storage.Row{Values: make([]float64, columns)}
			for i := range rows {
				row.T = Base + int64(i)*1000
				for c := range row.Values {
					row.Values[c] = float64(i)
				}
				if err := g.AppendRow(&row); err != nil {
					t.Errorf("group %d row %d: %v", n, i, err)
					return
				}
			}
		})
	}
	for n := range 2 {
		readers.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				if !wholeRows(t, s, fmt.Sprint((n+round)%groups), columns) {
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	for n := range groups {
		got := Read(t, s, Base, Base+1_000_000, labels.MustNewMatcher(labels.MatchEqual, "g", fmt.Sprint(n)))
		require.Len(t, got, columns)
		for name, samples := range got {
			require.Len(t, samples, rows, name)
		}
	}
}

// wholeRows runs outside of the test's goroutine, so it reports and does not
// stop the test.
func wholeRows(t *testing.T, s storage.Store, group string, columns int) bool {
	q, err := s.Querier(Base, Base+1_000_000)
	if err != nil {
		t.Errorf("open a querier: %v", err)
		return false
	}
	defer q.Close()
	set := q.Select(context.Background(), nil, labels.MustNewMatcher(labels.MatchEqual, "g", group))
	seen, length := 0, -1
	var b storage.Batch
	for set.Next() {
		n := 0
		it := set.At().Batches(nil)
		for it.Next(&b) {
			for i, v := range b.Values {
				if b.Times[i] != Base+int64(n)*1000 || v != float64(n) {
					t.Errorf("%s: sample %d is %d@%v", set.At().Labels(), n, b.Times[i], v)
					return false
				}
				n++
			}
		}
		if length >= 0 && n != length {
			t.Errorf("a torn row: %s has %d samples, its neighbour %d", set.At().Labels(), n, length)
			return false
		}
		length = n
		seen++
	}
	if set.Err() != nil || (seen != 0 && seen != columns) {
		t.Errorf("group %s: %d of %d columns, %v", group, seen, columns, set.Err())
		return false
	}
	return true
}
