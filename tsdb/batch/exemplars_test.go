package batch

import (
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

func exemplarAt(t int64, v float64) exemplar.Exemplar {
	return exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "x"), Ts: t, HasTs: true, Value: v}
}

func TestMergeExemplars(t *testing.T) {
	a := []exemplar.Exemplar{exemplarAt(1, 1), exemplarAt(3, 1), exemplarAt(3, 2)}
	b := []exemplar.Exemplar{exemplarAt(2, 1), exemplarAt(3, 2), exemplarAt(3, 1), exemplarAt(3, 3)}
	require.Equal(t, []exemplar.Exemplar{exemplarAt(1, 1), exemplarAt(2, 1), exemplarAt(3, 1), exemplarAt(3, 2), exemplarAt(3, 3)}, MergeExemplars(a, nil, b))
	require.Nil(t, MergeExemplars(nil, nil))
	x, y := labels.FromStrings("a", "1"), labels.FromStrings("a", "2")
	require.Equal(t, []storage.ExemplarSeries{{Labels: x, Exemplars: a}, {Labels: y, Exemplars: MergeExemplars(a, b)}},
		MergeExemplarSeries([]storage.ExemplarSeries{{Labels: y, Exemplars: a}, {Labels: x, Exemplars: a}, {Labels: y, Exemplars: b}, {Labels: x, Exemplars: a}}))
}

func TestThinExemplars(t *testing.T) {
	var list []exemplar.Exemplar
	for i := range 10 {
		list = append(list, exemplarAt(int64(i), 0))
	}
	require.Equal(t, list, ThinExemplars(list, 10))
	require.Equal(t, []exemplar.Exemplar{list[2], list[5], list[9]}, ThinExemplars(list, 3))
	require.Equal(t, list[9:], ThinExemplars(list, 1))
	require.Empty(t, ThinExemplars(list, 0))
}
