package block

// Sizes says what the bytes of index and data are for.
type Sizes struct {
	// Pages are the values, timelines and exemplars: the file data.
	Pages int64
	// Columns is what the index has of chunks and timelines: where they lie, and the heads of the
	// columns.
	Columns int64
	// Labels is the labels of the series, and Postings the label values and which series have
	// them.
	Labels, Postings int64
}

// Sizes says what the bytes of the block are for. Together they are Size.
func (r *Reader) Sizes() Sizes {
	x := r.index
	s := Sizes{
		Pages:   int64(len(r.data.Bytes())),
		Columns: int64(fileHeader + sections*tocEntry + tocTail + len(x.pages)*pageEntrySize + len(x.timelines)*timelineSize),
	}
	for i := range x.frames {
		f := &x.frames[i]
		s.Columns += int64(f.columns.length) + frameSize - storedSize
		s.Labels += int64(f.labels.length) + storedSize
	}
	s.Postings = int64(len(x.data)) - s.Columns - s.Labels
	return s
}
