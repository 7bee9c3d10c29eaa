package block

// Translation gives the labels of the series of a block by the numbers of a Dictionary: each
// string is looked up once, whatever the number of series that have it. It belongs to one
// goroutine, which holds the reader.
type Translation struct {
	r          *Reader
	dictionary *Dictionary
	// labels has for each name of the block, and each of its values, the label plus one in Value;
	// 0 is one that was not looked up yet.
	labels [][]Label
	value  []byte
}

// NewTranslation returns one from the numbers of a block to those of a dictionary.
func NewTranslation(r *Reader, d *Dictionary) *Translation {
	return &Translation{r: r, dictionary: d, labels: make([][]Label, len(r.index.names))}
}

// Series reads a series into e, but for its labels, which it appends to dst.
func (t *Translation) Series(id uint32, e *SeriesEntry, dst []Label) ([]Label, error) {
	i, err := t.r.frameOf(id)
	if err != nil {
		return dst, err
	}
	f, err := t.r.labelFrame(i)
	if err != nil {
		return dst, err
	}
	within := int(id - t.r.index.frames[i].first)
	names, values := f.of(within)
	for j, n := range names {
		l, err := t.label(f.names[n], values[j])
		if err != nil {
			return dst, err
		}
		dst = append(dst, l)
	}
	return dst, t.r.readRest(i, within, f, e)
}

// label returns a label of the block.
func (t *Translation) label(name, value uint32) (Label, error) {
	known := t.labels[name]
	if known == nil {
		known = make([]Label, t.r.index.names[name].values)
		t.labels[name] = known
	}
	if l := known[value]; l.Value > 0 {
		return Label{l.Name, l.Value - 1}, nil
	}
	var err error
	if t.value, err = t.r.appendValue(t.value[:0], int(name), int(value)); err != nil {
		return Label{}, err
	}
	l := t.dictionary.Number(t.r.index.names[name].name, inMemory(t.value))
	known[value] = Label{l.Name, l.Value + 1}
	return l, nil
}
