package wal

import (
	"encoding/binary"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Column is the definition of a column of a group; of a series alone, if the group is 0.
type Column struct {
	// Number is the column's place in the group's rows; 0 if the group is 0.
	Number storage.Column
	// Series is the series' number in this log, and Labels what it stands for. A series that
	// has been defined before is defined again with the same labels.
	Series storage.SeriesRef
	Labels LabelSet
}

// LabelSet is labels in ascending order of the name, such as labels.Labels. Their strings stay as
// they are for as long as a batch takes them in.
type LabelSet interface {
	Len() int
	Range(f func(labels.Label))
}

// appendColumns appends as many of the columns as a record takes, at least one, and returns
// how many.
func appendColumns(dst []byte, group uint64, columns []Column) (_ []byte, n int) {
	dst = binary.AppendUvarint(dst, group)
	table := newSymbolTable()
	body := table.body[:0]
	prev := Column{}
	for _, c := range columns {
		body = appendSvarint(body, int64(c.Number)-int64(prev.Number))
		body = appendSvarint(body, int64(c.Series-prev.Series))
		body = table.appendLabels(body, c.Labels)
		prev = c
		n++
		if len(body)+table.bytes > targetPayload {
			break
		}
	}
	dst = table.append(dst)
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, body...)
	table.release(body)
	return dst, n
}

// Columns is a TypeColumns record, decoded.
type Columns struct {
	Group uint64
	// Strings are the label names and values that the columns have, in one piece of memory.
	Strings []string
	List    []DecodedColumn
}

// DecodedColumn is a Column whose labels are names and values as numbers of the record's
// strings.
type DecodedColumn struct {
	Number storage.Column
	Series storage.SeriesRef
	Labels [][2]uint32
}

// Labels makes the labels of a column in the memory of ls, which the next call with the same
// ls uses again. The builder is scratch memory.
func (c *Columns) Labels(column int, b *labels.ScratchBuilder, ls *labels.Labels) {
	b.Reset()
	for _, l := range c.List[column].Labels {
		b.Add(c.Strings[l[0]], c.Strings[l[1]])
	}
	b.Overwrite(ls)
}

// DecodeColumns decodes the payload of a TypeColumns record.
func DecodeColumns(payload []byte) (*Columns, error) {
	c := &Columns{}
	var err error
	if c.Group, payload, err = readUvarint(payload, "columns"); err != nil {
		return nil, err
	}
	if c.Strings, payload, err = readSharedSymbols(payload); err != nil {
		return nil, err
	}
	n, src, err := readCount(payload, 3, "columns")
	if err != nil {
		return nil, err
	}
	c.List = make([]DecodedColumn, n)
	// Of all columns. Each has three numbers beside its pairs of two.
	pairs := make([][2]uint32, 0, max(0, countVarints(src)-3*n)/2)
	number, series := int64(0), int64(0)
	for i := range c.List {
		var delta int64
		if delta, src, err = readSvarint(src, "column"); err != nil {
			return nil, err
		}
		if number += delta; number < 0 || number >= MaxColumns {
			return nil, corruptf("column %d of group %d", number, c.Group)
		}
		if delta, src, err = readSvarint(src, "series"); err != nil {
			return nil, err
		}
		series += delta
		from := len(pairs)
		if pairs, src, err = readPairs(pairs, src, len(c.Strings)); err != nil {
			return nil, err
		}
		c.List[i] = DecodedColumn{storage.Column(number), storage.SeriesRef(series), pairs[from:len(pairs):len(pairs)]}
	}
	return c, checkEnd(src, "columns")
}

// countVarints returns how many numbers there are in what has nothing else.
func countVarints(src []byte) (n int) {
	for _, b := range src {
		n += int(b>>7 ^ 1)
	}
	return n
}

// readPairs appends a label set as numbers of strings, of which there are so many.
func readPairs(dst [][2]uint32, src []byte, strings int) (_ [][2]uint32, rest []byte, err error) {
	n, src, err := readCount(src, 2, "labels")
	if err != nil {
		return nil, nil, err
	}
	for range n {
		var name, value uint64
		if name, src, err = readUvarint(src, "string number"); err != nil {
			return nil, nil, err
		}
		if value, src, err = readUvarint(src, "string number"); err != nil {
			return nil, nil, err
		}
		if greatest := max(name, value); greatest >= uint64(strings) {
			return nil, nil, corruptf("string %d of %d", greatest, strings)
		}
		dst = append(dst, [2]uint32{uint32(name), uint32(value)})
	}
	return dst, src, nil
}
