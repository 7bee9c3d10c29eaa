package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// epoch is the time 0 of the scripts.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time {
	return epoch.Add(time.Duration(minutes * float64(time.Minute)))
}

func observed(names ...string) []Observation {
	seen := make([]Observation, len(names))
	for i, n := range names {
		seen[i] = Observation{Labels: labels.FromStrings("alertname", "A", "instance", n), Value: float64(len(n))}
	}
	return seen
}

// dump writes the alerts of a set as "instance=state" with the times, in
// minutes, that are set.
func dump(s *Set) string {
	var out []string
	for _, a := range s.ordered {
		line := a.Labels.Get("instance") + "=" + a.State.String() + minutes(" active ", a.ActiveAt) +
			minutes(" fired ", a.FiredAt) + minutes(" kept ", a.KeepFiringSince) + minutes(" resolved ", a.ResolvedAt)
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

func minutes(name string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s%g", name, t.Sub(epoch).Minutes())
}

// step is one evaluation of a script: at a minute, under a policy, with the
// instances that are seen.
type step struct {
	at     float64
	policy Policy
	seen   []string
	want   string
}

func TestStep(t *testing.T) {
	hold := Policy{For: 2 * time.Minute}
	keep := Policy{KeepFiringFor: 3 * time.Minute}
	for name, script := range map[string][]step{
		"without for it fires at once": {
			{at: 0, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
			{at: 1, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
		},
		"with for it is pending first": {
			{at: 0, policy: hold, seen: []string{"a"}, want: "a=pending active 0"},
			{at: 1, policy: hold, seen: []string{"a"}, want: "a=pending active 0"},
			{at: 2, policy: hold, seen: []string{"a"}, want: "a=firing active 0 fired 2"},
		},
		"pending and not seen is forgotten": {
			{at: 0, policy: hold, seen: []string{"a"}, want: "a=pending active 0"},
			{at: 1, policy: hold, want: ""},
			{at: 2, policy: hold, seen: []string{"a"}, want: "a=pending active 2"},
		},
		"resolved is kept for fifteen minutes": {
			{at: 0, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
			{at: 1, want: "a=inactive active 0 fired 0 resolved 1"},
			{at: 16, want: "a=inactive active 0 fired 0 resolved 1"},
			{at: 16.1, want: ""},
		},
		"resolved and seen again begins anew": {
			{at: 0, policy: hold, seen: []string{"a"}, want: "a=pending active 0"},
			{at: 2, policy: hold, seen: []string{"a"}, want: "a=firing active 0 fired 2"},
			{at: 3, policy: hold, want: "a=inactive active 0 fired 2 resolved 3"},
			{at: 4, policy: hold, seen: []string{"a"}, want: "a=pending active 4"},
			{at: 6, policy: hold, seen: []string{"a"}, want: "a=firing active 4 fired 6"},
		},
		"keeps firing for a while": {
			{at: 0, policy: keep, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
			{at: 1, policy: keep, want: "a=firing active 0 fired 0 kept 1"},
			{at: 3, policy: keep, want: "a=firing active 0 fired 0 kept 1"},
			{at: 4, policy: keep, want: "a=inactive active 0 fired 0 kept 1 resolved 4"},
		},
		"seen again while it keeps firing": {
			{at: 0, policy: keep, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
			{at: 1, policy: keep, want: "a=firing active 0 fired 0 kept 1"},
			{at: 2, policy: keep, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
			{at: 3, policy: keep, want: "a=firing active 0 fired 0 kept 3"},
			{at: 5, policy: keep, want: "a=firing active 0 fired 0 kept 3"},
			{at: 6, policy: keep, want: "a=inactive active 0 fired 0 kept 3 resolved 6"},
		},
		"a longer for makes it pending again": {
			{at: 0, seen: []string{"a"}, want: "a=firing active 0 fired 0"},
			{at: 1, policy: hold, seen: []string{"a"}, want: "a=pending active 0"},
			{at: 2, policy: hold, seen: []string{"a"}, want: "a=firing active 0 fired 2"},
		},
		"alerts are independent": {
			{at: 0, policy: hold, seen: []string{"a", "b"}, want: "a=pending active 0; b=pending active 0"},
			{at: 1, policy: hold, seen: []string{"c", "a"}, want: "a=pending active 0; c=pending active 1"},
			{at: 2, policy: hold, seen: []string{"c", "a"}, want: "a=firing active 0 fired 2; c=pending active 1"},
			{at: 3, policy: hold, seen: []string{"c"}, want: "a=inactive active 0 fired 2 resolved 3; c=firing active 1 fired 3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s Set
			for _, st := range script {
				require.NoError(t, s.Step(st.policy, observed(st.seen...), at(st.at)))
				require.Equal(t, st.want, dump(&s), "at minute %g", st.at)
			}
		})
	}
}

func TestStepRefusesDuplicates(t *testing.T) {
	var s Set
	require.NoError(t, s.Step(Policy{}, observed("a"), at(0)))
	before := dump(&s)
	require.ErrorIs(t, s.Step(Policy{}, observed("b", "c", "b"), at(1)), ErrDuplicateLabels)
	require.Equal(t, before, dump(&s), "a refused evaluation changes nothing")
	require.NoError(t, s.Step(Policy{}, observed("a"), at(2)))
	require.Equal(t, before, dump(&s))
}

func TestStepLimit(t *testing.T) {
	var s Set
	p := Policy{Limit: 2}
	require.NoError(t, s.Step(p, observed("a", "b"), at(0)))
	require.NoError(t, s.Step(p, observed("b"), at(1)))
	require.Equal(t, 2, s.Len(), "one firing, one resolved")
	require.NoError(t, s.Step(p, observed("b", "c"), at(2)), "a resolved alert does not count")
	err := s.Step(p, observed("b", "c", "d"), at(3))
	var limit *LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, &LimitError{Limit: 2, Alerts: 3}, limit)
	require.EqualError(t, err, "exceeded limit of 2 with 3 alerts")
	require.Zero(t, s.Len())
	require.NoError(t, s.Step(p, observed("d"), at(4)))
	require.Equal(t, "d=firing active 4 fired 4", dump(&s))
}

func TestStepUpdatesValueAndAnnotations(t *testing.T) {
	var s Set
	o := observed("a")
	o[0].Annotations = labels.FromStrings("text", "one")
	require.NoError(t, s.Step(Policy{KeepFiringFor: time.Hour}, o, at(0)))
	o[0].Annotations, o[0].Value = labels.FromStrings("text", "two"), 7
	require.NoError(t, s.Step(Policy{KeepFiringFor: time.Hour}, o, at(1)))
	require.NoError(t, s.Step(Policy{KeepFiringFor: time.Hour}, nil, at(2)))
	active := s.Active()
	require.Len(t, active, 1)
	require.Equal(t, "two", active[0].Annotations.Get("text"), "the last ones stay while it keeps firing")
	require.Equal(t, 7.0, active[0].Value)
}

func TestMax(t *testing.T) {
	var s Set
	require.Equal(t, Inactive, s.Max())
	require.NoError(t, s.Step(Policy{For: time.Minute}, observed("a"), at(0)))
	require.Equal(t, Pending, s.Max())
	require.NoError(t, s.Step(Policy{For: time.Minute}, observed("a", "b"), at(1)))
	require.Equal(t, Firing, s.Max())
	require.NoError(t, s.Step(Policy{For: time.Minute}, nil, at(2)))
	require.Equal(t, Inactive, s.Max())
	require.Empty(t, s.Active())
}

func TestDue(t *testing.T) {
	const resend, interval = time.Minute, 15 * time.Second
	var s Set
	// due returns what is sent at a minute.
	due := func(minute float64) string {
		var out []string
		for _, a := range s.Due(at(minute), resend, interval) {
			require.Equal(t, at(minute), a.LastSentAt)
			require.Equal(t, at(minute).Add(4*resend), a.ValidUntil)
			out = append(out, a.Labels.Get("instance")+"="+a.State.String())
		}
		return strings.Join(out, " ")
	}
	p := Policy{For: time.Minute}
	require.NoError(t, s.Step(p, observed("a"), at(0)))
	require.Empty(t, due(0), "pending alerts are not sent")
	require.NoError(t, s.Step(p, observed("a", "b"), at(1)))
	require.Equal(t, "a=firing", due(1))
	require.Empty(t, due(1.5))
	require.Empty(t, due(2), "the resend delay has to be exceeded")
	require.NoError(t, s.Step(p, observed("a", "b"), at(2.25)))
	require.Equal(t, "a=firing b=firing", due(2.25))
	require.NoError(t, s.Step(p, observed("b"), at(2.5)))
	require.Equal(t, "a=inactive", due(2.5), "a resolution is sent at once")
	require.NoError(t, s.Step(p, observed("b"), at(4)))
	require.Equal(t, "a=inactive b=firing", due(4), "and again, like any other")
	require.NoError(t, s.Step(p, nil, at(18)))
	require.Equal(t, "b=inactive", due(18), "until it is forgotten")
}

func TestDueValidityFollowsTheInterval(t *testing.T) {
	var s Set
	require.NoError(t, s.Step(Policy{}, observed("a"), at(0)))
	require.Equal(t, at(20), s.Due(at(0), time.Minute, 5*time.Minute)[0].ValidUntil)
}

func TestStateNames(t *testing.T) {
	require.Equal(t, "unknown inactive pending firing",
		fmt.Sprintf("%v %v %v %v", Unknown, Inactive, Pending, Firing))
}

// TestStepBoundsMemory holds that nothing is kept of alerts that are gone, whose
// labels differ each time.
func TestStepBoundsMemory(t *testing.T) {
	var s Set
	for i := range 1000 {
		require.NoError(t, s.Step(Policy{}, observed(fmt.Sprint(i)), at(float64(i))))
	}
	require.LessOrEqual(t, s.Len(), 17)
	require.Len(t, s.byKey, s.Len())
}
