package rules

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// rows appends vectors to an output, one a second, and returns the refusals.
func rows(t *testing.T, o *output, from int64, vectors ...alerting.Vector) []storage.ColumnError {
	t.Helper()
	var all []storage.ColumnError
	for i, v := range vectors {
		refused, err := o.append((from+int64(i))*1000, v)
		require.NoError(t, err)
		all = append(all, refused...)
	}
	return all
}

func newOutput(t *testing.T) (*output, *rig) {
	store := storagetest.NewModel(0)
	return &output{store: store, origin: "test"}, &rig{t: t, store: store}
}

func TestOutput(t *testing.T) {
	a, b, c := `m{s="a"}`, `m{s="b"}`, `m{s="c"}`
	for name, tc := range map[string]struct {
		vectors []alerting.Vector
		want    map[string]string
	}{
		"nothing ever": {
			vectors: []alerting.Vector{nil, nil},
			want:    map[string]string{},
		},
		"series go on": {
			vectors: []alerting.Vector{vec(a, 1.0, b, 2.0), vec(b, 3.0, a, 4.0)},
			want:    map[string]string{a: "1@0 4@1", b: "2@0 3@1"},
		},
		"a series that vanishes ends": {
			vectors: []alerting.Vector{vec(a, 1.0, b, 2.0), vec(a, 1.0), vec(a, 1.0)},
			want:    map[string]string{a: "1@0 1@1 1@2", b: "2@0 stale@1"},
		},
		"all vanish": {
			vectors: []alerting.Vector{vec(a, 1.0, b, 2.0), nil, nil},
			want:    map[string]string{a: "1@0 stale@1", b: "2@0 stale@1"},
		},
		"a series comes back": {
			vectors: []alerting.Vector{vec(a, 1.0), nil, vec(a, 2.0)},
			want:    map[string]string{a: "1@0 stale@1 2@2"},
		},
		"one takes the column of another": {
			vectors: []alerting.Vector{vec(a, 1.0), vec(b, 2.0), vec(c, 3.0), vec(c, 4.0, a, 5.0)},
			want:    map[string]string{a: "1@0 stale@1 5@3", b: "2@1 stale@2", c: "3@2 4@3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, r := newOutput(t)
			require.Empty(t, rows(t, o, 0, tc.vectors...))
			got := map[string]string{}
			for series, samples := range r.samples("m", time.Unix(0, 0)) {
				got[mustLabels(series).String()] = samples
			}
			want := map[string]string{}
			for series, samples := range tc.want {
				want[mustLabels(series).String()] = samples
			}
			require.Equal(t, want, got)
			require.NoError(t, o.close())
		})
	}
}

// TestOutputColumnsStayDense holds that churn does not widen the rows.
func TestOutputColumnsStayDense(t *testing.T) {
	o, _ := newOutput(t)
	for i := range 200 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		require.Empty(t, rows(t, o, int64(i), vec(`m{s="`+name+`"}`, 1.0, `m{t="`+name+`"}`, 2.0)))
	}
	require.LessOrEqual(t, len(o.row.Values), 4)
	require.Len(t, o.columns, 2)
}

func TestOutputHistograms(t *testing.T) {
	h := func(n float64) *histogram.FloatHistogram {
		return &histogram.FloatHistogram{
			Count: n, Sum: n, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{n},
		}
	}
	o, r := newOutput(t)
	x, y, z := mustLabels(`m{s="x"}`), mustLabels(`m{s="y"}`), mustLabels(`m{s="z"}`)
	refused := rows(t, o, 0,
		alerting.Vector{{Labels: x, H: h(1)}, {Labels: y, V: 2}, {Labels: z, H: h(3)}},
		// Not in the order of the columns, and one of them changes its kind.
		alerting.Vector{{Labels: z, H: h(4)}, {Labels: y, H: h(5)}, {Labels: x, V: 6}},
		alerting.Vector{{Labels: y, H: h(7)}},
	)
	require.Empty(t, refused)
	require.Equal(t, map[string]string{
		x.String(): "h1@0 6@1 stale@2", y.String(): "2@0 h5@1 h7@2", z.String(): "h3@0 h4@1 stale@2",
	}, r.samples("m", time.Unix(0, 0)))
}

func TestOutputRefusals(t *testing.T) {
	o, r := newOutput(t)
	other := &output{store: r.store}
	a, b := `m{s="a"}`, `m{s="b"}`
	require.Empty(t, rows(t, other, 5, vec(a, 100.0)))

	// Out of order for one column only: the others of the row are stored.
	refused := rows(t, o, 0, vec(a, 1.0, b, 2.0))
	require.Len(t, refused, 1)
	require.ErrorIs(t, refused[0].Err, storage.ErrOutOfOrder)
	require.Equal(t, mustLabels(a), refused[0].Labels)

	// The refused series never got a sample from here, so it gets no marker; a
	// marker that another rule forestalled is no refusal.
	require.Empty(t, rows(t, other, 6, vec(b, 7.0)))
	require.Empty(t, rows(t, o, 1, nil))
	require.Equal(t, map[string]string{
		mustLabels(a).String(): "100@5 stale@6", mustLabels(b).String(): "2@0 7@6",
	}, r.samples("m", time.Unix(0, 0)))

	// Labels that no series can have.
	bad := alerting.Vector{{Labels: labels.FromStrings("__name__", "m", "s", ""), V: 1}, {Labels: mustLabels(b), V: 8}}
	refused = rows(t, o, 7, bad)
	require.Len(t, refused, 1)
	require.ErrorIs(t, refused[0].Err, storage.ErrInvalidLabels)
	require.Equal(t, "2@0 7@6 8@7", r.samples("m", time.Unix(0, 0))[mustLabels(b).String()])
}

// failingStore is a store whose groups fail to append while err is set.
type failingStore struct {
	*storagetest.Model
	err error
}

type failingGroup struct {
	storage.Group
	store *failingStore
}

func (s *failingStore) OpenGroup(o storage.GroupOptions) (storage.Group, error) {
	g, err := s.Model.OpenGroup(o)
	return &failingGroup{g, s}, err
}

func (g *failingGroup) AppendRow(row *storage.Row) error {
	if g.store.err != nil {
		return g.store.err
	}
	return g.Group.AppendRow(row)
}

// TestOutputStoreFails holds that series which vanished while the store took
// nothing end when it takes something again, and that one which never got a
// sample leaves nothing behind.
func TestOutputStoreFails(t *testing.T) {
	store := &failingStore{Model: storagetest.NewModel(0)}
	o, r := &output{store: store}, &rig{t: t, store: store.Model}
	a, b := `m{s="a"}`, `m{s="b"}`
	require.Empty(t, rows(t, o, 0, vec(a, 1.0)))
	store.err = storage.ErrNoSpace
	_, err := o.append(1000, vec(b, 2.0))
	require.ErrorIs(t, err, storage.ErrNoSpace)
	store.err = nil
	require.Empty(t, rows(t, o, 2, nil))
	require.Equal(t, map[string]string{mustLabels(a).String(): "1@0 stale@2"}, r.samples("m", time.Unix(0, 0)))
	require.Empty(t, o.columns)
}

func TestOutputOpenFails(t *testing.T) {
	store := storagetest.NewModel(0)
	require.NoError(t, store.Close())
	o := &output{store: store}
	_, err := o.append(0, nil)
	require.NoError(t, err, "nothing to write, nothing to open")
	_, err = o.append(0, vec("m", math.Pi))
	require.True(t, errors.Is(err, storage.ErrClosed))
	require.NoError(t, o.close())
}
