package scrape

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/scrape/parse"
)

// Health is the health of a target as of its last scrape.
type Health string

// The states of health. A target is in HealthUnknown until its first scrape is
// done.
const (
	HealthUnknown Health = "unknown"
	HealthGood    Health = "up"
	HealthBad     Health = "down"
)

// Target is one endpoint of a job. A target that relabelling dropped has
// discovered labels only. The methods can be called from any number of
// goroutines.
type Target struct {
	labels labels.Labels // after relabelling, internal ones included
	public labels.Labels // those that samples get
	hash   uint64
	url    *url.URL

	interval, timeout time.Duration

	mu struct {
		sync.RWMutex
		// job and the two label sets are what the target was made from. They
		// change without the target changing.
		job                 *config.ScrapeConfig
		discovered, ofGroup model.LabelSet
		state               targetState
	}
}

// targetState is what the loop of a target has for it, all nil if there is none.
type targetState struct {
	history  *history
	refused  *refusedSeries
	families *parse.Families
}

// newTarget makes a target of the labels ls that relabelling left, which are
// empty for a dropped target.
func newTarget(ls labels.Labels, job *config.ScrapeConfig, discovered, ofGroup model.LabelSet) *Target {
	t := &Target{labels: ls, public: publicLabels(ls)}
	t.mu.job, t.mu.discovered, t.mu.ofGroup = job, discovered, ofGroup
	t.url = targetURL(ls, job.Params)
	t.hash = targetHash(ls, t.url)
	// populateLabels has checked both, so a failure means a dropped target.
	t.interval = durationLabel(ls, model.ScrapeIntervalLabel, job.ScrapeInterval)
	t.timeout = durationLabel(ls, model.ScrapeTimeoutLabel, job.ScrapeTimeout)
	return t
}

// targetsFromGroup makes the targets of a group. A target that cannot be made
// costs itself only.
func targetsFromGroup(g *targetgroup.Group, job *config.ScrapeConfig, lb *labels.Builder) (targets []*Target, failures []error) {
	for i, discovered := range g.Targets {
		ls, err := populateLabels(lb, job, discovered, g.Labels)
		if err != nil {
			failures = append(failures, fmt.Errorf("instance %d in group %s: %w", i, g, err))
			continue
		}
		targets = append(targets, newTarget(ls, job, discovered, g.Labels))
	}
	return targets, failures
}

func publicLabels(ls labels.Labels) labels.Labels {
	b := labels.NewScratchBuilder(ls.Len())
	ls.Range(func(l labels.Label) {
		if !strings.HasPrefix(l.Name, model.ReservedLabelPrefix) {
			b.Add(l.Name, l.Value)
		}
	})
	return b.Labels()
}

func targetURL(ls labels.Labels, params url.Values) *url.URL {
	query := make(url.Values, len(params))
	for name, values := range params {
		query[name] = append([]string(nil), values...)
	}
	ls.Range(func(l labels.Label) {
		name, ok := strings.CutPrefix(l.Name, model.ParamLabelPrefix)
		if !ok {
			return
		}
		if len(query[name]) > 0 {
			query[name][0] = l.Value
		} else {
			query[name] = []string{l.Value}
		}
	})
	host := ls.Get(model.AddressLabel)
	if host == "" && ls.Get(unixSocketLabel) != "" {
		host = "localhost"
	}
	return &url.URL{
		Scheme:   ls.Get(model.SchemeLabel),
		Host:     host,
		Path:     ls.Get(model.MetricsPathLabel),
		RawQuery: query.Encode(),
	}
}

// targetHash identifies a target within its job.
func targetHash(ls labels.Labels, u *url.URL) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%016d", ls.Hash())
	h.Write([]byte(u.String()))
	return h.Sum64()
}

func durationLabel(ls labels.Labels, name string, otherwise model.Duration) time.Duration {
	d, err := model.ParseDuration(ls.Get(name))
	if err != nil {
		return time.Duration(otherwise)
	}
	return time.Duration(d)
}

// String returns the URL of the target.
func (t *Target) String() string { return t.url.String() }

// URL returns the URL that is scraped. The caller may change it.
func (t *Target) URL() *url.URL {
	u := *t.url
	return &u
}

// Labels returns the labels that the samples of the target get.
func (t *Target) Labels() labels.Labels { return t.public }

// GetValue returns the value of a label after relabelling, internal labels like
// __address__ included; it is empty if there is no such label.
func (t *Target) GetValue(name string) string { return t.labels.Get(name) }

// DiscoveredLabels returns the labels of the target before relabelling.
func (t *Target) DiscoveredLabels() labels.Labels {
	t.mu.RLock()
	job, discovered, ofGroup := t.mu.job, t.mu.discovered, t.mu.ofGroup
	t.mu.RUnlock()
	lb := labels.NewBuilder(labels.EmptyLabels())
	populateDiscoveredLabels(lb, job, discovered, ofGroup)
	return lb.Labels()
}

// Interval returns the time between two scrapes.
func (t *Target) Interval() time.Duration { return t.interval }

// Timeout returns the time that a scrape may take.
func (t *Target) Timeout() time.Duration { return t.timeout }

// LastRecord returns the outcome of the last scrape. ok is false before the first
// one.
func (t *Target) LastRecord() (r Record, ok bool) { return t.history().latest() }

// Records returns the outcomes of the last sixty scrapes, the oldest one first.
func (t *Target) Records() []Record { return t.history().list() }

func (t *Target) history() *history {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mu.state.history
}

// Refused returns the new series of the last scrape that were not stored.
func (t *Target) Refused() RefusedSeries {
	t.mu.RLock()
	refused := t.mu.state.refused
	t.mu.RUnlock()
	return refused.read()
}

// Health returns the health as of the last scrape.
func (t *Target) Health() Health {
	switch r, ok := t.LastRecord(); {
	case !ok:
		return HealthUnknown
	case r.Err != nil:
		return HealthBad
	default:
		return HealthGood
	}
}

// LastError returns why the last scrape failed, nil if it did not.
func (t *Target) LastError() error {
	r, _ := t.LastRecord()
	return r.Err
}

// LastScrape returns when the last scrape began; it is zero before the first
// one.
func (t *Target) LastScrape() time.Time {
	r, _ := t.LastRecord()
	return r.Start
}

// LastScrapeDuration returns how long the last scrape took.
func (t *Target) LastScrapeDuration() time.Duration {
	r, _ := t.LastRecord()
	return r.Duration
}

// refresh takes over what t was made from, for a target that is the same.
func (t *Target) refresh(from *Target) {
	from.mu.RLock()
	job, discovered, ofGroup := from.mu.job, from.mu.discovered, from.mu.ofGroup
	from.mu.RUnlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.job, t.mu.discovered, t.mu.ofGroup = job, discovered, ofGroup
}

// inherit takes over the state of the target that t replaces.
func (t *Target) inherit(from *Target) {
	from.mu.RLock()
	state := from.mu.state
	from.mu.RUnlock()
	t.setState(state)
}

// setState makes the target show the state of its loop.
func (t *Target) setState(s targetState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.state = s
}

// identity is what makes the series of a target: the labels they get. Of targets
// with the same identity one can go on with the loop of the other, whatever their
// URLs and intervals are.
func (t *Target) identity() string { return t.public.String() }

// boolLabel returns the value of a switch that relabelling can set per target.
func (t *Target) boolLabel(name string, otherwise bool) bool {
	v, err := strconv.ParseBool(t.labels.Get(name))
	if err != nil {
		return otherwise
	}
	return v
}
