package takeover

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	promstorage "github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

const (
	minute = int64(time.Minute / time.Millisecond)
	hour   = 60 * minute
	// start is where two hours begin.
	start = int64(1_790_006_400_000) / rangeLength * rangeLength
)

// content is what a database has: of each series its samples as text, in which
// every bit counts.
type content map[string][]string

func (c content) samples() int {
	n := 0
	for _, list := range c {
		n += len(list)
	}
	return n
}

func text(st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) string {
	switch {
	case h != nil:
		return fmt.Sprintf("%d %d gauge=%v %s", t, st, h.CounterResetHint == histogram.GaugeType, histogramText(h.Schema, h.ZeroThreshold, h.CustomValues, h.Sum, h.Count, h.ZeroCount, h.PositiveSpans, h.NegativeSpans, h.PositiveBuckets, h.NegativeBuckets))
	case fh != nil:
		return fmt.Sprintf("%d %d gauge=%v float %s", t, st, fh.CounterResetHint == histogram.GaugeType, histogramText(fh.Schema, fh.ZeroThreshold, fh.CustomValues, fh.Sum, fh.Count, fh.ZeroCount, fh.PositiveSpans, fh.NegativeSpans, fh.PositiveBuckets, fh.NegativeBuckets))
	default:
		return fmt.Sprintf("%d %d %016x", t, st, math.Float64bits(v))
	}
}

func histogramText(schema int32, zero float64, custom []float64, sum float64, rest ...any) string {
	return fmt.Sprintf("%d %x %v %016x %v", schema, zero, custom, math.Float64bits(sum), rest)
}

// promContent is everything a Prometheus has, by its own readers.
func promContent(t testing.TB, q promstorage.Querier) content {
	t.Helper()
	out := content{}
	set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
	for set.Next() {
		name := set.At().Labels().String()
		it := set.At().Iterator(nil)
		var s samples
		require.NoError(t, s.read(it))
		s.order()
		if list := textOf(&s); len(list) > 0 {
			out[name] = list
		}
	}
	require.NoError(t, set.Err())
	require.NoError(t, q.Close())
	return out
}

func textOf(s *samples) (out []string) {
	for i := range s.runs {
		out = append(out, textOfBatch(&s.runs[i])...)
	}
	return out
}

func textOfBatch(b *storage.Batch) (out []string) {
	for k, t := range b.Times {
		var st int64
		if b.StartTimes != nil {
			st = b.StartTimes[k]
		}
		switch b.Kind {
		case storage.KindHistogram:
			out = append(out, text(st, t, 0, b.Histograms[k], nil))
		case storage.KindFloatHistogram:
			out = append(out, text(st, t, 0, nil, b.FloatHistograms[k]))
		default:
			out = append(out, text(st, t, b.Values[k], nil, nil))
		}
	}
	return out
}

// prometheus is a Prometheus that a test fills.
type prometheus struct {
	t   testing.TB
	dir string
	db  *promtsdb.DB
	app promstorage.AppenderV2
}

func promOptions() *promtsdb.Options {
	o := promtsdb.DefaultOptions()
	o.MaxBlockDuration = 3 * rangeLength
	o.OutOfOrderTimeWindow = 4 * hour
	o.EnableExemplarStorage, o.MaxExemplars = true, 1000
	o.EnableMetadataWALRecords = true
	o.WALCompression = compression.Snappy
	o.WALSegmentSize = 64 << 10
	return o
}

func openPrometheus(t testing.TB, dir string, opts *promtsdb.Options) *prometheus {
	t.Helper()
	db, err := promtsdb.Open(dir, nil, nil, opts, nil)
	require.NoError(t, err)
	db.DisableCompactions()
	return &prometheus{t: t, dir: dir, db: db}
}

func (p *prometheus) begin()  { p.app = p.db.AppenderV2(context.Background()) }
func (p *prometheus) commit() { require.NoError(p.t, p.app.Commit()) }

func (p *prometheus) float(ls labels.Labels, t int64, v float64) { p.add(ls, 0, t, v, nil, nil) }

func (p *prometheus) add(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) {
	p.t.Helper()
	_, err := p.app.Append(0, ls, st, t, v, h, fh, promstorage.AOptions{})
	require.NoError(p.t, err)
}

// scrape appends samples of all kinds at a time, minute n of the server's life.
func (p *prometheus) scrape(n int) {
	t := start + int64(n)*minute
	p.begin()
	for i := range 6 {
		p.float(labels.FromStrings(model.MetricNameLabel, "requests_total", "i", fmt.Sprint(i), "Zone", fmt.Sprint(5-i)), t, float64(n*i))
		p.float(labels.FromStrings(model.MetricNameLabel, "up", "i", fmt.Sprint(i), "job", "x"), t, 1)
	}
	odd := []float64{math.NaN(), math.Float64frombits(value.StaleNaN), math.Inf(1), math.Copysign(0, -1), 1 << 53, 5e-324, 0.1, math.Float64frombits(0x7ff8dead00000001)}
	p.float(labels.FromStrings(model.MetricNameLabel, "odd", "x", `a"\`), t, odd[n%len(odd)])
	p.float(labels.FromStrings("nameless", "yes"), t, math.Sin(float64(n)))
	p.float(labels.FromStrings(model.MetricNameLabel, "churn", "born", fmt.Sprint(n/50)), t, float64(n))
	p.buckets(n, t)
	p.histograms(n, t)
	if n%7 == 0 {
		ls := labels.FromStrings(model.MetricNameLabel, "with_exemplar", "i", "0")
		_, err := p.app.Append(0, ls, 0, t, float64(n), nil, nil, promstorage.AOptions{
			MetricFamilyName: "with_exemplar",
			Metadata:         metadata.Metadata{Type: model.MetricTypeCounter, Help: fmt.Sprintf("help %d", n/200), Unit: "bytes"},
			Exemplars:        []exemplar.Exemplar{{Labels: labels.FromStrings("trace", fmt.Sprint(n)), Value: 1, Ts: t, HasTs: true}},
		})
		require.NoError(p.t, err)
	}
	p.commit()
}

// buckets appends classic histograms, whose series Prometheus has in another order
// than we: le as a string, and before the labels that follow it in the alphabet.
func (p *prometheus) buckets(n int, t int64) {
	for _, method := range []string{"get", "put"} {
		for i, le := range []string{"0.05", "0.5", "5", "10", "+Inf"} {
			p.float(labels.FromStrings(model.MetricNameLabel, "seconds_bucket", "handler", "/", "le", le, "method", method), t, float64(n*(i+1)))
		}
	}
}

func (p *prometheus) histograms(n int, t int64) {
	named := func(name string) labels.Labels { return labels.FromStrings(model.MetricNameLabel, name, "j", "h") }
	p.add(named("h_int"), 0, t, 0, tsdbutil.GenerateTestHistogram(int64(n%90)), nil)
	p.add(named("h_float"), 0, t, 0, nil, tsdbutil.GenerateTestFloatHistogram(int64(n)))
	p.add(named("h_gauge"), 0, t, 0, tsdbutil.GenerateTestGaugeHistogram(int64(n*7%31)), nil)
	p.add(named("h_custom"), 0, t, 0, tsdbutil.GenerateTestCustomBucketsHistogram(int64(n)), nil)
	p.add(named("h_custom_float"), 0, t, 0, nil, tsdbutil.GenerateTestCustomBucketsFloatHistogram(int64(n)))
	schema := int32(n/40%13) - 4
	p.add(named("h_schema"), 0, t, 0, &histogram.Histogram{
		Schema: schema, Count: uint64(n + 3), Sum: float64(n), ZeroThreshold: 1e-128, ZeroCount: 1,
		PositiveSpans: []histogram.Span{{Offset: int32(n / 100), Length: 2}}, PositiveBuckets: []int64{int64(n), 2 - int64(n)},
	}, nil)
	switch n / 25 % 3 {
	case 0:
		p.float(named("changing"), t, float64(n))
	case 1:
		p.add(named("changing"), 0, t, 0, tsdbutil.GenerateTestHistogram(int64(n)), nil)
	default:
		p.add(named("changing"), 0, t, 0, nil, tsdbutil.GenerateTestFloatHistogram(int64(n)))
	}
}

// late appends samples that are up to three hours late, so that the last ones are
// older than the head. None is at the time of another: which one counts then is
// not said.
func (p *prometheus) late(n int) {
	p.begin()
	for i := range 10 {
		t := start + int64(n)*minute - int64(i)*20*minute + int64(n)
		p.float(labels.FromStrings(model.MetricNameLabel, "up", "i", "0", "job", "x"), t, float64(i))
		p.float(labels.FromStrings(model.MetricNameLabel, "late_only", "i", fmt.Sprint(i%3)), t, float64(n))
		p.add(labels.FromStrings(model.MetricNameLabel, "h_int", "j", "h"), 0, t, 0, tsdbutil.GenerateTestHistogram(int64(n)), nil)
	}
	p.commit()
}

func (p *prometheus) compact() {
	p.t.Helper()
	p.db.EnableCompactions()
	require.NoError(p.t, p.db.Compact(context.Background()))
	p.db.DisableCompactions()
}

func (p *prometheus) delete(from, to int, name, value string) {
	p.t.Helper()
	require.NoError(p.t, p.db.Delete(context.Background(), start+int64(from)*minute, start+int64(to)*minute, labels.MustNewMatcher(labels.MatchEqual, name, value)))
}

// content is what the Prometheus answers.
func (p *prometheus) content() content {
	p.t.Helper()
	q, err := p.db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(p.t, err)
	return promContent(p.t, q)
}

// live lets a Prometheus live for nine and a half hours: blocks of two and six
// hours, one of late samples, deletions in blocks and in the head, and a head
// with chunks on disk, late samples and several segments of the log.
func (p *prometheus) live() {
	const length = 570
	for n := range length {
		p.scrape(n)
		if n%60 == 59 && n > 180 {
			p.late(n)
		}
		if n == 400 {
			p.delete(30, 90, "i", "1")
			p.delete(380, 395, "i", "2")
		}
		if n%120 == 119 {
			p.compact()
			if n == 359 {
				require.NoError(p.t, p.db.CompactOOOHead(context.Background()))
			}
		}
	}
	p.delete(length-60, length-30, model.MetricNameLabel, "odd")
	p.delete(0, length, "born", "10")
	p.db.ForceHeadMMap()
}

func (p *prometheus) close() { require.NoError(p.t, p.db.Close()) }

// lived is the folder of a Prometheus that lived and was stopped, and what it
// had. It is shared: copy it before changing it.
func lived(t testing.TB) (string, content) {
	t.Helper()
	life.once.Do(func() {
		p := openPrometheus(t, filepath.Join(life.dir, "stopped"), promOptions())
		p.live()
		life.content = p.content()
		require.NoError(t, os.CopyFS(filepath.Join(life.dir, "killed"), os.DirFS(p.dir)))
		p.close()
	})
	return filepath.Join(life.dir, "stopped"), life.content
}

// killed is the same as it was on disk when it was running.
func killed(t testing.TB) (string, content) {
	t.Helper()
	lived(t)
	return filepath.Join(life.dir, "killed"), life.content
}

var life struct {
	dir     string
	once    sync.Once
	content content
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "takeover")
	if err != nil {
		panic(err)
	}
	life.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// snapshotFiles has every file of a folder with its content and times.
func snapshotFiles(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = fmt.Sprint(info.ModTime(), info.Mode(), len(data), string(data))
		return err
	}))
	return out
}

// copyFolder copies the files of a folder as they are now.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	return to
}
