package wal

import (
	"encoding/binary"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
)

// Metadata is the type, unit and help of a series' metric.
type Metadata struct {
	Series   storage.SeriesRef
	Metadata metadata.Metadata
}

// appendMetadata appends as much of the metadata as a record takes, and returns how much.
func appendMetadata(dst []byte, ms []Metadata) (_ []byte, n int) {
	table := newSymbolTable()
	body := table.body[:0]
	for i := range ms {
		m := &ms[i]
		body = binary.AppendUvarint(body, uint64(m.Series))
		body = binary.AppendUvarint(body, table.number(string(m.Metadata.Type)))
		body = binary.AppendUvarint(body, table.number(m.Metadata.Unit))
		body = binary.AppendUvarint(body, table.number(m.Metadata.Help))
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

// DecodeMetadata decodes the payload of a TypeMetadata record.
func DecodeMetadata(payload []byte) (ms []Metadata, err error) {
	var r symbolReader
	r.symbols, payload, err = readSymbols(payload)
	if err != nil {
		return nil, err
	}
	n, src, err := readCount(payload, 4, "metadata")
	if err != nil {
		return nil, err
	}
	ms = make([]Metadata, n)
	for i := range ms {
		m := &ms[i]
		var u uint64
		if u, src, err = readUvarint(src, "series"); err != nil {
			return nil, err
		}
		m.Series = storage.SeriesRef(u)
		var typ string
		if typ, src, err = r.string(src); err != nil {
			return nil, err
		}
		m.Metadata.Type = model.MetricType(typ)
		if m.Metadata.Unit, src, err = r.string(src); err != nil {
			return nil, err
		}
		if m.Metadata.Help, src, err = r.string(src); err != nil {
			return nil, err
		}
	}
	return ms, checkEnd(src, "metadata")
}
