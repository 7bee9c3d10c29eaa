package block

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// SeriesEntry is a series of a block: everything but its samples. It is scratch memory as
// well: reading the next series into it is faster than into another.
type SeriesEntry struct {
	Labels labels.Labels
	// Metadata is the zero value if there is none.
	Metadata metadata.Metadata
	// ReuseLabels makes Labels memory that the next series that is read overwrites.
	ReuseLabels bool
	// Chunks are in ascending order of time. They are shared, and not to be changed; they may be
	// kept.
	Chunks []ChunkRef

	exemplars *ChunkRef
	// texts are the label values of the series read last; text has their bytes.
	texts []labelText
	text  []byte
	from  *Reader
}

// labelText is a label value.
type labelText struct {
	name, value uint32
	from, to    int
}

// HasExemplars says whether Reader.Exemplars has something to return.
func (e *SeriesEntry) HasExemplars() bool { return e.exemplars != nil }

// Series reads a series into e. builder is scratch memory, of the labels as well if e reuses
// them; otherwise they are in memory of their own.
func (r *Reader) Series(id uint32, builder *labels.ScratchBuilder, e *SeriesEntry) error {
	i, err := r.frameOf(id)
	if err != nil {
		return err
	}
	within := int(id - r.index.frames[i].first)
	f, err := r.labelFrame(i)
	if err != nil {
		return err
	}
	if err := r.readLabels(f, within, builder, e); err != nil {
		return err
	}
	return r.readRest(i, within, f, e)
}

// readRest reads what a series has beside labels: series within of frame i, whose labels are f.
func (r *Reader) readRest(i, within int, f *labelFrame, e *SeriesEntry) (err error) {
	e.Metadata = metadata.Metadata{}
	if n := f.metadata[within]; n > 0 {
		if e.Metadata, err = r.metadata(n - 1); err != nil {
			return err
		}
	}
	c, err := r.columnFrame(i)
	if err != nil {
		return err
	}
	e.Chunks, e.exemplars = c.of(within)
	return nil
}

// frameOf returns the number of the frame that has a series.
func (r *Reader) frameOf(id uint32) (int, error) {
	if id >= r.index.series {
		return 0, fmt.Errorf("%s: series %d of %d", r.index.file, id, r.index.series)
	}
	// The frame whose first series is the last one not above id.
	i, found := slices.BinarySearchFunc(r.index.frames, id, func(f frameEntry, id uint32) int {
		return int(int64(f.first) - int64(id))
	})
	if !found {
		i--
	}
	return i, nil
}

func (r *Reader) metadata(n uint32) (metadata.Metadata, error) {
	list, err := r.index.metadata()
	if err != nil {
		return metadata.Metadata{}, err
	}
	if int64(n) >= int64(len(list)) {
		return metadata.Metadata{}, part{r.index.file, 0}.corrupt("metadata %d of %d", n, len(list))
	}
	return list[n], nil
}

// readLabels reads the labels of series i of a frame.
func (r *Reader) readLabels(f *labelFrame, i int, builder *labels.ScratchBuilder, e *SeriesEntry) error {
	names, values := f.of(i)
	if err := r.readTexts(f, names, values, e); err != nil {
		return err
	}
	builder.Reset()
	for j := range e.texts {
		t := &e.texts[j]
		builder.Add(r.index.names[t.name].name, inMemory(e.text[t.from:t.to]))
	}
	if e.ReuseLabels {
		builder.Overwrite(&e.Labels)
	} else {
		e.Labels = builder.Labels()
	}
	return nil // Both copy the strings.
}

// readTexts fills e.texts. The values that the series before has in the same places, most of
// them as a rule, are not looked up again.
func (r *Reader) readTexts(f *labelFrame, names, values []uint32, e *SeriesEntry) error {
	if e.from != r || len(e.texts) != len(names) {
		e.from, e.texts, e.text = r, slices.Grow(e.texts[:0], len(names))[:len(names)], e.text[:0]
		clear(e.texts)
		for j := range e.texts {
			e.texts[j].name = noName
		}
	}
	if len(e.text) > maxTexts {
		for j := range e.texts {
			e.texts[j].name = noName
		}
		e.text = e.text[:0]
	}
	for j, n := range names {
		t := &e.texts[j]
		name := f.names[n]
		if t.name == name && t.value == values[j] {
			continue
		}
		from := len(e.text)
		var err error
		if e.text, err = r.appendValue(e.text, int(name), int(values[j])); err != nil {
			e.from = nil
			return err
		}
		*t = labelText{name, values[j], from, len(e.text)}
	}
	return nil
}

const (
	// noName is no label name.
	noName = 1<<32 - 1
	// maxTexts bounds the label values, old ones among them, that a SeriesEntry keeps.
	maxTexts = 16 << 10
)

// inMemory is bytes as a string, without a copy: valid as long as they are not changed.
func inMemory(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// of returns the chunks of series i of the frame, and its exemplars.
func (f *columnFrame) of(i int) (chunks []ChunkRef, exemplars *ChunkRef) {
	from := uint32(0)
	if i > 0 {
		from = f.ends[i-1]
	}
	chunks = f.refs[from:f.ends[i]:f.ends[i]]
	if n := len(chunks); n > 0 && chunks[n-1].Kind == columnExemplars {
		chunks, exemplars = chunks[:n-1:n-1], &chunks[n-1]
	}
	return chunks, exemplars
}

// labelFrame returns the labels of a frame, checked.
func (r *Reader) labelFrame(i int) (*labelFrame, error) {
	if f := r.labelFrames.get(i); f != nil {
		return f, nil
	}
	e := &r.index.frames[i]
	raw, err := r.index.raw(&e.labels, "labels of a frame")
	if err != nil {
		return nil, err
	}
	limits := func(name uint32) (uint32, bool) {
		if int64(name) >= int64(len(r.index.names)) {
			return 0, false
		}
		return r.index.names[name].values, true
	}
	f, ok := decodeLabels(raw, e.series, limits, 1<<32-2)
	if !ok || !f.ascending() {
		return nil, part{r.index.file, int64(e.labels.offset)}.corrupt("labels of a frame of %d bytes", e.labels.length)
	}
	r.labelFrames.put(i, f, f.size())
	return f, nil
}

// columnFrame returns the columns of a frame, checked.
func (r *Reader) columnFrame(i int) (*columnFrame, error) {
	if f := r.columnFrames.get(i); f != nil {
		return f, nil
	}
	e := &r.index.frames[i]
	raw, err := r.index.raw(&e.columns, "columns of a frame")
	if err != nil {
		return nil, err
	}
	f, ok := decodeColumns(raw, e.series, e.page, r.index.timelines)
	if !ok {
		return nil, part{r.index.file, int64(e.columns.offset)}.corrupt("columns of a frame of %d bytes", e.columns.length)
	}
	r.columnFrames.put(i, f, f.size)
	return f, nil
}
