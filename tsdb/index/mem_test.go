package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// oracle is an index that looks at every series.
type oracle map[uint32]labels.Labels

func (m oracle) matching(ms []*labels.Matcher) []uint32 {
	out := []uint32{}
	for id, ls := range m {
		if !slices.ContainsFunc(ms, func(mt *labels.Matcher) bool { return !mt.Matches(ls.Get(mt.Name)) }) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (m oracle) values(name string, ms []*labels.Matcher) []string {
	var out []string
	for _, id := range m.matching(ms) {
		if m[id].Has(name) {
			out = append(out, m[id].Get(name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (m oracle) names(ms []*labels.Matcher) []string {
	var out []string
	for _, id := range m.matching(ms) {
		m[id].Range(func(l labels.Label) { out = append(out, l.Name) })
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func randomLabels(rng *rand.Rand) labels.Labels {
	b := labels.NewScratchBuilder(5)
	b.Add("__name__", fmt.Sprintf("metric_%d", rng.IntN(12)))
	if rng.IntN(3) > 0 {
		b.Add("env", []string{"prod", "dev", "line\nbreak"}[rng.IntN(3)])
	}
	if rng.IntN(2) > 0 {
		b.Add("instance", fmt.Sprintf("host-%d", rng.IntN(200)))
	}
	if rng.IntN(20) == 0 {
		b.Add(fmt.Sprintf("rare%d", rng.IntN(5)), "1")
	}
	return b.Labels()
}

// randomMatcher makes matchers of every type over values of every shape.
func randomMatcher(rng *rand.Rand) *labels.Matcher {
	names := []string{"__name__", "env", "instance", "rare1", "rare2", "absent"}
	values := []string{
		"", "metric_1", "prod", "host-17", "metric_1.*", "host-1.", "host-(1|2|3)", "prod|dev", "prod|", "|prod", ".*", ".+",
		"(?i)PROD", "line.break", ".*od", "m.*", "x", "host-1[0-9]+", "()", "(prod|dev)?", "[^p].*",
	}
	typ := labels.MatchType(rng.IntN(4))
	return labels.MustNewMatcher(typ, names[rng.IntN(len(names))], values[rng.IntN(len(values))])
}

// TestAgainstModel adds and removes series at random, and asks at random.
func TestAgainstModel(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 1))
		symbols := NewSymbols()
		p := NewMemPostings(symbols)
		m := oracle{}
		if seed%2 == 1 {
			p.KnowLabels(func(id uint32, name string) (string, bool) {
				ls, ok := m[id]
				return ls.Get(name), ok
			})
		}
		pairs := map[uint32][]Pair{}
		nextID := uint32(0)
		for step := range 600 {
			if rng.IntN(3) > 0 || len(m) == 0 {
				ls := randomLabels(rng)
				m[nextID] = ls
				pairs[nextID] = symbols.Intern(nil, ls)
				p.Add(nextID, pairs[nextID])
				nextID += 1 + rng.Uint32N(3)
			} else {
				ids := m.matching(nil)
				id := ids[rng.IntN(len(ids))]
				p.Remove(roaring.BitmapOf(id), pairs[id])
				symbols.Release(pairs[id])
				delete(m, id)
				delete(pairs, id)
			}
			if step%3 > 0 {
				continue
			}
			var ms []*labels.Matcher
			for range rng.IntN(4) {
				ms = append(ms, randomMatcher(rng))
			}
			set, err := Select(ctx, p, ms...)
			require.NoError(t, err)
			require.Equal(t, m.matching(ms), append([]uint32{}, set.ToArray()...), "seed %d step %d %v", seed, step, ms)
			for _, name := range []string{"instance", "__name__", "rare1", "absent"} {
				values, err := labelValues(ctx, p, name, ms...)
				require.NoError(t, err)
				require.Equal(t, append([]string{}, m.values(name, ms)...), append([]string{}, values...), "%s of %v", name, ms)
			}
			names, err := labelNames(ctx, p, ms...)
			require.NoError(t, err)
			require.Equal(t, append([]string{}, m.names(ms)...), append([]string{}, names...), "%v", ms)
			total := 0
			p.ValueCounts("instance", func(v string, n int) bool {
				total += n
				require.Equal(t, n, p.Count("instance", v))
				return true
			})
			require.Zero(t, p.Count("instance", "nobody"))
			require.Zero(t, p.Count("no such name", "a"))
			has, err := p.Name("instance")
			require.NoError(t, err)
			require.Equal(t, int(has.GetCardinality()), total)
		}
	}
}

// TestListsOfEverySize grows and shrinks one value's list over the step to bitmaps.
func TestListsOfEverySize(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	pairs := symbols.Intern(nil, labels.FromStrings("a", "b"))
	want := []uint32{}
	for i := range uint32(3 * maxRuns) {
		id := i * 7 % 97
		p.Add(id, pairs)
		p.Add(id, pairs) // Twice is once.
		want = append(want, id)
		slices.Sort(want)
		got, err := p.Value("a", "b")
		require.NoError(t, err)
		require.Equal(t, want, got.ToArray())
	}
	for len(want) > 0 {
		p.Remove(roaring.BitmapOf(want[0]), pairs)
		want = want[1:]
		got, err := p.Value("a", "b")
		require.NoError(t, err)
		require.Equal(t, len(want), int(got.GetCardinality()))
	}
	names, err := p.Names()
	require.NoError(t, err)
	require.Empty(t, names)
	values, err := p.Values("a")
	require.NoError(t, err)
	require.Empty(t, values)
}

// TestResultsBelongToTheCaller changes what was returned.
func TestResultsBelongToTheCaller(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	for id := range uint32(100) {
		p.Add(id, symbols.Intern(nil, labels.FromStrings("a", "b", "c", fmt.Sprint(id))))
	}
	ctx := context.Background()
	for range 2 {
		for _, get := range []func() (*roaring.Bitmap, error){
			p.All,
			func() (*roaring.Bitmap, error) { return p.Name("a") },
			func() (*roaring.Bitmap, error) { return p.Value("a", "b") },
			func() (*roaring.Bitmap, error) {
				return Select(ctx, p, labels.MustNewMatcher(labels.MatchRegexp, "a", "b|c"))
			},
		} {
			set, err := get()
			require.NoError(t, err)
			require.Equal(t, uint64(100), set.GetCardinality())
			set.Clear()
		}
	}
	values, err := labelValues(ctx, p, "c")
	require.NoError(t, err)
	clear(values)
	values, err = labelValues(ctx, p, "c")
	require.NoError(t, err)
	require.NotContains(t, values, "")
}

// TestConcurrently adds and removes series while others ask: what Select returns is whole.
func TestConcurrently(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	ctx := context.Background()
	stable := symbols.Intern(nil, labels.FromStrings("__name__", "stable", "job", "a"))
	for id := range uint32(1000) {
		p.Add(id, stable)
	}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for g := range uint32(3) {
		writers.Go(func() {
			for i := range uint32(1500) {
				ls := labels.FromStrings("__name__", "churn", "instance", fmt.Sprint(g, "-", i), "job", "b")
				pairs := symbols.Intern(nil, ls)
				id := 10_000 + g*10_000 + i
				p.Add(id, pairs)
				if i%3 == 0 {
					p.Remove(roaring.BitmapOf(id), pairs)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				stableOnes, err := Select(ctx, p, labels.MustNewMatcher(labels.MatchEqual, "__name__", "stable"))
				if err != nil || stableOnes.GetCardinality() != 1000 {
					t.Errorf("%d stable series, %v", stableOnes.GetCardinality(), err)
				}
				// A series with the name has the other labels as well.
				named, err := Select(ctx, p, labels.MustNewMatcher(labels.MatchEqual, "__name__", "churn"), labels.MustNewMatcher(labels.MatchNotRegexp, "instance", ".+"))
				if err != nil || !named.IsEmpty() {
					t.Errorf("%d series without an instance, %v", named.GetCardinality(), err)
				}
				if _, err := labelValues(ctx, p, "instance", labels.MustNewMatcher(labels.MatchRegexp, "instance", "1-.*")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	values, err := p.Values("instance")
	require.NoError(t, err)
	require.Len(t, values, 3000)
	require.True(t, slices.IsSortedFunc(values, strings.Compare))
}

// removing takes a series out as soon as its name has been looked up.
type removing struct {
	*MemPostings
	id    uint32
	pairs []Pair
}

func (p removing) Value(name, value string) (*roaring.Bitmap, error) {
	set, err := p.MemPostings.Value(name, value)
	p.Remove(roaring.BitmapOf(p.id), p.pairs)
	return set, err
}

// TestSelectWhileASeriesIsTakenOut makes sure that a series that has lost some of its labels is
// not taken for one that never had them.
func TestSelectWhileASeriesIsTakenOut(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	pairs := symbols.Intern(nil, labels.FromStrings("__name__", "churn", "instance", "a"))
	p.Add(7, pairs)
	set, err := Select(context.Background(), removing{p, 7, pairs},
		labels.MustNewMatcher(labels.MatchEqual, "__name__", "churn"),
		labels.MustNewMatcher(labels.MatchNotRegexp, "instance", ".+"))
	require.NoError(t, err)
	require.True(t, set.IsEmpty())
}

func TestCancelled(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	for id := range uint32(3000) {
		p.Add(id, symbols.Intern(nil, labels.FromStrings("c", fmt.Sprint(id))))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := labels.MustNewMatcher(labels.MatchRegexp, "c", ".*1")
	_, err := Select(ctx, p, m)
	require.ErrorIs(t, err, context.Canceled)
	_, err = labelNames(ctx, p, m)
	require.ErrorIs(t, err, context.Canceled)
	_, err = p.ValuesIn(ctx, roaring.New(), "c")
	require.ErrorIs(t, err, context.Canceled)
	// In the middle of matching.
	ctx, cancel = context.WithCancel(context.Background())
	err = p.AddMatching(ctx, roaring.New(), "c", "", func(string) bool { cancel(); return true })
	require.ErrorIs(t, err, context.Canceled)
}

// TestManyValues matches more values than one goroutine does.
func TestManyValues(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	const n = 2*matchedAtOnce + 100
	name := symbols.Intern(nil, labels.FromStrings("c", "x"))[0].Name
	want := []uint32{}
	for id := range uint32(n) {
		value := fmt.Sprint(id)
		p.Add(id, []Pair{{name, symbols.Intern(nil, labels.FromStrings("c", value))[0].Value}})
		if strings.HasSuffix(value, "77") {
			want = append(want, id)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	set, err := Select(ctx, p, labels.MustNewMatcher(labels.MatchRegexp, "c", ".*77"))
	require.NoError(t, err)
	require.Equal(t, want, set.ToArray())
	set, err = Select(ctx, p, labels.MustNewMatcher(labels.MatchNotRegexp, "c", ".*77"))
	require.NoError(t, err)
	require.Equal(t, n-len(want), int(set.GetCardinality()))
	cancel()
	err = p.AddMatching(ctx, roaring.New(), "c", "", func(string) bool { return true })
	require.ErrorIs(t, err, context.Canceled)
}

// TestValuesNobodyReads bounds what is remembered for sorting.
func TestValuesNobodyReads(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	for id := range uint32(20 * checkEvery) {
		pairs := symbols.Intern(nil, labels.FromStrings("c", fmt.Sprint(id)))
		p.Add(id, pairs)
		if id >= 5 {
			p.Remove(roaring.BitmapOf(id), pairs)
			symbols.Release(pairs)
		}
	}
	l := p.find("c")
	require.LessOrEqual(t, len(l.added), 2*checkEvery)
	values, err := p.Values("c")
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, values)
}

// labelNames and labelValues are what a querier answers: of the series that match.
func labelNames(ctx context.Context, p Postings, ms ...*labels.Matcher) ([]string, error) {
	set, err := Select(ctx, p, ms...)
	if err != nil {
		return nil, err
	}
	return NamesIn(ctx, p, set, nil)
}

func labelValues(ctx context.Context, p Postings, name string, ms ...*labels.Matcher) ([]string, error) {
	set, err := Select(ctx, p, ms...)
	if err != nil {
		return nil, err
	}
	return ValuesIn(ctx, p, set, name, nil)
}

func TestLimits(t *testing.T) {
	symbols := NewSymbols()
	p := NewMemPostings(symbols)
	p.Add(1, symbols.Intern(nil, labels.FromStrings("a", "1", "b", "1")))
	p.Add(2, symbols.Intern(nil, labels.FromStrings("a", "2", "b", "1")))
	set, err := p.All()
	require.NoError(t, err)
	hints := &storage.LabelHints{Limit: 1}
	names, err := NamesIn(context.Background(), p, set, hints)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	values, err := ValuesIn(context.Background(), p, set, "a", hints)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, values)
}
