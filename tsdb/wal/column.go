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
	Labels labels.Labels
}

// appendColumns appends as many of the columns as a record takes, at least one, and returns
// how many.
func appendColumns(dst []byte, group uint64, columns []Column) (_ []byte, n int) {
	dst = binary.AppendUvarint(dst, group)
	table := newSymbolTable()
	var body []byte
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
	return append(dst, body...), n
}

// DecodeColumns decodes the payload of a TypeColumns record.
func DecodeColumns(payload []byte) (group uint64, columns []Column, err error) {
	group, src, err := readUvarint(payload, "columns")
	if err != nil {
		return 0, nil, err
	}
	var r symbolReader
	if r.symbols, src, err = readSymbols(src); err != nil {
		return 0, nil, err
	}
	n, src, err := readCount(src, 3, "columns")
	if err != nil {
		return 0, nil, err
	}
	columns = make([]Column, n)
	number, series := int64(0), int64(0)
	for i := range columns {
		var delta int64
		if delta, src, err = readSvarint(src, "column"); err != nil {
			return 0, nil, err
		}
		if number += delta; number < 0 || number >= MaxColumns {
			return 0, nil, corruptf("column %d of group %d", number, group)
		}
		if delta, src, err = readSvarint(src, "series"); err != nil {
			return 0, nil, err
		}
		series += delta
		columns[i].Number, columns[i].Series = storage.Column(number), storage.SeriesRef(series)
		if columns[i].Labels, src, err = r.labels(src); err != nil {
			return 0, nil, err
		}
	}
	return group, columns, checkEnd(src, "columns")
}
