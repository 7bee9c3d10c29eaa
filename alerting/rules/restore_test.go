package rules

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/alerting/state"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// life runs a rig over a store for some evaluations of its group and ends it.
func life(t *testing.T, store *storagetest.Model, dir string, rule string, evaluations int, vector func(time.Time) (alerting.Vector, error), check func(*rig)) {
	r := newRig(t, store, nil)
	if dir != "" {
		r.dir = dir
	}
	r.file("r.yml", "groups:", "- name: g", "  rules:", "  - "+rule)
	require.NoError(t, r.update())
	r.answerFunc("in", vector)
	r.start()
	r.afterEvaluation("g", evaluations)
	check(r)
	r.end()
}

func always(time.Time) (alerting.Vector, error) { return vec(`up{i="1"}`, 1.0), nil }

func TestRestoreAfterRestart(t *testing.T) {
	for name, c := range map[string]struct {
		rule    string
		minutes int // evaluations of the first life
		// outage lies between the last evaluation of the first life and the first
		// one of the second.
		outage time.Duration
		// What the alert of the second life looks like after its third
		// evaluation: its state, and since when it is active, in seconds before
		// (negative) or after the first evaluation of that life.
		state  state.State
		active time.Duration
	}{
		"fired, short outage": {
			rule: "{alert: A, expr: in, for: 15m}", minutes: 20, outage: 10 * time.Minute,
			state: state.Firing, active: -29 * time.Minute,
		},
		"fired, outage longer than tolerated": {
			rule: "{alert: A, expr: in, for: 15m}", minutes: 20, outage: 61 * time.Minute,
			state: state.Pending, active: 0,
		},
		"fired, for shorter than grace": {
			rule: "{alert: A, expr: in, for: 5m}", minutes: 20, outage: 10 * time.Minute,
			state: state.Firing, active: -29 * time.Minute,
		},
		"fired, no for": {
			rule: "{alert: A, expr: in}", minutes: 20, outage: 10 * time.Minute,
			state: state.Firing, active: -29 * time.Minute,
		},
		"pending, for shorter than grace": {
			rule: "{alert: A, expr: in, for: 9m}", minutes: 4, outage: 10 * time.Minute,
			state: state.Pending, active: 0,
		},
		"pending, less than grace remains": {
			// Restored at the second evaluation, one minute in: it fires ten
			// minutes later, so it counts as active since 15 minutes before that.
			rule: "{alert: A, expr: in, for: 15m}", minutes: 10, outage: 10 * time.Minute,
			state: state.Pending, active: time.Minute + 10*time.Minute - 15*time.Minute,
		},
		"pending, more than grace remains": {
			// It was pending for three minutes and the outage does not count:
			// from the last evaluation before to the restoration.
			rule: "{alert: A, expr: in, for: 15m}", minutes: 4, outage: 10 * time.Minute,
			state: state.Pending, active: time.Minute - 3*time.Minute,
		},
		"labels that are templates": {
			rule: "{alert: A, expr: in, for: 15m, labels: {team: x, value: 'v{{ $value }}', none: '{{ $labels.nope }}'}}", minutes: 20, outage: 10 * time.Minute,
			state: state.Firing, active: -29 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, dir := storagetest.NewModel(0), t.TempDir()
				life(t, store, dir, c.rule, c.minutes, always, func(r *rig) {
					require.Len(t, r.group("g").Rules[0].Alerts, 1)
				})
				time.Sleep(c.outage - 30*time.Second)
				life(t, store, dir, c.rule, 3, always, func(r *rig) {
					alert := r.group("g").Rules[0].Alerts[0]
					first := r.group("g").LastSlot.Add(-2 * time.Minute)
					require.Equal(t, c.state, alert.State)
					// Whole seconds are recorded.
					require.InDelta(t, c.active.Seconds(), alert.ActiveAt.Sub(first).Seconds(), 1)
					require.False(t, r.metric("prometheus_rule_group_last_restore_duration_seconds", ";g") < 0)
				})
			})
		})
	}
}

// TestNothingIsWrittenBeforeTheRestoration holds that a new process does not
// hide what it is to restore behind its own samples.
func TestNothingIsWrittenBeforeTheRestoration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := storagetest.NewModel(0), t.TempDir()
		const rule = "{alert: A, expr: in, for: 15m}"
		life(t, store, dir, rule, 5, always, func(*rig) {})
		time.Sleep(10 * time.Minute)
		life(t, store, dir, rule, 2, always, func(r *rig) {
			require.Regexp(t, `@-\d+$`, r.samples(forStateMetric, r.group("g").LastSlot)[`{__name__="ALERTS_FOR_STATE", alertname="A", i="1"}`])
		})
		life(t, store, dir, rule, 3, always, func(r *rig) {
			require.Regexp(t, `@0$`, r.samples(forStateMetric, r.group("g").LastSlot)[`{__name__="ALERTS_FOR_STATE", alertname="A", i="1"}`])
		})
	})
}

// TestResolvedAlertIsNotRestored holds that an alert which ended before the
// restart begins anew.
func TestResolvedAlertIsNotRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := storagetest.NewModel(0), t.TempDir()
		const rule = "{alert: A, expr: in, for: 15m}"
		end := time.Now().Add(20 * time.Minute)
		life(t, store, dir, rule, 25, func(now time.Time) (alerting.Vector, error) {
			if now.Before(end) {
				return always(now)
			}
			return nil, nil
		}, func(*rig) {})
		life(t, store, dir, rule, 3, always, func(r *rig) {
			alert := r.group("g").Rules[0].Alerts[0]
			require.Equal(t, state.Pending, alert.State)
			require.Equal(t, r.group("g").LastSlot.Add(-2*time.Minute), alert.ActiveAt)
		})
	})
}

// TestKeepFiringForSurvivesRestart holds that an alert goes on firing for the
// rest of keep_firing_for if its condition ended while nobody looked.
func TestKeepFiringForSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := storagetest.NewModel(0), t.TempDir()
		const rule = "{alert: A, expr: in, for: 5m, keep_firing_for: 30m, annotations: {n: '{{ $labels.i }}={{ $value }}'}}"
		var activeAt, lastSeen time.Time
		life(t, store, dir, rule, 20, always, func(r *rig) {
			activeAt, lastSeen = r.group("g").Rules[0].Alerts[0].ActiveAt, r.group("g").LastSlot
		})
		time.Sleep(10 * time.Minute)
		life(t, store, dir, rule, 3, func(time.Time) (alerting.Vector, error) { return nil, nil }, func(r *rig) {
			require.Len(t, r.group("g").Rules[0].Alerts, 1)
			alert := r.group("g").Rules[0].Alerts[0]
			require.Equal(t, state.Firing, alert.State)
			require.Equal(t, activeAt.Truncate(time.Second), alert.ActiveAt)
			require.Equal(t, lastSeen.Truncate(time.Second), alert.KeepFiringSince)
			require.Equal(t, "1=NaN", alert.Annotations.Get("n"))
			require.Equal(t, []string{`in {alertname="A", i="1"} firing`}, r.sent())
			r.afterEvaluation("g", 16)
			require.Equal(t, state.Firing, r.group("g").Rules[0].State)
			r.sent()
			r.afterEvaluation("g", 3)
			require.Equal(t, state.Inactive, r.group("g").Rules[0].State)
			require.Contains(t, r.sent(), `in {alertname="A", i="1"} inactive`)
		})
	})
}

// TestRestoreSurvivesReload holds that a group which is changed between the
// start and the restoration still restores.
func TestRestoreSurvivesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := storagetest.NewModel(0), t.TempDir()
		const rule = "{alert: A, expr: in, for: 15m}"
		life(t, store, dir, rule, 20, always, func(*rig) {})
		time.Sleep(5 * time.Minute)
		r := newRig(t, store, nil)
		r.dir = dir
		require.NoError(t, r.update())
		r.answerFunc("in", always)
		r.start()
		r.afterEvaluation("g", 1)
		r.file("r.yml", "groups:", "- name: g", "  rules:", "  - "+rule, "  - {record: out, expr: in}")
		require.NoError(t, r.update())
		r.afterEvaluation("g", 3)
		require.Equal(t, state.Firing, r.group("g").Rules[0].State)
	})
}

// TestNewGroupIsNotRestored holds that a group which is added to a running
// server does not take over what an older one of the same name left.
func TestNewGroupIsNotRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := storagetest.NewModel(0), t.TempDir()
		const rule = "{alert: A, expr: in, for: 15m}"
		life(t, store, dir, rule, 20, always, func(*rig) {})
		r := newRig(t, store, nil)
		require.NoError(t, r.update())
		r.answerFunc("in", always)
		r.start()
		r.file("r.yml", "groups:", "- name: g", "  rules:", "  - "+rule)
		require.NoError(t, r.update())
		r.afterEvaluation("g", 3)
		require.Equal(t, state.Pending, r.group("g").Rules[0].State)
		require.Contains(t, r.samples(forStateMetric, r.group("g").LastSlot)[`{__name__="ALERTS_FOR_STATE", alertname="A", i="1"}`],
			strconv.FormatFloat(float64(r.group("g").LastSlot.Unix()-120), 'g', -1, 64)+"@-120", "it writes from the first evaluation on")
	})
}

// TestFilesThatComeLaterAreRestored holds that files which are not on a disk are those of a
// former process too when they come for the first time, though the disk was read before.
func TestFilesThatComeLaterAreRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storagetest.NewModel(0)
		const rule = "{alert: A, expr: in, for: 15m}"
		life(t, store, t.TempDir(), rule, 20, always, func(*rig) {})
		r := newRig(t, store, nil)
		require.NoError(t, r.update())
		r.answerFunc("in", always)
		r.start()
		parse := func(group string) File {
			f, err := r.manager.Parse(group, []byte("groups: [{name: "+group+", rules: ["+rule+"]}]"))
			require.NoError(t, err)
			return f
		}
		first := parse("first")
		r.manager.SetParsed([]File{first})
		r.afterEvaluation("first", 3)
		require.Equal(t, state.Firing, r.group("first").Rules[0].State)
		r.manager.SetParsed([]File{first, parse("later")})
		r.afterEvaluation("later", 3)
		require.Equal(t, state.Pending, r.group("later").Rules[0].State, "it is new")
	})
}

func TestRestoreStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storagetest.NewModel(0)
		require.NoError(t, store.Close())
		life(t, store, "", "{alert: A, expr: in, for: 1m}", 3, always, func(r *rig) {
			rule := r.group("g").Rules[0]
			require.Equal(t, state.Firing, rule.State, "alerts work without a store")
			require.Equal(t, HealthError, rule.Health)
			require.NotEmpty(t, r.sent())
		})
	})
}
