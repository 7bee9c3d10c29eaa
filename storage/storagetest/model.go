package storagetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
)

// Model is a store that keeps every sample in maps, under one lock. The zero
// value is not usable; see NewModel.
type Model struct {
	// outOfOrder is the window that late samples are admitted in, milliseconds
	// before the newest sample of the store.
	outOfOrder int64

	mu struct {
		sync.RWMutex
		closed  bool
		series  map[string]*modelSeries // by the labels' bytes
		byRef   []*modelSeries          // reference r is at r-1
		newest  int64                   // greatest timestamp of any sample
		version uint64                  // counts changes; a querier's snapshot
	}
}

// modelSeries is a series with all of its samples, ascending in time.
type modelSeries struct {
	ref       storage.SeriesRef
	labels    labels.Labels
	samples   []Sample
	newest    int64 // greatest timestamp it ever got, deleted or not
	exemplars []exemplar.Exemplar
	metadata  metadata.Metadata
}

// Sample is one sample of a series. Exactly one of V, H and FH counts: FH if it
// is set, then H, then V.
type Sample struct {
	T, ST int64
	V     float64
	H     *histogram.Histogram
	FH    *histogram.FloatHistogram
}

// Kind returns the kind of the sample.
func (s *Sample) Kind() storage.Kind {
	switch {
	case s.FH != nil:
		return storage.KindFloatHistogram
	case s.H != nil:
		return storage.KindHistogram
	default:
		return storage.KindFloat
	}
}

// Equal reports whether two samples are the same to the bit, start timestamp
// included.
func (s *Sample) Equal(o *Sample) bool {
	return s.T == o.T && s.ST == o.ST && s.sameValue(o)
}

func (s *Sample) sameValue(o *Sample) bool {
	switch {
	case s.Kind() != o.Kind():
		return false
	case s.FH != nil:
		return s.FH.Equals(o.FH)
	case s.H != nil:
		return s.H.Equals(o.H)
	default:
		return math.Float64bits(s.V) == math.Float64bits(o.V)
	}
}

// NewModel returns an empty model that admits samples up to outOfOrder
// milliseconds older than the newest sample of the store.
func NewModel(outOfOrder int64) *Model {
	m := &Model{outOfOrder: outOfOrder}
	m.mu.series = map[string]*modelSeries{}
	m.mu.newest = math.MinInt64
	return m
}

// Close refuses every later call.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return storage.ErrClosed
	}
	m.mu.closed = true
	return nil
}

// CheckLabels returns an error that wraps storage.ErrInvalidLabels unless ls is
// a label set that a store takes.
func CheckLabels(ls labels.Labels) error {
	if ls.IsEmpty() {
		return fmt.Errorf("%w: it is empty", storage.ErrInvalidLabels)
	}
	if name, dup := ls.HasDuplicateLabelNames(); dup {
		return fmt.Errorf("%w: label %q is there twice", storage.ErrInvalidLabels, name)
	}
	return ls.Validate(func(l labels.Label) error {
		if l.Name == "" || l.Value == "" || !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) {
			return fmt.Errorf("%w: label %q has the value %q", storage.ErrInvalidLabels, l.Name, l.Value)
		}
		return nil
	})
}

// seriesLocked returns the series of ls, made if it is new.
func (m *Model) seriesLocked(ls labels.Labels) (*modelSeries, error) {
	key := string(ls.Bytes(nil))
	if s := m.mu.series[key]; s != nil {
		return s, nil
	}
	if err := CheckLabels(ls); err != nil {
		return nil, err
	}
	s := &modelSeries{ref: storage.SeriesRef(len(m.mu.byRef) + 1), labels: ls.Copy(), newest: math.MinInt64}
	m.mu.series[key] = s
	m.mu.byRef = append(m.mu.byRef, s)
	return s, nil
}

func (m *Model) byRefLocked(ref storage.SeriesRef) *modelSeries {
	if ref == 0 || ref > storage.SeriesRef(len(m.mu.byRef)) {
		return nil
	}
	return m.mu.byRef[ref-1]
}

// checkLocked says whether the series takes the sample. same means that it has
// it already.
func (m *Model) checkLocked(s *modelSeries, in *Sample) (same bool, err error) {
	if in.H != nil {
		err = in.H.Validate()
	} else if in.FH != nil {
		err = in.FH.Validate()
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", storage.ErrInvalidHistogram, err)
	}
	at, found := s.find(in.T)
	switch {
	case in.T > s.newest:
		return false, nil
	case m.outOfOrder == 0 && in.T < s.newest:
		return false, storage.ErrOutOfOrder
	case m.outOfOrder > 0 && in.T < m.mu.newest-m.outOfOrder:
		return false, storage.ErrTooOld
	case found && s.samples[at].sameValue(in):
		return true, nil
	case found:
		return false, storage.ErrDuplicateSample
	default:
		return false, nil
	}
}

func (s *modelSeries) find(t int64) (int, bool) {
	return slices.BinarySearchFunc(s.samples, t, func(x Sample, t int64) int { return cmp.Compare(x.T, t) })
}

// addLocked adds a sample that checkLocked admitted. The sample slice is copied
// on an insertion, never changed, so that snapshots stay whole.
func (m *Model) addLocked(s *modelSeries, in Sample) {
	if in.H != nil {
		in.H = in.H.Copy()
	}
	if in.FH != nil {
		in.FH = in.FH.Copy()
	}
	at, _ := s.find(in.T)
	s.setResetHint(at, &in)
	if at == len(s.samples) {
		s.samples = append(s.samples, in)
	} else {
		s.samples = slices.Insert(slices.Clone(s.samples), at, in)
		next := &s.samples[at+1]
		if next.H != nil {
			next.H = next.H.Copy()
		}
		if next.FH != nil {
			next.FH = next.FH.Copy()
		}
		s.setResetHint(at+1, next)
	}
	m.mu.newest = max(m.mu.newest, in.T)
	s.newest = max(s.newest, in.T)
	m.mu.version++
}

// setResetHint gives the histogram in, which is or will be sample at, its
// counter reset hint.
func (s *modelSeries) setResetHint(at int, in *Sample) {
	var before Sample
	if at > 0 {
		before = s.samples[at-1]
	}
	if in.H != nil {
		in.H.CounterResetHint = storage.ResetHint(before.H, in.H)
	}
	if in.FH != nil {
		in.FH.CounterResetHint = storage.FloatResetHint(before.FH, in.FH)
	}
}

// addExemplarLocked adds an exemplar unless the series has it already.
func (s *modelSeries) addExemplarLocked(e exemplar.Exemplar) error {
	if n := len(s.exemplars); n > 0 {
		last := s.exemplars[n-1]
		if last.Equals(e) {
			return nil
		}
		if e.Ts <= last.Ts {
			return storage.ErrOutOfOrderExemplar
		}
	}
	s.exemplars = append(s.exemplars, e)
	return nil
}

// Delete removes the samples of the range from the series that match.
func (m *Model) Delete(_ context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return storage.ErrClosed
	}
	for _, s := range m.mu.series {
		if !Matches(s.labels, ms) {
			continue
		}
		s.samples = slices.DeleteFunc(slices.Clone(s.samples), func(x Sample) bool { return x.T >= mint && x.T <= maxt })
	}
	m.mu.version++
	return nil
}

// Matches reports whether ls satisfies every matcher.
func Matches(ls labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

// snapshotLocked copies what a querier of the range sees: the samples of the
// range by series, ascending in labels. Series without a sample are left out.
func (m *Model) snapshotLocked(mint, maxt int64) []modelSeries {
	out := make([]modelSeries, 0, len(m.mu.series))
	for _, s := range slices.Collect(maps.Values(m.mu.series)) {
		from, _ := s.find(mint)
		to, found := s.find(maxt)
		if found {
			to++
		}
		c := *s
		c.samples = s.samples[:0:0]
		if from < to {
			c.samples = s.samples[from:to:to]
		}
		c.exemplars = slices.Clone(s.exemplars)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b modelSeries) int { return labels.Compare(a.labels, b.labels) })
	return out
}
