package block

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
)

// appendExemplars appends the exemplars of a series as they lie in a page.
func appendExemplars(dst []byte, es []exemplar.Exemplar) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(es)))
	prev := int64(0)
	for i := range es {
		e := &es[i]
		hasTime := byte(0)
		if e.HasTs {
			hasTime = 1
		}
		dst = appendSvarint(append(dst, hasTime), e.Ts-prev)
		prev = e.Ts
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.Value))
		dst = binary.AppendUvarint(dst, uint64(e.Labels.Len()))
		e.Labels.Range(func(l labels.Label) {
			dst = appendString(appendString(dst, l.Name), l.Value)
		})
	}
	return dst
}

// readExemplars reads what appendExemplars wrote, into memory of its own.
func readExemplars(b []byte) (es []exemplar.Exemplar, ok bool) {
	r := byteReader{b: b}
	prev := int64(0)
	var builder labels.ScratchBuilder
	for range r.count(11) {
		var e exemplar.Exemplar
		hasTime := r.byte()
		e.HasTs = hasTime == 1
		prev += r.svarint()
		e.Ts = prev
		e.Value = math.Float64frombits(r.uint64())
		builder.Reset()
		for range r.count(2) {
			name, value := r.bytes(r.uvarint()), r.bytes(r.uvarint())
			builder.Add(string(name), string(value))
		}
		if r.bad || hasTime > 1 {
			return nil, false
		}
		e.Labels = builder.Labels()
		es = append(es, e)
	}
	return es, !r.bad && len(r.b) == 0
}
