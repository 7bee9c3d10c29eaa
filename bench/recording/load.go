package recording

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/gnomonhq/gnomon/storage"
)

// Suffix is what the names of recordings end with; the name before it is the kind.
const Suffix = ".rec.zst"

// maxBodyBytes bounds a frame: a length beyond it is damage.
const maxBodyBytes = 64 << 20

// Recording is the scrapes of one exporter, as a table of series and frames.
type Recording struct {
	// Kind is the name of the exporter.
	Kind string
	// Series has the labels of the exposition, in the order of the first appearance. They
	// lack job and instance.
	Series []labels.Labels
	// Times has the recorder's time of each frame, milliseconds.
	Times []int64

	frames []frame
}

// frame is one scrape. The bitmaps are nil if every series is there.
type frame struct {
	values []float64
	// scraped are the series of the body; written are these and the ones that went stale.
	scraped, written storage.Bitmap
}

// Options choose what is loaded.
type Options struct {
	// Want says which kinds are loaded; nil is all.
	Want func(kind string) bool
	// MaxFrames bounds the frames of each recording; 0 is all.
	MaxFrames int
}

// Load reads the recordings in a folder, ordered by kind. A frame that is cut short at the end
// is left out: that is how recordings end.
func Load(dir string, opts Options) ([]*Recording, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+Suffix))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []*Recording
	for _, name := range names {
		kind := strings.TrimSuffix(filepath.Base(name), Suffix)
		if opts.Want != nil && !opts.Want(kind) {
			continue
		}
		r, err := loadFile(name, kind, opts.MaxFrames)
		if err != nil {
			return nil, fmt.Errorf("recording %s: %w", name, err)
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("none of the recordings wanted (*%s) is in %s", Suffix, dir)
	}
	return list, nil
}

func loadFile(name, kind string, maxFrames int) (*Recording, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(bufio.NewReaderSize(f, 1<<20), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<30))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return Read(z, kind, maxFrames)
}

// Read reads the frames of a recording that is already decompressed, at most maxFrames if that
// is not 0.
func Read(src io.Reader, kind string, maxFrames int) (*Recording, error) {
	b := builder{r: &Recording{Kind: kind}, columns: map[string]int{}}
	var body []byte
	for n := 0; maxFrames <= 0 || n < maxFrames; n++ {
		var head [12]byte
		if _, err := io.ReadFull(src, head[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("frame %d: %w", n, err)
		}
		length := binary.BigEndian.Uint32(head[8:])
		if length > maxBodyBytes {
			return nil, fmt.Errorf("frame %d: %d bytes, at most %d", n, length, maxBodyBytes)
		}
		body = slices.Grow(body[:0], int(length))[:length]
		if _, err := io.ReadFull(src, body); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("frame %d: %w", n, err)
		}
		if err := b.add(int64(binary.BigEndian.Uint64(head[:])), body); err != nil {
			return nil, fmt.Errorf("frame %d: %w", n, err)
		}
	}
	if len(b.r.frames) == 0 {
		return nil, errors.New("no whole frame")
	}
	b.finish()
	return b.r, nil
}

// builder makes a table of bodies. It expects lines in the order of the body before.
type builder struct {
	r       *Recording
	columns map[string]int
	// keys has the text of each column before its number.
	keys []string
}

func (b *builder) add(t int64, body []byte) error {
	f := frame{values: make([]float64, len(b.keys))}
	f.scraped = f.scraped.Grow(len(b.keys))
	next := 0
	for line := range bytes.Lines(body) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		cut := bytes.LastIndexByte(line, ' ')
		if cut < 0 {
			return fmt.Errorf("line %q has no value", line)
		}
		v, err := strconv.ParseFloat(string(line[cut+1:]), 64)
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		if next >= len(b.keys) || b.keys[next] != string(line[:cut]) {
			if next, err = b.column(line[:cut]); err != nil {
				return err
			}
		}
		for next >= len(f.values) {
			f.values = append(f.values, 0)
		}
		f.scraped = f.scraped.Grow(next + 1)
		f.values[next] = v
		f.scraped.Set(storage.Column(next))
		next++
	}
	b.r.Times = append(b.r.Times, t)
	b.r.frames = append(b.r.frames, f)
	return nil
}

// column returns the column of the text before a number.
func (b *builder) column(key []byte) (int, error) {
	if c, ok := b.columns[string(key)]; ok {
		return c, nil
	}
	ls, err := parseSeries(string(key))
	if err != nil {
		return 0, err
	}
	c := len(b.keys)
	b.keys = append(b.keys, string(key))
	b.columns[b.keys[c]] = c
	b.r.Series = append(b.r.Series, ls)
	return c, nil
}

// finish brings the frames to their full width, and adds staleness markers.
func (b *builder) finish() {
	frames, width := b.r.frames, len(b.keys)
	for i := range frames {
		f := &frames[i]
		f.values = append(f.values, make([]float64, width-len(f.values))...)
		f.scraped = f.scraped.Grow(width)
	}
	stale := math.Float64frombits(value.StaleNaN)
	for i := range frames {
		f, before := &frames[i], &frames[(i+len(frames)-1)%len(frames)]
		f.written = slices.Clone(f.scraped)
		for c := range storage.Column(width) {
			if before.scraped.Has(c) && !f.scraped.Has(c) {
				f.values[c] = stale
				f.written.Set(c)
			}
		}
	}
	for i := range frames { // after the loop above, which looks at the neighbours
		f := &frames[i]
		if f.scraped.Count() == width {
			f.scraped, f.written = nil, nil
		}
	}
}

// Narrow returns a recording of the first n series that are in every frame.
func (r *Recording) Narrow(n int) (*Recording, error) {
	var keep []int
	for c := 0; c < len(r.Series) && len(keep) < n; c++ {
		always := true
		for i := range r.frames {
			always = always && (r.frames[i].scraped == nil || r.frames[i].scraped.Has(storage.Column(c)))
		}
		if always {
			keep = append(keep, c)
		}
	}
	if len(keep) < n {
		return nil, fmt.Errorf("recording %s has %d series that are always there, not %d", r.Kind, len(keep), n)
	}
	out := &Recording{Kind: r.Kind, Times: r.Times, frames: make([]frame, len(r.frames))}
	for _, c := range keep {
		out.Series = append(out.Series, r.Series[c])
	}
	for i := range out.frames {
		for _, c := range keep {
			out.frames[i].values = append(out.frames[i].values, r.frames[i].values[c])
		}
	}
	return out, nil
}

// Neighbour returns the series that is the next lower bucket of the histogram that series c
// belongs to, or the greatest bucket if c is the histogram's count; -1 if there is none.
func (r *Recording) Neighbour(c int) int {
	name, bucket := r.Series[c].Get(model.MetricNameLabel), r.Series[c].Has(model.BucketLabel)
	before := c - 1
	if !bucket { // the count comes after the buckets and, mostly, the sum
		histogram, isCount := strings.CutSuffix(name, "_count")
		if !isCount {
			return -1
		}
		name = histogram + "_bucket"
		if before > 0 && r.Series[before].Get(model.MetricNameLabel) == histogram+"_sum" {
			before--
		}
	}
	if before < 0 || r.Series[before].Get(model.MetricNameLabel) != name || !r.Series[before].Has(model.BucketLabel) {
		return -1
	}
	without := func(ls labels.Labels) labels.Labels {
		return labels.NewBuilder(ls).Del(model.MetricNameLabel, model.BucketLabel).Labels()
	}
	if !labels.Equal(without(r.Series[before]), without(r.Series[c])) {
		return -1
	}
	return before
}

// Columns returns the series' values in the first n frames, each series' by itself, without the
// frames in which it has none.
func (r *Recording) Columns(n int) [][]float64 {
	n = min(n, len(r.frames))
	out := make([][]float64, len(r.Series))
	for c := range out {
		column := make([]float64, 0, n)
		for i := range n {
			if f := &r.frames[i]; f.scraped == nil || f.scraped.Has(storage.Column(c)) {
				column = append(column, f.values[c])
			}
		}
		out[c] = column
	}
	return out
}

// Frames returns the number of frames.
func (r *Recording) Frames() int { return len(r.frames) }

// Samples returns the number of samples that n rows from frame offset on have.
func (r *Recording) Samples(offset, n int) int {
	total := 0
	for i := range n {
		row := storage.Row{}
		r.row(offset+i, i == 0, &row)
		if row.Present == nil {
			total += len(row.Values)
		} else {
			total += row.Present.Count()
		}
	}
	return total
}

// row fills values and presence of frame i of the circle. The first row of a target has no
// staleness markers.
func (r *Recording) row(i int, first bool, row *storage.Row) {
	f := &r.frames[i%len(r.frames)]
	row.Values, row.Present = f.values, f.written
	if first {
		row.Present = f.scraped
	}
}
