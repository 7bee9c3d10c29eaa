package e2e

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// Bounds of the waits, far above what they take on a quiet machine.
const (
	soon   = 30 * time.Second
	slowly = 90 * time.Second
)

// containsFold reports whether s contains part, letter case aside.
func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// activeTargets returns the active targets of a job by their label instance.
func activeTargets(t *testing.T, server *harness.Gnomon, job string) map[string]v1.ActiveTarget {
	t.Helper()
	result, err := server.API(t).Targets(t.Context())
	require.NoError(t, err)
	targets := make(map[string]v1.ActiveTarget)
	for _, target := range result.Active {
		if target.ScrapePool == job {
			targets[string(target.Labels["instance"])] = target
		}
	}
	return targets
}

// waitTargets waits until a job has exactly these instances, all of them up.
func waitTargets(t *testing.T, server *harness.Gnomon, job string, instances ...string) {
	t.Helper()
	waitTargetsWithin(t, soon, server, job, instances...)
}

// waitTargetsWithin is waitTargets with a time of its own.
func waitTargetsWithin(t *testing.T, within time.Duration, server *harness.Gnomon, job string, instances ...string) {
	t.Helper()
	harness.Eventually(t, within, fmt.Sprintf("the targets of %s to be up: %q", job, instances), func() error {
		targets := activeTargets(t, server, job)
		if len(targets) != len(instances) {
			return fmt.Errorf("there are %d: %v", len(targets), targets)
		}
		for _, instance := range instances {
			target, ok := targets[instance]
			if !ok {
				return fmt.Errorf("no target %q in %v", instance, targets)
			}
			if target.Health != v1.HealthGood {
				return fmt.Errorf("target %q is %s: %s", instance, target.Health, target.LastError)
			}
		}
		return nil
	})
}

// alert returns the only active alert with a name.
func alert(t *testing.T, server *harness.Gnomon, name string) (v1.Alert, error) {
	t.Helper()
	result, err := server.API(t).Alerts(t.Context())
	if err != nil {
		return v1.Alert{}, err
	}
	var found []v1.Alert
	for _, a := range result.Alerts {
		if a.Labels[model.AlertNameLabel] == model.LabelValue(name) {
			found = append(found, a)
		}
	}
	if len(found) != 1 {
		return v1.Alert{}, fmt.Errorf("got %d alerts %q, want 1: %v", len(found), name, result.Alerts)
	}
	return found[0], nil
}

// waitAlert waits until the only alert with a name is in a state.
func waitAlert(t *testing.T, server *harness.Gnomon, name string, state v1.AlertState) v1.Alert {
	t.Helper()
	var found v1.Alert
	harness.Eventually(t, soon, fmt.Sprintf("alert %s to be %s", name, state), func() error {
		a, err := alert(t, server, name)
		if err == nil && a.State != state {
			err = fmt.Errorf("it is %s", a.State)
		}
		found = a
		return err
	})
	return found
}

// form makes parameters of names and values in turn.
func form(pairs ...string) url.Values {
	values := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

// selfScrape returns an entry of scrape_configs by which a server scrapes itself.
func selfScrape(server *harness.Gnomon) string {
	return "- job_name: self\n  static_configs: [{targets: ['" + server.Address + "']}]\n"
}

// atLine matches a message that places a fault in a file: as file:line, or in words.
func atLine(file string, line int) string {
	return fmt.Sprintf(`%s\D*\b%d\b`, regexp.QuoteMeta(file), line)
}
