package exec

import (
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/promql/functions"
)

// seriesWith returns a series of n steps with values at some of them.
func seriesWith(n int, ls labels.Labels, at map[int]float64) *series {
	s := newSeries(n)
	s.metric = ls
	for i, v := range at {
		s.Floats[i] = v
		s.Valid.Set(i)
	}
	return s
}

func TestFillBits(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 200} {
		b := functions.NewBitmap(n)
		fillBits(b, n)
		require.Equal(t, n, countBits(b))
	}
}

func TestTallyAndStepwise(t *testing.T) {
	var in, out tally
	in.add(seriesWith(3, labels.EmptyLabels(), map[int]float64{0: 1, 1: 1, 2: 1}), 3, false)
	in.add(seriesWith(3, labels.EmptyLabels(), map[int]float64{1: 1}), 3, false)
	require.Equal(t, []int{1, 2, 1}, []int{in.at(0), in.at(1), in.at(2)})
	require.Equal(t, 4, in.matrix)
	out.add(seriesWith(3, labels.EmptyLabels(), map[int]float64{0: 1, 1: 1, 2: 1}), 3, true)
	// Ten are held. At step 1 they are held, with a result of the step before, two
	// that are looked at, and one that is made.
	u := stepwise(usage{peak: 12, held: 10}, &in, &out, 3)
	require.Equal(t, usage{peak: 14, held: 3}, u)

	u = usage{}
	u.then(usage{peak: 5, held: 2})
	u.then(usage{peak: 4, held: 1})
	require.Equal(t, usage{peak: 6, held: 3}, u)
}

func TestMerge(t *testing.T) {
	sc := &scope{evaluator: &evaluator{}, n: 3}
	x, y := labels.FromStrings("a", "x"), labels.FromStrings("a", "y")
	all, err := sc.merge([]*series{
		seriesWith(3, x, map[int]float64{0: 1}), seriesWith(3, y, map[int]float64{0: 2}), seriesWith(3, x, map[int]float64{2: 3}),
	}, true)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, x, all[0].metric)
	require.Equal(t, []float64{1, 0, 3}, all[0].Floats)
	require.True(t, all[0].Valid.Has(2))
	require.False(t, all[0].Valid.Has(1))

	_, err = sc.merge([]*series{seriesWith(3, x, map[int]float64{0: 1}), seriesWith(3, x, map[int]float64{0: 1})}, false)
	require.ErrorIs(t, err, errSameLabels)

	both := func() []*series {
		h := seriesWith(3, x, nil)
		h.setHist(1, 3, &histogram.FloatHistogram{})
		h.setHist(2, 3, &histogram.FloatHistogram{})
		return []*series{h, seriesWith(3, x, map[int]float64{1: 1})}
	}
	_, err = sc.merge(both(), true)
	require.ErrorIs(t, err, errSameLabels)
	all, err = sc.merge(both(), false)
	require.NoError(t, err)
	require.True(t, all[0].both)
	all[0].settle()
	require.Nil(t, all[0].hist(1))
	require.Nil(t, all[0].hist(2))
}

func TestUnname(t *testing.T) {
	ls := labels.FromStrings(model.MetricNameLabel, "m", "a", "x")
	typed := labels.FromStrings(model.MetricNameLabel, "m", model.MetricTypeLabel, "gauge", "a", "x")
	ev := &evaluator{}
	s, u := &series{metric: ls}, &series{metric: typed}
	ev.unname(s)
	ev.unname(u)
	require.Equal(t, labels.FromStrings("a", "x"), s.metric)
	require.Equal(t, s.metric, u.metric)
	require.Equal(t, []bool{false, true}, []bool{s.typed, u.typed})

	ev.opts.DelayedNames = true
	s = &series{metric: ls}
	ev.unname(s)
	require.Equal(t, ls, s.metric)
	require.True(t, s.dropName)
}
