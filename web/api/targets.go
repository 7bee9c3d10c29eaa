package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/relabel"
)

// Targets knows what is scraped. It is used by any number of goroutines.
type Targets interface {
	// ScrapePools returns the names of the scrape pools, in any order. The
	// handler owns the slice.
	ScrapePools() []string
	// ActiveTargets returns the targets of every scrape pool by the pool's
	// name, those of a pool in the order in which they are to be shown.
	ActiveTargets() map[string][]Target
	// DroppedTargets returns the label sets, before relabelling, of the targets
	// that relabelling dropped, by the pool's name. It may leave some out, see
	// keep_dropped_targets.
	DroppedTargets() map[string][]labels.Labels
	// DroppedTargetCounts returns how many targets relabelling dropped, by the
	// pool's name, whether or not DroppedTargets has them.
	DroppedTargetCounts() map[string]int
	// ScrapePoolConfig returns the configuration of a scrape pool. Its error
	// names the pool.
	ScrapePoolConfig(pool string) (ScrapePoolConfig, error)
	// TargetMetadata returns the label set of each active target with the
	// metric families that it exposes; of these only the one that is called
	// metric, unless that is empty.
	TargetMetadata(metric string) iter.Seq2[labels.Labels, []FamilyMetadata]
}

// Target is an active target.
type Target struct {
	// DiscoveredLabels are the labels before relabelling.
	DiscoveredLabels labels.Labels
	// Labels are the labels that the target's series get.
	Labels labels.Labels
	// URL is what is scraped.
	URL string
	// LastError is the error of the last scrape; empty if it went well.
	LastError string
	// LastScrape is when the last scrape began; zero if there was none.
	LastScrape time.Time
	// LastScrapeDuration is how long the last scrape took.
	LastScrapeDuration time.Duration
	// Health is "up", "down" or "unknown".
	Health string
	// ScrapeInterval and ScrapeTimeout are Prometheus durations such as 15s.
	ScrapeInterval, ScrapeTimeout string
}

// ScrapePoolConfig is the configuration of a scrape pool.
type ScrapePoolConfig struct {
	// YAML is the whole of it, without secrets.
	YAML string
	// Relabel is its relabelling of targets.
	Relabel []*relabel.Config
}

// FamilyMetadata is what a target says about a metric family.
type FamilyMetadata struct {
	Family string
	metadata.Metadata
}

var errNoScrapePool = errors.New("no scrapePool parameter provided")

// scrapePools serves /scrape_pools.
func (a *API) scrapePools(*http.Request) (response, error) {
	if a.opts.Targets == nil {
		return response{}, unavailable("scrape targets")
	}
	pools := a.opts.Targets.ScrapePools()
	slices.Sort(pools)
	return response{data: func(e *encoder) {
		e.raw(`{"scrapePools":`)
		e.strs(pools)
		e.rawByte('}')
	}}, nil
}

// scrapePoolConfig serves /scrape_pools/config.
func (a *API) scrapePoolConfig(r *http.Request) (response, error) {
	config, err := a.poolConfig(r.Form.Get("scrapePool"))
	if err != nil {
		return response{}, err
	}
	return response{data: func(e *encoder) { e.yaml(config.YAML) }}, nil
}

func (a *API) poolConfig(pool string) (ScrapePoolConfig, error) {
	if a.opts.Targets == nil {
		return ScrapePoolConfig{}, unavailable("scrape targets")
	}
	if pool == "" {
		return ScrapePoolConfig{}, badData(errNoScrapePool)
	}
	config, err := a.opts.Targets.ScrapePoolConfig(pool)
	if err != nil {
		return ScrapePoolConfig{}, badData(fmt.Errorf("error retrieving scrape config: %w", err))
	}
	return config, nil
}

// targets serves /targets.
func (a *API) targets(r *http.Request) (response, error) {
	if a.opts.Targets == nil {
		return response{}, unavailable("scrape targets")
	}
	only := r.Form.Get("scrapePool")
	state := strings.ToLower(r.Form.Get("state"))
	all := state == "" || state == "any"
	var active map[string][]Target
	var dropped map[string][]labels.Labels
	var counts map[string]int
	if all || state == "active" {
		active = a.opts.Targets.ActiveTargets()
	}
	if all || state == "dropped" {
		dropped = a.opts.Targets.DroppedTargets()
		counts = a.opts.Targets.DroppedTargetCounts()
	}
	return response{data: func(e *encoder) {
		e.raw(`{"activeTargets":[`)
		n := 0
		for _, pool := range wantedPools(active, only) {
			for i := range active[pool] {
				e.comma(n)
				n++
				e.target(pool, &active[pool][i], a.globalURL(active[pool][i].URL))
				e.spill()
			}
		}
		e.raw(`],"droppedTargets":[`)
		n = 0
		for _, pool := range wantedPools(dropped, only) {
			for _, ls := range dropped[pool] {
				e.comma(n)
				n++
				e.raw(`{"discoveredLabels":`)
				e.labels(ls)
				e.raw(`,"scrapePool":`)
				e.str(pool)
				e.rawByte('}')
				e.spill()
			}
		}
		e.raw(`],"droppedTargetCounts":`)
		e.counts(counts)
		e.rawByte('}')
	}}, nil
}

// wantedPools returns the names of the pools in ascending order; of these only
// the one called only, unless that is empty.
func wantedPools[T any](pools map[string]T, only string) []string {
	if only == "" {
		return slices.Sorted(maps.Keys(pools))
	}
	if _, ok := pools[only]; ok {
		return []string{only}
	}
	return nil
}

// target appends an active target. global is its URL as seen from elsewhere.
func (e *encoder) target(pool string, t *Target, global globalURL) {
	e.raw(`{"discoveredLabels":`)
	e.labels(t.DiscoveredLabels)
	e.raw(`,"labels":`)
	e.labels(t.Labels)
	e.raw(`,"scrapePool":`)
	e.str(pool)
	e.raw(`,"scrapeUrl":`)
	e.str(t.URL)
	e.raw(`,"globalUrl":`)
	e.str(global.url)
	e.raw(`,"lastError":`)
	if global.err != nil {
		e.str(fmt.Sprintf("%s: %v", t.LastError, global.err))
	} else {
		e.str(t.LastError)
	}
	e.raw(`,"lastScrape":`)
	e.time(t.LastScrape)
	e.raw(`,"lastScrapeDuration":`)
	e.seconds(t.LastScrapeDuration)
	e.raw(`,"health":`)
	e.str(t.Health)
	e.raw(`,"scrapeInterval":`)
	e.str(t.ScrapeInterval)
	e.raw(`,"scrapeTimeout":`)
	e.str(t.ScrapeTimeout)
	e.rawByte('}')
}

// counts appends a map of numbers in ascending order of the keys, or null.
func (e *encoder) counts(counts map[string]int) {
	if counts == nil {
		e.raw("null")
		return
	}
	e.rawByte('{')
	for i, name := range slices.Sorted(maps.Keys(counts)) {
		e.comma(i)
		e.str(name)
		e.rawByte(':')
		e.integer(int64(counts[name]))
	}
	e.rawByte('}')
}

// targetMetadata serves /targets/metadata.
func (a *API) targetMetadata(r *http.Request) (response, error) {
	if a.opts.Targets == nil {
		return response{}, unavailable("scrape targets")
	}
	limit, err := countParam(r, "limit", -1)
	if err != nil {
		return response{}, err
	}
	var matchers []*labels.Matcher
	if s := r.Form.Get("match_target"); s != "" {
		if matchers, err = a.opts.Parser.ParseMetricSelector(s); err != nil {
			return response{}, invalidParam("match_target", err)
		}
	}
	metric := r.Form.Get("metric")
	return response{data: func(e *encoder) {
		e.rawByte('[')
		n := 0
		for target, families := range a.opts.Targets.TargetMetadata(metric) {
			// The limit does not cut a target's list short, as in Prometheus.
			if limit >= 0 && n >= limit {
				break
			}
			if !matches(target, matchers) {
				continue
			}
			for _, f := range families {
				e.comma(n)
				n++
				e.targetFamily(target, f, metric == "")
				e.spill()
			}
		}
		e.rawByte(']')
	}}, nil
}

func (e *encoder) targetFamily(target labels.Labels, f FamilyMetadata, withName bool) {
	e.raw(`{"target":`)
	e.labels(target)
	if withName && f.Family != "" {
		e.raw(`,"metric":`)
		e.str(f.Family)
	}
	e.raw(`,"type":`)
	e.str(string(f.Type))
	e.raw(`,"help":`)
	e.str(f.Help)
	e.raw(`,"unit":`)
	e.str(f.Unit)
	e.rawByte('}')
}

// targetRelabelSteps serves /targets/relabel_steps: what each rule of a scrape
// pool makes of a label set.
func (a *API) targetRelabelSteps(r *http.Request) (response, error) {
	pool, text := r.Form.Get("scrapePool"), r.Form.Get("labels")
	if pool == "" {
		return response{}, badData(errNoScrapePool)
	}
	if text == "" {
		return response{}, badData(errors.New("no labels parameter provided"))
	}
	var ls labels.Labels
	if err := json.Unmarshal([]byte(text), &ls); err != nil {
		return response{}, badData(fmt.Errorf("error parsing labels: %w", err))
	}
	config, err := a.poolConfig(pool)
	if err != nil {
		return response{}, err
	}
	rules := make([][]byte, len(config.Relabel))
	for i, rule := range config.Relabel {
		if rules[i], err = json.Marshal(rule); err != nil {
			return response{}, fmt.Errorf("relabelling rule %d of scrape pool %q: %w", i, pool, err)
		}
	}
	return response{data: func(e *encoder) {
		e.raw(`{"steps":[`)
		b := labels.NewBuilder(ls)
		keep := true
		for i, rule := range config.Relabel {
			keep = keep && relabel.ProcessBuilder(b, rule)
			after := labels.EmptyLabels()
			if keep {
				after = b.Labels()
			}
			e.comma(i)
			e.raw(`{"rule":`)
			e.buf = append(e.buf, rules[i]...)
			e.raw(`,"output":`)
			e.labels(after)
			e.raw(`,"keep":`)
			e.boolean(keep)
			e.rawByte('}')
		}
		e.raw(`]}`)
	}}, nil
}
