package parse

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// outcome is what a body amounts to, in a form that can be compared.
type outcome struct {
	Total, Kept, Duplicates int
	Row                     map[string]string // value by series
	Timed                   []string          // series, timestamp and value
	Exemplars               map[string][]string
}

// reference reads bodies with Prometheus's parser and the bookkeeping of its
// scrape loop. It is the oracle of the tests.
type reference struct {
	labels   map[string]labels.Labels // by the exposed bytes, as the last body had them
	families map[string]metadata.Metadata
}

func newReference() *reference {
	return &reference{labels: map[string]labels.Labels{}, families: map[string]metadata.Metadata{}}
}

func (r *reference) read(body []byte, contentType string, opts *Options) (outcome, error) {
	o := outcome{Row: map[string]string{}, Exemplars: map[string][]string{}}
	p, err := textparse.New(append([]byte(nil), body...), contentType, labels.NewSymbolTable(), opts.textparse())
	if p == nil {
		return o, err
	}
	seen := map[string]labels.Labels{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			r.labels = seen
			return o, nil
		}
		if err != nil {
			return o, err
		}
		switch entry {
		case textparse.EntryType:
			name, typ := p.Type()
			r.announce(name, func(m *metadata.Metadata) { m.Type = typ })
		case textparse.EntryHelp:
			name, help := p.Help()
			r.announce(name, func(m *metadata.Metadata) { m.Help = string(help) })
		case textparse.EntryUnit:
			name, unit := p.Unit()
			r.announce(name, func(m *metadata.Metadata) { m.Unit = string(unit) })
		case textparse.EntrySeries, textparse.EntryHistogram:
			if err := r.sample(&o, p, entry, opts, seen); err != nil {
				return o, err
			}
		}
	}
}

func (r *reference) announce(name []byte, change func(*metadata.Metadata)) {
	m, ok := r.families[string(name)]
	if !ok {
		m.Type = model.MetricTypeUnknown
	}
	change(&m)
	r.families[string(name)] = m
}

func (r *reference) sample(o *outcome, p textparse.Parser, entry textparse.Entry, opts *Options, seen map[string]labels.Labels) error {
	o.Total++
	var (
		series []byte
		t      *int64
		value  string
	)
	if entry == textparse.EntryHistogram {
		bytes, ts, h, fh := p.Histogram()
		series, t = bytes, ts
		if h != nil {
			value = h.String()
		} else {
			value = fh.String()
		}
	} else {
		var v float64
		series, t, v = p.Series()
		value = fmt.Sprintf("%x", math.Float64bits(v))
	}
	ls, known := r.labels[string(series)]
	if !known {
		p.Labels(&ls)
		var err error
		if ls, err = opts.Admit(ls); err != nil {
			return err
		}
	}
	_, again := seen[string(series)]
	seen[string(series)] = ls
	if ls.IsEmpty() {
		return nil
	}
	o.Kept++
	if t != nil && opts.HonorTimestamps {
		o.Timed = append(o.Timed, fmt.Sprintf("%s %d %s", ls, *t, value))
		return nil
	}
	if _, twice := o.Row[ls.String()]; again || twice {
		o.Duplicates++
		return nil
	}
	o.Row[ls.String()] = value
	for {
		var e exemplar.Exemplar
		if !p.Exemplar(&e) {
			return nil
		}
		if e.HasTs || entry == textparse.EntrySeries {
			o.Exemplars[ls.String()] = append(o.Exemplars[ls.String()], fmt.Sprint(e))
		}
	}
}

// admitSome drops the series whose name has an x in it, merges those that differ
// in a label m only, and adds a label.
func admitSome(ls labels.Labels) (labels.Labels, error) {
	name := ls.Get(model.MetricNameLabel)
	switch {
	case name == "":
		return ls, errors.New("no name")
	case strings.Contains(name, "x"):
		return labels.EmptyLabels(), nil
	}
	lb := labels.NewBuilder(ls)
	lb.Set("job", "test").Del("m")
	return lb.Labels(), nil
}

// reader reads bodies with a Layout.
type reader struct {
	layout *Layout
	scrape *Scrape
	group  *memory
	refs   map[storage.SeriesRef]labels.Labels
}

func newReader() *reader {
	return &reader{layout: NewLayout(), scrape: new(Scrape), group: newMemory(), refs: map[storage.SeriesRef]labels.Labels{}}
}

func (r *reader) read(body []byte, contentType string, opts *Options) (outcome, error) {
	s := r.scrape
	err := r.layout.Parse(s, append([]byte(nil), body...), contentType, opts)
	o := outcome{Total: s.Total, Kept: s.Kept, Row: map[string]string{}, Exemplars: map[string][]string{}}
	if err == nil {
		err = r.layout.Commit(s, r.group)
	}
	o.Duplicates = s.Duplicates
	if err != nil {
		r.layout.Abort(s)
		return o, err
	}
	for c, key := range r.group.series {
		if s.Row.Has(storage.Column(c)) {
			o.Row[key] = fmt.Sprintf("%x", math.Float64bits(s.Row.Values[c]))
		}
	}
	for _, h := range s.Row.Histograms {
		if h.Histogram != nil {
			o.Row[r.group.series[h.Column]] = h.Histogram.String()
		} else {
			o.Row[r.group.series[h.Column]] = h.FloatHistogram.String()
		}
	}
	for _, e := range s.Row.Exemplars {
		key := r.group.series[e.Column]
		o.Exemplars[key] = append(o.Exemplars[key], fmt.Sprint(e.Exemplar))
	}
	for i := range s.Timed {
		o.Timed = append(o.Timed, r.timed(&s.Timed[i]))
	}
	return o, nil
}

func (r *reader) timed(t *TimedSample) string {
	ls := t.Labels
	if t.Ref != 0 {
		ls = r.refs[t.Ref]
	} else {
		ref := storage.SeriesRef(len(r.refs) + 1)
		r.refs[ref] = ls
		r.layout.SetRef(t, ref)
	}
	value := fmt.Sprintf("%x", math.Float64bits(t.Value))
	switch {
	case t.Histogram != nil:
		value = t.Histogram.String()
	case t.FloatHistogram != nil:
		value = t.FloatHistogram.String()
	}
	return fmt.Sprintf("%s %d %s", ls, t.T, value)
}

// requireSame checks that both readings of a body are the same.
func requireSame(t testing.TB, ref *reference, r *reader, body []byte, contentType string, opts *Options) error {
	t.Helper()
	want, wantErr := ref.read(body, contentType, opts)
	got, gotErr := r.read(body, contentType, opts)
	if wantErr != nil {
		require.Error(t, gotErr, "body %q", body)
		require.True(t, strings.HasSuffix(gotErr.Error(), wantErr.Error()), "want %q, got %q, body %q", wantErr, gotErr, body)
		require.Equal(t, want.Total, got.Total, "samples up to the error, body %q", body)
		return gotErr
	}
	require.NoError(t, gotErr, "body %q", body)
	require.Equal(t, want, got, "body %q", body)
	return nil
}

// recording returns the bodies of a file in testdata: a zstd stream of frames, a
// time of eight bytes, a length of four, and the body.
func recording(t testing.TB, name string) (bodies [][]byte) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".rec.zst"))
	require.NoError(t, err)
	defer f.Close()
	z, err := zstd.NewReader(bufio.NewReader(f))
	require.NoError(t, err)
	defer z.Close()
	for {
		var head [12]byte
		if _, err := io.ReadFull(z, head[:]); errors.Is(err, io.EOF) {
			return bodies
		} else {
			require.NoError(t, err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head[8:]))
		_, err := io.ReadFull(z, body)
		require.NoError(t, err)
		bodies = append(bodies, body)
	}
}

var recordings = []string{"alertmanager", "etcd", "kubeapiserver", "node", "prometheus", "victoriametrics"}
