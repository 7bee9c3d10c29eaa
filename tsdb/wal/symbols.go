package wal

import (
	"encoding/binary"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
)

// symbolTable collects the strings of one record, each once.
type symbolTable struct {
	numbers map[string]uint64
	strings []string
	bytes   int
	// labels is where appendLabels appends, label what it calls for each label.
	labels []byte
	label  func(labels.Label)
	// body is room for the record's part that refers to the strings.
	body []byte
}

var symbolTables = sync.Pool{New: func() any {
	t := &symbolTable{numbers: map[string]uint64{}}
	t.label = func(l labels.Label) {
		t.labels = binary.AppendUvarint(t.labels, t.number(l.Name))
		t.labels = binary.AppendUvarint(t.labels, t.number(l.Value))
	}
	return t
}}

func newSymbolTable() *symbolTable { return symbolTables.Get().(*symbolTable) }

// release lets the next record have the table's memory, body included. It keeps no string.
func (t *symbolTable) release(body []byte) {
	clear(t.numbers)
	clear(t.strings)
	t.strings, t.bytes, t.labels, t.body = t.strings[:0], 0, nil, body
	symbolTables.Put(t)
}

func (t *symbolTable) number(s string) uint64 {
	n, ok := t.numbers[s]
	if !ok {
		n = uint64(len(t.strings))
		t.numbers[s] = n
		t.strings = append(t.strings, s)
		t.bytes += len(s) + 2
	}
	return n
}

// appendLabels appends a label set as pairs of numbers.
func (t *symbolTable) appendLabels(dst []byte, ls LabelSet) []byte {
	t.labels = binary.AppendUvarint(dst, uint64(ls.Len()))
	ls.Range(t.label)
	return t.labels
}

// append appends the strings.
func (t *symbolTable) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.strings)))
	for _, s := range t.strings {
		dst = appendString(dst, s)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func readString(src []byte, what string) (s string, rest []byte, err error) {
	n, src, err := readCount(src, 1, what+" bytes")
	if err != nil {
		return "", nil, err
	}
	return string(src[:n]), src[n:], nil
}

// readSymbols reads the strings of a record.
func readSymbols(src []byte) (symbols []string, rest []byte, err error) {
	n, src, err := readCount(src, 1, "strings")
	if err != nil {
		return nil, nil, err
	}
	symbols = make([]string, n)
	for i := range symbols {
		if symbols[i], src, err = readString(src, "string"); err != nil {
			return nil, nil, err
		}
	}
	return symbols, src, nil
}

// readSharedSymbols is readSymbols for strings that are not kept for long: they share one piece
// of memory.
func readSharedSymbols(src []byte) (symbols []string, rest []byte, err error) {
	n, src, err := readCount(src, 1, "strings")
	if err != nil {
		return nil, nil, err
	}
	rest = src
	for range n {
		var size int
		if size, rest, err = readCount(rest, 1, "string bytes"); err != nil {
			return nil, nil, err
		}
		rest = rest[size:]
	}
	all := string(src[:len(src)-len(rest)])
	symbols = make([]string, n)
	for i := range symbols {
		size, after, err := readCount(src, 1, "string bytes")
		if err != nil {
			return nil, nil, err
		}
		from := len(all) - (len(after) - len(rest))
		symbols[i], src = all[from:from+size], after[size:]
	}
	return symbols, rest, nil
}

// symbolReader reads references to the strings of a record.
type symbolReader struct {
	symbols []string
	builder labels.ScratchBuilder
}

func (r *symbolReader) string(src []byte) (s string, rest []byte, err error) {
	n, src, err := readUvarint(src, "string number")
	if err != nil {
		return "", nil, err
	}
	if n >= uint64(len(r.symbols)) {
		return "", nil, corruptf("string %d of %d", n, len(r.symbols))
	}
	return r.symbols[n], src, nil
}

func (r *symbolReader) labels(src []byte) (ls labels.Labels, rest []byte, err error) {
	n, src, err := readCount(src, 2, "labels")
	if err != nil {
		return ls, nil, err
	}
	r.builder.Reset()
	for range n {
		var name, val string
		if name, src, err = r.string(src); err != nil {
			return ls, nil, err
		}
		if val, src, err = r.string(src); err != nil {
			return ls, nil, err
		}
		r.builder.Add(name, val)
	}
	return r.builder.Labels(), src, nil
}
