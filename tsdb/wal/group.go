package wal

import (
	"encoding/binary"

	"github.com/gnomonhq/gnomon/storage"
)

// Group is the definition of a group. IDs are never used again in a log.
type Group struct {
	// ID is the group's number, greater than 0.
	ID uint64
	// Origin says where the rows come from: storage.GroupOptions.Origin.
	Origin string
}

func appendGroup(dst []byte, g Group) []byte {
	return appendString(binary.AppendUvarint(dst, g.ID), g.Origin)
}

// DecodeGroup decodes the payload of a TypeGroup record.
func DecodeGroup(payload []byte) (g Group, err error) {
	id, src, err := readUvarint(payload, "group")
	if err != nil {
		return g, err
	}
	origin, src, err := readString(src, "group origin")
	if err != nil {
		return g, err
	}
	return Group{ID: id, Origin: origin}, checkEnd(src, "group")
}

func appendGroupClose(dst []byte, group uint64) []byte { return binary.AppendUvarint(dst, group) }

// DecodeGroupClose decodes the payload of a TypeGroupClose record.
func DecodeGroupClose(payload []byte) (group uint64, err error) {
	group, src, err := readUvarint(payload, "group close")
	if err != nil {
		return 0, err
	}
	return group, checkEnd(src, "group close")
}

func appendColumnRelease(dst []byte, group uint64, columns []storage.Column) []byte {
	dst = binary.AppendUvarint(dst, group)
	dst = binary.AppendUvarint(dst, uint64(len(columns)))
	prev := storage.Column(0)
	for _, c := range columns {
		dst = appendSvarint(dst, int64(c)-int64(prev))
		prev = c
	}
	return dst
}

// DecodeColumnRelease decodes the payload of a TypeColumnRelease record.
func DecodeColumnRelease(payload []byte) (group uint64, columns []storage.Column, err error) {
	group, src, err := readUvarint(payload, "column release")
	if err != nil {
		return 0, nil, err
	}
	n, src, err := readCount(src, 1, "released columns")
	if err != nil {
		return 0, nil, err
	}
	columns = make([]storage.Column, n)
	prev := int64(0)
	for i := range columns {
		var delta int64
		if delta, src, err = readSvarint(src, "released column"); err != nil {
			return 0, nil, err
		}
		if prev += delta; prev < 0 || prev >= MaxColumns {
			return 0, nil, corruptf("released column %d", prev)
		}
		columns[i] = storage.Column(prev)
	}
	return group, columns, checkEnd(src, "column release")
}
