package parse

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

const plainText = "text/plain; version=0.0.4"

// memory is a group in memory.
type memory struct {
	series   []string // by column, empty if the column is free
	columns  map[string]storage.Column
	metadata map[storage.Column]metadata.Metadata
}

func newMemory() *memory {
	return &memory{columns: map[string]storage.Column{}, metadata: map[storage.Column]metadata.Metadata{}}
}

func (m *memory) AddColumn(n *NewSeries) (storage.Column, bool, error) {
	key := n.Labels.String()
	if c, ok := m.columns[key]; ok {
		return c, true, nil
	}
	c := storage.Column(len(m.series))
	m.series = append(m.series, key)
	m.columns[key] = c
	return c, true, nil
}

func (m *memory) SetMetadata(c storage.Column, md metadata.Metadata) { m.metadata[c] = md }

// row returns the samples of a row by series.
func (m *memory) row(s *Scrape) map[string]float64 {
	row := map[string]float64{}
	for c, key := range m.series {
		if s.Row.Has(storage.Column(c)) {
			row[key] = s.Row.Values[c]
		}
	}
	return row
}

func admitAll(ls labels.Labels) (labels.Labels, error) { return ls, nil }

func TestLayoutFollowsBodies(t *testing.T) {
	l, s, m := NewLayout(), new(Scrape), newMemory()
	opts := &Options{Admit: admitAll, HonorTimestamps: true}
	read := func(body string) map[string]float64 {
		require.NoError(t, l.Parse(s, []byte(body), plainText, opts))
		require.NoError(t, l.Commit(s, m))
		return m.row(s)
	}
	require.Equal(t, map[string]float64{`{__name__="a"}`: 1, `{__name__="b", x="y"}`: 2.5},
		read("# HELP a help\n# TYPE a counter\na 1\nb{x=\"y\"} 2.5\n"))
	require.Equal(t, 2, s.SeriesAdded)
	require.Equal(t, map[string]float64{`{__name__="a"}`: 2, `{__name__="b", x="y"}`: math.Inf(1)},
		read("# HELP a help\n# TYPE a counter\na 2\nb{x=\"y\"} +Inf\n"))
	require.Equal(t, 0, s.SeriesAdded)
	require.Equal(t, map[string]float64{`{__name__="a"}`: 2, `{__name__="b", x="y"}`: 1, `{__name__="c"}`: 3},
		read("# HELP a help\n# TYPE a counter\na 2\nc 3\nb{x=\"y\"} 1"))
	require.Equal(t, map[string]float64{`{__name__="b", x="y"}`: 1, `{__name__="c"}`: 3},
		read("c 3\nb{x=\"y\"} 1"))
	require.Equal(t, 2, l.Lines())
}
