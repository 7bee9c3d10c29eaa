package wal

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/gnomonhq/gnomon/storage"
)

// Exemplar is an exemplar of a series.
type Exemplar struct {
	Series   storage.SeriesRef
	Exemplar exemplar.Exemplar
}

// appendExemplars appends as many of the exemplars as a record takes, and returns how many.
func appendExemplars(dst []byte, exemplars []Exemplar) (_ []byte, n int) {
	table := newSymbolTable()
	body := table.body[:0]
	for i := range exemplars {
		e := &exemplars[i]
		body = binary.AppendUvarint(body, uint64(e.Series))
		hasTime := byte(0)
		if e.Exemplar.HasTs {
			hasTime = 1
		}
		body = appendSvarint(append(body, hasTime), e.Exemplar.Ts)
		body = binary.LittleEndian.AppendUint64(body, math.Float64bits(e.Exemplar.Value))
		body = table.appendLabels(body, e.Exemplar.Labels)
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

// DecodeExemplars decodes the payload of a TypeExemplars record.
func DecodeExemplars(payload []byte) (exemplars []Exemplar, err error) {
	var r symbolReader
	r.symbols, payload, err = readSymbols(payload)
	if err != nil {
		return nil, err
	}
	n, src, err := readCount(payload, 12, "exemplars")
	if err != nil {
		return nil, err
	}
	exemplars = make([]Exemplar, n)
	for i := range exemplars {
		e := &exemplars[i]
		var u uint64
		if u, src, err = readUvarint(src, "series"); err != nil {
			return nil, err
		}
		e.Series = storage.SeriesRef(u)
		if len(src) == 0 || src[0] > 1 {
			return nil, corruptf("exemplar: bad flags")
		}
		e.Exemplar.HasTs = src[0] == 1
		if e.Exemplar.Ts, src, err = readSvarint(src[1:], "exemplar time"); err != nil {
			return nil, err
		}
		if u, src, err = readBytes8(src, "exemplar value"); err != nil {
			return nil, err
		}
		e.Exemplar.Value = math.Float64frombits(u)
		if e.Exemplar.Labels, src, err = r.labels(src); err != nil {
			return nil, err
		}
	}
	return exemplars, checkEnd(src, "exemplars")
}
