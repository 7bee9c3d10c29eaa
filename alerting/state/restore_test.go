package state

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestRestored(t *testing.T) {
	const grace = 10 * time.Minute
	now := at(100)
	for name, c := range map[string]struct {
		hold               time.Duration
		activeAt, lastSeen float64
		want               float64 // minute since when it is active
		wantNot            bool
	}{
		"fired": {
			hold: 30 * time.Minute, activeAt: 0, lastSeen: 40, want: 0,
		},
		"fired just now": {
			hold: 30 * time.Minute, activeAt: 10, lastSeen: 40, want: 10,
		},
		"fired and for is shorter than grace": {
			hold: 5 * time.Minute, activeAt: 10, lastSeen: 40, want: 10,
		},
		"fired and there is no for": {
			hold: 0, activeAt: 10, lastSeen: 10, want: 10,
		},
		"pending and for is shorter than grace": {
			hold: 5 * time.Minute, activeAt: 10, lastSeen: 12, wantNot: true,
		},
		"less than grace remained: fires in grace": {
			hold: 30 * time.Minute, activeAt: 15, lastSeen: 40, want: 80, // 80 + 30 = 100 + 10
		},
		"more than grace remained: the outage does not count": {
			hold: 30 * time.Minute, activeAt: 35, lastSeen: 40, want: 95, // 5 of 30 minutes passed
		},
		"exactly grace remained": {
			hold: 30 * time.Minute, activeAt: 20, lastSeen: 40, want: 80,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Restored(Record{ActiveAt: at(c.activeAt), LastSeen: at(c.lastSeen)}, now, c.hold, grace)
			require.Equal(t, !c.wantNot, ok)
			if ok {
				require.Equal(t, at(c.want), got)
			}
		})
	}
}

func TestRestoreMovesTheNextStep(t *testing.T) {
	const hold, grace = 30 * time.Minute, 10 * time.Minute
	var s Set
	require.NoError(t, s.Step(Policy{For: hold}, observed("fired", "pending", "new"), at(100)))
	n := s.Restore(at(100), hold, grace, func(ls labels.Labels) (Record, bool) {
		switch ls.Get("instance") {
		case "fired":
			return Record{ActiveAt: at(0), LastSeen: at(90)}, true
		case "pending":
			return Record{ActiveAt: at(65), LastSeen: at(90)}, true
		default:
			return Record{}, false
		}
	})
	require.Equal(t, 2, n)
	require.NoError(t, s.Step(Policy{For: hold}, observed("fired", "pending", "new"), at(101)))
	require.Equal(t, "fired=firing active 0 fired 101; pending=pending active 80; new=pending active 100", dump(&s))
}

func TestContinued(t *testing.T) {
	record := func(instance string, activeAt, lastSeen float64) Record {
		return Record{
			Labels:   labels.FromStrings("alertname", "A", "instance", instance),
			ActiveAt: at(activeAt), LastSeen: at(lastSeen),
		}
	}
	p := Policy{For: 5 * time.Minute, KeepFiringFor: 20 * time.Minute}
	var s Set
	require.NoError(t, s.Step(p, observed("seen"), at(99)))
	continued := s.Continued(p, at(100), []Record{
		record("seen", 0, 90),
		record("fired", 0, 90),
		record("just fired", 85, 90),
		record("pending", 86, 90),
		record("nearly too long ago", 0, 80.5),
		record("too long ago", 0, 80),
	})
	var names []string
	for _, r := range continued {
		names = append(names, r.Labels.Get("instance"))
		s.Continue(r, labels.FromStrings("n", "x"), at(100))
	}
	require.Equal(t, []string{"fired", "just fired", "nearly too long ago"}, names)
	require.NoError(t, s.Step(p, observed("just fired"), at(101)))
	require.Equal(t, "fired=firing active 0 fired 100 kept 90; just fired=firing active 85 fired 100; "+
		"nearly too long ago=inactive active 0 fired 100 kept 80.5 resolved 101", dump(&s))
	require.Equal(t, "x", s.Active()[0].Annotations.Get("n"))
}
