package index

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestProjection(t *testing.T) {
	sets := NewLabelSets(NewSymbols())
	a := sets.Intern(labels.FromStrings("__name__", "up", "instance", "1", "job", "a", "zone", "z"))
	b := sets.Intern(labels.FromStrings("__name__", "up", "instance", "2", "job", "a"))
	c := sets.Intern(labels.FromStrings("__name__", "down", "instance", "2", "job", "b"))
	p := sets.NewProjection([]string{"job", "__name__", "nothing"})
	want := labels.FromStrings("__name__", "up", "job", "a")
	require.Equal(t, want, p.Labels(a))
	require.Equal(t, want, p.Labels(b))
	require.Equal(t, labels.FromStrings("__name__", "down", "job", "b"), p.Labels(c))
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Labels(a) }), "what is left of a target is made once")
	require.Equal(t, labels.EmptyLabels(), sets.NewProjection(nil).Labels(a))

	sets.Intern(labels.FromStrings("__name__", "up", "__type__", "gauge"))
	require.Nil(t, sets.NewProjection([]string{"job"}), "the name does not go alone")
}
