package scrape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/bits"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/scrape/parse"
	"github.com/gnomonhq/gnomon/storage"
)

// recorder writes the scrapes of one target to the store. It holds the target's
// group and knows which of its series have to be ended with a staleness marker.
// It is used by one goroutine.
type recorder struct {
	store   storage.Writer
	metrics *metrics
	log     *slog.Logger
	origin  string

	group     storage.Group // nil until the first scrape
	layout    *parse.Layout
	rules     *rules
	admission admission

	// held has the columns that the group has, live those of them whose last
	// sample is not a staleness marker. A column is held and not live while its
	// target is down, and while the store refuses its samples.
	held, live storage.Bitmap
	synthetic  [syntheticCount]int // columns, -1 if there is none yet
	// tracked has the series with timestamps of their own whose end is to be
	// marked.
	tracked  map[storage.SeriesRef]struct{}
	failures int // in a row
	// refused has the series of the scrape at hand that were refused; refusing says
	// that there were some in the scrape before.
	refused  refusedSeries
	refusing bool

	// tracking says that the end of series with timestamps is to be marked.
	tracking bool

	// Of the scrape at hand.
	added   []storage.Column // columns that its body needed
	refusal error            // of the store, of a series
	current storage.Bitmap   // columns that it has, whether the store takes the samples or not
	stale   storage.Bitmap   // columns that it ends
}

// releaseAfter is the number of failed scrapes in a row after which the columns
// of a target are given back: short outages do not cost rebuilding all of them,
// and a dead target costs nothing.
const releaseAfter = 10

// maxAhead is how far in the future the timestamps of a target may be.
const maxAhead = 10 * time.Minute

var staleMarker = math.Float64frombits(value.StaleNaN)

// errAddSeries marks the errors of the store about a new series.
var errAddSeries = errors.New("add series")

// newRecorder returns the recorder of a loop, which gives it its log.
func newRecorder(store storage.Writer, m *metrics, origin string) *recorder {
	r := &recorder{store: store, metrics: m, origin: origin, layout: parse.NewLayout()}
	for i := range r.synthetic {
		r.synthetic[i] = -1
	}
	return r
}

// open readies the recorder for a scrape with the settings.
func (r *recorder) open(s *settings) error {
	if r.rules == nil || !r.rules.equal(s.rules) {
		r.layout.Reset()
		r.admission = admission{
			target: s.rules.Target, honorLabels: s.rules.HonorLabels, relabelling: s.rules.Relabelling,
			scheme: s.rules.Scheme, limits: s.rules.Limits, builder: labels.NewBuilder(labels.EmptyLabels()),
		}
	}
	r.rules, r.tracking = s.rules, s.trackTimestamps
	if r.group != nil {
		return nil
	}
	group, err := r.store.OpenGroup(storage.GroupOptions{Origin: r.origin})
	if err != nil {
		return fmt.Errorf("open the group of %s: %w", r.origin, err)
	}
	r.group = group
	return nil
}

// read parses a body into sc. After an error, or if the body is empty, sc has no
// samples.
func (r *recorder) read(sc *parse.Scrape, s *settings, body []byte, contentType string) error {
	r.added, r.refusal = r.added[:0], nil
	opts := r.rules.Parse
	opts.Admit, opts.HonorTimestamps = r.admission.admit, s.honorTimestamps
	opts.SampleLimit, opts.BucketLimit, opts.MaxSchema = s.sampleLimit, s.bucketLimit, s.maxSchema
	err := r.layout.Parse(sc, body, contentType, &opts)
	if err == nil {
		r.limitSeries(sc, s.seriesLimit)
		err = r.layout.Commit(sc, r)
	}
	if err != nil {
		r.refused.reset(s.seriesLimit)
		r.layout.Abort(sc)
		for _, c := range r.added {
			if !r.held.Has(c) {
				r.group.ReleaseColumn(c)
			}
		}
		r.countLimit(err)
		return err
	}
	for _, c := range r.added {
		r.held = r.held.Grow(int(c) + 1)
		r.held.Set(c)
	}
	r.tellRefused(s.job)
	if sc.Duplicates > 0 {
		r.metrics.duplicates.Add(float64(sc.Duplicates))
		r.log.Warn("the target exposes series more than once; the first sample of each is stored", "num_dropped", sc.Duplicates)
	}
	return nil
}

func (r *recorder) countLimit(err error) {
	switch {
	case errors.Is(err, parse.ErrSampleLimit):
		r.metrics.exceededSampleLimit.Inc()
	case errors.Is(err, parse.ErrBucketLimit):
		r.metrics.exceededBucketLimit.Inc()
	case errors.Is(err, errLabelLimit):
		r.metrics.exceededLabelLimits.Inc()
	}
}

// AddColumn implements parse.Columns.
func (r *recorder) AddColumn(n *parse.NewSeries) (storage.Column, bool, error) {
	c, err := r.group.AddColumn(n.Labels)
	if errors.Is(err, storage.ErrSeriesLimit) || errors.Is(err, storage.ErrLabelLimit) {
		r.refused.note(n.Labels, true)
		if r.refusal == nil {
			r.refusal = err
		}
		return 0, false, nil
	}
	if err != nil {
		return 0, false, markAs(errAddSeries, fmt.Errorf("add series %s: %w", n.Labels, err))
	}
	r.added = append(r.added, c)
	return c, true, nil
}

// SetMetadata implements parse.Columns.
func (r *recorder) SetMetadata(c storage.Column, m metadata.Metadata) {
	if err := r.group.SetMetadata(c, m); err != nil {
		r.log.Debug("metadata was not stored", "column", c, "err", err)
	}
}

// write completes the row with the synthetic series and with staleness markers
// for the series that it does not have, and appends it. failed says that the row
// has nothing of a body because the scrape failed.
func (r *recorder) write(sc *parse.Scrape, t int64, report [syntheticCount]float64, extra, failed bool) error {
	row := &sc.Row
	row.T = t
	if r.tracking {
		// Series that go on with timestamps of their own have not ended.
		for _, c := range sc.Moved {
			if r.live.Has(c) {
				r.live.Unset(c)
			}
		}
	}
	r.addSynthetic(row, report, extra)
	r.current = append(r.current[:0], row.Present...)
	r.markStale(row)
	if err := r.append(row); err != nil {
		r.live = union(r.live, row.Present)
		return err
	}
	r.live = append(r.live[:0], row.Present...)
	subtract(r.live, r.stale)
	r.release(failed)
	return nil
}

// addSynthetic puts the synthetic series into the row. They win over exposed
// ones with the same labels: a target cannot say itself whether it is up.
func (r *recorder) addSynthetic(row *storage.Row, report [syntheticCount]float64, extra bool) {
	n := syntheticCount
	if !extra {
		n = syntheticExtra
	}
	for i, v := range report[:n] {
		if r.synthetic[i] < 0 {
			c, err := r.group.AddColumn(syntheticLabels(synthetic[i].name, r.rules.Target))
			if err != nil {
				r.log.Warn("a synthetic series was not stored", "series", synthetic[i].name, "err", err)
				continue
			}
			r.synthetic[i] = int(c)
			r.held = r.held.Grow(int(c) + 1)
			r.held.Set(c)
			r.SetMetadata(c, synthetic[i].Metadata)
		}
		setValue(row, storage.Column(r.synthetic[i]), v)
	}
}

// setValue puts a float into a row that may be too short for it.
func setValue(row *storage.Row, c storage.Column, v float64) {
	for len(row.Values) <= int(c) {
		row.Values = append(row.Values, 0)
	}
	for row.StartTimes != nil && len(row.StartTimes) < len(row.Values) {
		row.StartTimes = append(row.StartTimes, 0)
	}
	row.Present = row.Present.Grow(int(c) + 1)
	row.Present.Set(c)
	row.Values[c] = v
}

// markStale adds a staleness marker for each live column that the row does not
// have, and notes these columns in r.stale.
func (r *recorder) markStale(row *storage.Row) {
	r.stale = append(r.stale[:0], r.live...)
	subtract(r.stale, row.Present)
	for w, word := range r.stale {
		for ; word != 0; word &= word - 1 {
			c := storage.Column(w<<6 | bits.TrailingZeros64(word))
			setValue(row, c, staleMarker)
			if row.StartTimes != nil {
				row.StartTimes[c] = 0
			}
		}
	}
}

// append appends the row. Columns that the store refuses are counted and taken
// out of the row's Present; only what concerns the whole row is an error.
func (r *recorder) append(row *storage.Row) error {
	// The buffers may be wider than the group.
	n := width(row.Present)
	row.Values = row.Values[:n]
	row.StartTimes = row.StartTimes[:min(n, len(row.StartTimes))]
	if len(row.StartTimes) == 0 {
		row.StartTimes = nil
	}
	err := r.group.AppendRow(row)
	var refused *storage.RowError
	if !errors.As(err, &refused) {
		return err
	}
	var tally refusals
	for _, c := range refused.Refused {
		if errors.Is(c.Err, storage.ErrOutOfOrderExemplar) {
			tally.exemplars++
			continue
		}
		row.Present.Unset(c.Column)
		// A target that comes back in another loop has newer samples than the
		// markers and the report of this one.
		expected := r.stale.Has(c.Column) || r.isSynthetic(c.Column)
		tally.count(c.Err, expected)
	}
	tally.report(r.metrics, r.log)
	return nil
}

func (r *recorder) isSynthetic(c storage.Column) bool {
	for _, s := range r.synthetic {
		if s == int(c) {
			return true
		}
	}
	return false
}

// release gives back the columns that ended. After a failed scrape the target
// most likely comes back with the same series, so they are kept for a while.
func (r *recorder) release(failed bool) {
	if !failed {
		r.failures = 0
		r.releaseAllBut(r.current)
		return
	}
	if r.failures++; r.failures == releaseAfter {
		r.layout.Reset()
		r.releaseAllBut(r.current)
	}
}

func (r *recorder) releaseAllBut(keep storage.Bitmap) {
	for w, word := range r.held {
		if w < len(keep) {
			word &^= keep[w]
		}
		for ; word != 0; word &= word - 1 {
			c := storage.Column(w<<6 | bits.TrailingZeros64(word))
			r.group.ReleaseColumn(c)
			r.held.Unset(c)
			for i := range r.synthetic {
				if r.synthetic[i] == int(c) {
					r.synthetic[i] = -1
				}
			}
		}
	}
}

// end marks all series stale at t. Those that another loop has written to since
// are left alone by the store.
func (r *recorder) end(ctx context.Context, t int64) error {
	if r.group == nil {
		return nil
	}
	row := storage.Row{T: t}
	r.markStale(&row)
	var err error
	if len(row.Values) > 0 {
		err = r.append(&row)
	}
	return errors.Join(err, r.endTimed(ctx, t))
}

// close gives the group back.
func (r *recorder) close() error {
	if r.group == nil {
		return nil
	}
	if err := r.group.Close(); err != nil {
		return fmt.Errorf("close the group of %s: %w", r.origin, err)
	}
	r.group = nil
	return nil
}

// width returns one more than the largest column in the set.
func width(b storage.Bitmap) int {
	for w := len(b) - 1; w >= 0; w-- {
		if b[w] != 0 {
			return w<<6 + bits.Len64(b[w])
		}
	}
	return 0
}

// union adds the columns of b to a.
func union(a, b storage.Bitmap) storage.Bitmap {
	a = a.Grow(len(b) << 6)
	for w := range b {
		a[w] |= b[w]
	}
	return a
}

// subtract removes the columns of b from a.
func subtract(a, b storage.Bitmap) {
	for w := range min(len(a), len(b)) {
		a[w] &^= b[w]
	}
}
