package storagetest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// Harness tells the suite how to open the store that it tests.
type Harness struct {
	// Open returns a new, empty store that admits samples up to outOfOrder
	// milliseconds late. The suite closes it.
	Open func(t testing.TB, outOfOrder int64) storage.Store
	// Reopen closes the store, if the suite did not, and opens it again with
	// the same data. nil if the store does not survive closing.
	Reopen func(t testing.TB, s storage.Store) storage.Store
	// Flush moves data between the parts of a store: head to block, blocks
	// together. It changes nothing that a reader sees. nil if there is nothing
	// to move.
	Flush func(t testing.TB, s storage.Store)
	// Crash ends the store without closing it, as a loss of power would, and
	// opens what is left, which must be all that was acknowledged. nil if the
	// store promises no such thing.
	Crash func(t testing.TB, s storage.Store) storage.Store
	// Retention is how long the store keeps samples, milliseconds: what is older,
	// compared with the newest sample, may be gone after Flush. 0 is for ever.
	// It must be longer than random operations are late (50 minutes).
	Retention int64
}

// Base is the time that the suite's samples start at, milliseconds.
const Base int64 = 1_790_000_000_000

// check is one promise of the contract.
type check struct {
	name       string
	outOfOrder int64
	run        func(t *testing.T, s storage.Store)
}

// Run drives the store of h through the contract: each check on a new store,
// then, if the store can do it, each once more with its data flushed and once
// more reopened before it is read.
func Run(t *testing.T, h Harness) {
	for _, c := range allChecks() {
		t.Run(c.name, func(t *testing.T) {
			s := h.Open(t, c.outOfOrder)
			defer closeStore(t, s)
			c.run(t, s)
		})
	}
	for _, c := range contents() {
		t.Run("contents/"+c.name, func(t *testing.T) { runContent(t, h, c) })
	}
}

func allChecks() []check {
	var all []check
	all = append(all, groupChecks()...)
	all = append(all, appenderChecks()...)
	all = append(all, orderChecks()...)
	all = append(all, selectChecks()...)
	all = append(all, lifeChecks()...)
	return all
}

func closeStore(t testing.TB, s storage.Store) {
	if err := s.Close(); err != nil {
		require.ErrorIs(t, err, storage.ErrClosed)
	}
}

// Contents is everything that a querier shows, by the text of the labels.
type Contents map[string][]Sample

// Read returns the samples of the range of the series that match. It fails the
// test if the store breaks a promise of reading on the way: order, empty
// batches, lengths, a timeline that is not the same for all.
func Read(t testing.TB, s storage.Queryable, mint, maxt int64, ms ...*labels.Matcher) Contents {
	t.Helper()
	q, err := s.Querier(mint, maxt)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	return ReadQuerier(t, q, mint, maxt, ms...)
}

// ReadAll is Read of the whole time.
func ReadAll(t testing.TB, s storage.Queryable) Contents {
	t.Helper()
	return Read(t, s, math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
}

// ReadQuerier is Read on a querier that is open already and stays open.
func ReadQuerier(t testing.TB, q storage.Querier, mint, maxt int64, ms ...*labels.Matcher) Contents {
	t.Helper()
	out := Contents{}
	timelines := map[string][]int64{}
	set := q.Select(context.Background(), &storage.SelectHints{Sorted: true}, ms...)
	var it storage.BatchIterator
	var batch storage.Batch
	previous := labels.EmptyLabels()
	for set.Next() {
		series := set.At()
		if labels.Compare(previous, series.Labels()) >= 0 {
			t.Fatalf("series out of order: %s, then %s", previous, series.Labels())
		}
		previous = series.Labels()
		if !Matches(previous, ms) {
			t.Fatalf("%s does not match %v", previous, ms)
		}
		var samples []Sample
		it = series.Batches(it)
		for it.Next(&batch) {
			samples = appendBatch(t, samples, &batch, mint, maxt)
			checkTimeline(t, timelines, &batch)
		}
		require.NoError(t, it.Err())
		if len(samples) == 0 {
			t.Fatalf("series %s has no sample", previous)
		}
		out[previous.String()] = samples
	}
	require.NoError(t, set.Err())
	require.Empty(t, set.Warnings())
	return out
}

func appendBatch(t testing.TB, samples []Sample, b *storage.Batch, mint, maxt int64) []Sample {
	t.Helper()
	require.Positive(t, b.Len(), "an empty batch")
	if b.StartTimes != nil {
		require.Len(t, b.StartTimes, b.Len())
	}
	switch b.Kind {
	case storage.KindHistogram:
		require.Len(t, b.Histograms, b.Len())
	case storage.KindFloatHistogram:
		require.Len(t, b.FloatHistograms, b.Len())
	default:
		require.Len(t, b.Values, b.Len())
	}
	for i, ts := range b.Times {
		if ts < mint || ts > maxt {
			t.Fatalf("a sample at %d, outside of [%d, %d]", ts, mint, maxt)
		}
		if n := len(samples); n > 0 && ts <= samples[n-1].T {
			t.Fatalf("samples out of order: %d after %d", ts, samples[n-1].T)
		}
		sample := Sample{T: ts}
		if b.StartTimes != nil {
			sample.ST = b.StartTimes[i]
		}
		switch b.Kind {
		case storage.KindHistogram:
			sample.H = b.Histograms[i].Copy()
		case storage.KindFloatHistogram:
			sample.FH = b.FloatHistograms[i].Copy()
		default:
			sample.V = b.Values[i]
		}
		samples = append(samples, sample)
	}
	return samples
}

// checkTimeline fails if two batches claim the same part of a timeline and have
// different timestamps.
func checkTimeline(t testing.TB, seen map[string][]int64, b *storage.Batch) {
	t.Helper()
	if b.Timeline == 0 {
		return
	}
	key := fmt.Sprint(b.Timeline, b.Offset, b.Len())
	if times, ok := seen[key]; ok {
		require.Equal(t, times, b.Times, "timeline %s is not shared", key)
	}
	seen[key] = append([]int64(nil), b.Times...)
}

// RequireEqual fails unless two stores showed the same, to the bit.
func RequireEqual(t testing.TB, want, got Contents) {
	t.Helper()
	for name, samples := range want {
		have := got[name]
		if len(samples) != len(have) {
			t.Fatalf("%s: %d samples, want %d\nwant %s\ngot  %s", name, len(have), len(samples), text(samples), text(have))
		}
		for i := range samples {
			if !samples[i].Equal(&have[i]) {
				t.Fatalf("%s: sample %d: want %s, got %s", name, i, text(samples[i:i+1]), text(have[i:i+1]))
			}
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Fatalf("a series that should not be there: %s", name)
		}
	}
}

func text(samples []Sample) string {
	var b strings.Builder
	for i := range samples {
		s := &samples[i]
		switch s.Kind() {
		case storage.KindFloatHistogram:
			fmt.Fprintf(&b, " %d@%s", s.T, s.FH)
		case storage.KindHistogram:
			fmt.Fprintf(&b, " %d@%s", s.T, s.H)
		default:
			fmt.Fprintf(&b, " %d@%v(%x)", s.T, s.V, math.Float64bits(s.V))
		}
		if s.ST != 0 {
			fmt.Fprintf(&b, "/%d", s.ST)
		}
	}
	return b.String()
}
