package wal

import (
	"encoding/binary"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Tombstone deletes samples that came before it in the log: those of the listed series, and
// those of the series that match all of the matchers, if there are matchers.
type Tombstone struct {
	// MinT and MaxT are the range, inclusive.
	MinT, MaxT int64
	Series     []storage.SeriesRef
	Matchers   []*labels.Matcher
}

func appendTombstone(dst []byte, t Tombstone) []byte {
	dst = appendSvarint(appendSvarint(dst, t.MinT), t.MaxT)
	dst = binary.AppendUvarint(dst, uint64(len(t.Series)))
	prev := storage.SeriesRef(0)
	for _, s := range t.Series {
		dst = appendSvarint(dst, int64(s-prev))
		prev = s
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.Matchers)))
	for _, m := range t.Matchers {
		dst = appendString(appendString(append(dst, byte(m.Type)), m.Name), m.Value)
	}
	return dst
}

// DecodeTombstone decodes the payload of a TypeTombstone record.
func DecodeTombstone(payload []byte) (t Tombstone, err error) {
	src := payload
	if t.MinT, src, err = readSvarint(src, "tombstone"); err != nil {
		return t, err
	}
	if t.MaxT, src, err = readSvarint(src, "tombstone"); err != nil {
		return t, err
	}
	n, src, err := readCount(src, 1, "tombstone series")
	if err != nil {
		return t, err
	}
	prev := storage.SeriesRef(0)
	for range n {
		var delta int64
		if delta, src, err = readSvarint(src, "tombstone series"); err != nil {
			return t, err
		}
		prev += storage.SeriesRef(delta)
		t.Series = append(t.Series, prev)
	}
	if n, src, err = readCount(src, 3, "matchers"); err != nil {
		return t, err
	}
	for range n {
		var m *labels.Matcher
		if m, src, err = readMatcher(src); err != nil {
			return t, err
		}
		t.Matchers = append(t.Matchers, m)
	}
	return t, checkEnd(src, "tombstone")
}

func readMatcher(src []byte) (m *labels.Matcher, rest []byte, err error) {
	if len(src) == 0 || src[0] > byte(labels.MatchNotRegexp) {
		return nil, nil, corruptf("matcher: bad type")
	}
	typ := labels.MatchType(src[0])
	name, src, err := readString(src[1:], "matcher name")
	if err != nil {
		return nil, nil, err
	}
	val, src, err := readString(src, "matcher value")
	if err != nil {
		return nil, nil, err
	}
	if m, err = labels.NewMatcher(typ, name, val); err != nil {
		return nil, nil, corruptf("matcher: %w", err)
	}
	return m, src, nil
}
