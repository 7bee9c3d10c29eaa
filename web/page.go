package web

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/gnomonhq/gnomon/web/api"
)

// The pages show at most this many rows of a kind; the API has the rest.
const (
	maxTargetRows = 500
	maxAlertRows  = 200
	maxResultRows = 500
)

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"ago":      ago,
	"duration": shortDuration,
}).Parse(pageHTML))

// pageFrame is what every page shows.
type pageFrame struct {
	Title   string
	App     string
	Prefix  string // of links, without a trailing slash
	Version api.BuildInfo
	State   string
	Uptime  time.Duration
	Started time.Time
	Now     time.Time
}

func (s *Server) frame() pageFrame {
	now := s.opts.API.Now()
	return pageFrame{
		Title:   s.opts.PageTitle,
		App:     s.opts.AppName,
		Prefix:  strings.TrimSuffix(path.Join("/", s.opts.ExternalURL.Path), "/"),
		Version: s.opts.API.BuildInfo,
		State:   map[State]string{NotReady: "starting", Ready: "ready", Stopping: "stopping"}[s.State()],
		Uptime:  now.Sub(s.born),
		Started: s.born,
		Now:     now,
	}
}

// statusData is what the status page shows. A part that the server does not have
// is nil.
type statusData struct {
	pageFrame
	Runtime       RuntimeState
	Targets       *targetsData
	Rules         *rulesData
	Alertmanagers *alertmanagersData
	Storage       *storageData
	Config        string
	Notifications []api.Notification
}

type targetsData struct {
	Up, Down, Unknown, Dropped int
	Rows                       []targetRow // those with trouble first
	More                       int
}

type targetRow struct {
	Pool string
	api.Target
}

type rulesData struct {
	Groups, Rules   int
	Failing         []api.Rule
	Firing, Pending int
	Alerts          []api.Alert // firing first
	More            int
}

type alertmanagersData struct {
	Active  []string
	Dropped int
}

type storageData struct {
	Error  string
	Stats  api.TSDBStats
	Replay *api.WALReplay // nil once the server is ready
}

// statusPage serves /status: what is watched and how it is doing.
func (s *Server) statusPage(w http.ResponseWriter, r *http.Request) {
	data := statusData{pageFrame: s.frame(), Runtime: s.opts.RuntimeState()}
	o := &s.opts.API
	if o.Targets != nil {
		data.Targets = summarizeTargets(o.Targets)
	}
	if o.Rules != nil {
		data.Rules = summarizeRules(o.Rules.RuleGroups(true))
	}
	if o.Alertmanagers != nil {
		data.Alertmanagers = &alertmanagersData{
			Active:  o.Alertmanagers.Alertmanagers(),
			Dropped: len(o.Alertmanagers.DroppedAlertmanagers()),
		}
	}
	if o.TSDB != nil {
		data.Storage = s.summarizeStorage(r.Context())
	}
	if o.Config != nil {
		data.Config = o.Config()
	}
	if o.Notifications != nil {
		data.Notifications = o.Notifications.List()
	}
	s.render(w, http.StatusOK, "status", data)
}

// summarizeTargets counts the targets and puts those with trouble first.
func summarizeTargets(t api.Targets) *targetsData {
	var d targetsData
	for pool, targets := range t.ActiveTargets() {
		for _, target := range targets {
			d.Rows = append(d.Rows, targetRow{pool, target})
			switch target.Health {
			case "up":
				d.Up++
			case "down":
				d.Down++
			default:
				d.Unknown++
			}
		}
	}
	for _, n := range t.DroppedTargetCounts() {
		d.Dropped += n
	}
	rank := map[string]int{"down": 0, "unknown": 1, "up": 2}
	slices.SortStableFunc(d.Rows, func(a, b targetRow) int {
		return cmp.Or(cmp.Compare(rank[a.Health], rank[b.Health]),
			strings.Compare(a.Pool, b.Pool), strings.Compare(a.URL, b.URL))
	})
	d.Rows, d.More = firstRows(d.Rows, maxTargetRows)
	return &d
}

// summarizeRules counts rules and alerts and picks out those with trouble.
func summarizeRules(groups []api.RuleGroup) *rulesData {
	d := rulesData{Groups: len(groups)}
	for _, g := range groups {
		d.Rules += len(g.Rules)
		for _, rule := range g.Rules {
			if rule.Health == "err" {
				d.Failing = append(d.Failing, rule)
			}
			d.Alerts = append(d.Alerts, rule.Alerts...)
		}
	}
	for _, a := range d.Alerts {
		if a.State == "firing" {
			d.Firing++
		} else {
			d.Pending++
		}
	}
	slices.SortStableFunc(d.Alerts, func(a, b api.Alert) int {
		return cmp.Or(strings.Compare(a.State, b.State), a.ActiveAt.Compare(b.ActiveAt))
	})
	d.Alerts, d.More = firstRows(d.Alerts, maxAlertRows)
	return &d
}

func (s *Server) summarizeStorage(ctx context.Context) *storageData {
	var d storageData
	if s.State() == NotReady {
		replay := s.opts.API.TSDB.WALReplay()
		d.Replay = &replay
		return &d
	}
	stats, err := s.opts.API.TSDB.Stats(ctx, 10)
	if err != nil {
		d.Error = err.Error()
	}
	d.Stats = stats
	return &d
}

// firstRows returns up to n rows and how many there are beyond.
func firstRows[T any](rows []T, n int) (first []T, more int) {
	if len(rows) <= n {
		return rows, 0
	}
	return rows[:n], len(rows) - n
}

// render writes a page. It is rendered into memory first, so that an error does
// not leave half of it.
func (s *Server) render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		s.opts.Logger.Error("render page", "page", name, "err", err)
		http.Error(w, "render page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'")
	w.WriteHeader(status)
	writeText(w, b.String())
}

// ago says how long before now t was.
func ago(now, t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "never"
	}
	return shortDuration(now.Sub(t)) + " ago"
}

// shortDuration is d with the precision that a person looks for.
func shortDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 48*time.Hour:
		return model.Duration(d.Round(time.Second)).String()
	default:
		return model.Duration(d.Round(time.Hour)).String()
	}
}
