package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
)

// BuildInfo says how the binary was built.
type BuildInfo struct {
	Version, Revision, Branch, BuildUser, BuildDate, GoVersion string
}

// RuntimeInfo says how the process is doing.
type RuntimeInfo struct {
	StartTime  time.Time
	CWD        string
	Hostname   string
	ServerTime time.Time
	// ReloadConfigSuccess is whether the last attempt to load the configuration
	// went well, LastConfigTime when it last did.
	ReloadConfigSuccess bool
	LastConfigTime      time.Time
	// CorruptionCount counts the damaged records of the write-ahead log.
	CorruptionCount int64
	GoroutineCount  int
	GOMAXPROCS      int
	GOMEMLIMIT      int64
	GOGC, GODEBUG   string
	// StorageRetention is such as "15d or 10GiB".
	StorageRetention string
}

// buildInfo appends the fields that /status/buildinfo and /version show.
func (e *encoder) buildInfo(b *BuildInfo) {
	e.raw(`{"version":`)
	e.str(b.Version)
	e.raw(`,"revision":`)
	e.str(b.Revision)
	e.raw(`,"branch":`)
	e.str(b.Branch)
	e.raw(`,"buildUser":`)
	e.str(b.BuildUser)
	e.raw(`,"buildDate":`)
	e.str(b.BuildDate)
	e.raw(`,"goVersion":`)
	e.str(b.GoVersion)
	e.rawByte('}')
}

// JSON returns the build information as /version shows it.
func (b *BuildInfo) JSON() []byte {
	e := newEncoder(nil)
	defer e.free()
	e.buildInfo(b)
	return slices.Clone(e.buf)
}

// yaml appends a configuration.
func (e *encoder) yaml(text string) {
	e.raw(`{"yaml":`)
	e.str(text)
	e.rawByte('}')
}

// statusConfig serves /status/config.
func (a *API) statusConfig(*http.Request) (response, error) {
	if a.opts.Config == nil {
		return response{}, unavailable("configuration")
	}
	text := a.opts.Config()
	return response{data: func(e *encoder) { e.yaml(text) }}, nil
}

// statusFlags serves /status/flags.
func (a *API) statusFlags(*http.Request) (response, error) {
	return response{data: func(e *encoder) {
		e.rawByte('{')
		for i, name := range slices.Sorted(maps.Keys(a.opts.Flags)) {
			e.comma(i)
			e.str(name)
			e.rawByte(':')
			e.str(a.opts.Flags[name])
		}
		e.rawByte('}')
	}}, nil
}

// statusBuildInfo serves /status/buildinfo.
func (a *API) statusBuildInfo(*http.Request) (response, error) {
	return response{data: func(e *encoder) { e.buildInfo(&a.opts.BuildInfo) }}, nil
}

// statusRuntimeInfo serves /status/runtimeinfo.
func (a *API) statusRuntimeInfo(*http.Request) (response, error) {
	if a.opts.RuntimeInfo == nil {
		return response{}, unavailable("runtime information")
	}
	info, err := a.opts.RuntimeInfo()
	if err != nil {
		return response{}, err
	}
	return response{data: func(e *encoder) { e.runtimeInfo(&info) }}, nil
}

func (e *encoder) runtimeInfo(i *RuntimeInfo) {
	e.raw(`{"startTime":`)
	e.time(i.StartTime)
	e.raw(`,"CWD":`)
	e.str(i.CWD)
	e.raw(`,"hostname":`)
	e.str(i.Hostname)
	e.raw(`,"serverTime":`)
	e.time(i.ServerTime)
	e.raw(`,"reloadConfigSuccess":`)
	e.boolean(i.ReloadConfigSuccess)
	e.raw(`,"lastConfigTime":`)
	e.time(i.LastConfigTime)
	e.raw(`,"corruptionCount":`)
	e.integer(i.CorruptionCount)
	e.raw(`,"goroutineCount":`)
	e.integer(int64(i.GoroutineCount))
	e.raw(`,"GOMAXPROCS":`)
	e.integer(int64(i.GOMAXPROCS))
	e.raw(`,"GOMEMLIMIT":`)
	e.integer(i.GOMEMLIMIT)
	e.raw(`,"GOGC":`)
	e.str(i.GOGC)
	e.raw(`,"GODEBUG":`)
	e.str(i.GODEBUG)
	e.raw(`,"storageRetention":`)
	e.str(i.StorageRetention)
	e.rawByte('}')
}

// selfMetrics serves /status/self_metrics: the server's own metrics as JSON.
func (a *API) selfMetrics(r *http.Request) (response, error) {
	if a.opts.Gatherer == nil {
		return response{}, unavailable("metrics of its own")
	}
	var wanted *regexp.Regexp
	if pattern := r.Form.Get("metric_name_pattern"); pattern != "" {
		var err error
		if wanted, err = regexp.Compile("^(?:" + pattern + ")$"); err != nil {
			return response{}, badData(fmt.Errorf("invalid metric_name_pattern: %w", err))
		}
	}
	families, err := a.opts.Gatherer.Gather()
	if err != nil {
		return response{}, fmt.Errorf("error gathering self metrics: %w", err)
	}
	texts := make([][]byte, 0, len(families))
	for _, f := range families {
		if wanted != nil && !wanted.MatchString(f.GetName()) {
			continue
		}
		text, err := protojson.Marshal(f)
		if err != nil {
			return response{}, fmt.Errorf("error marshaling metric family %q: %w", f.GetName(), err)
		}
		texts = append(texts, text)
	}
	return response{data: func(e *encoder) {
		e.rawByte('[')
		for i, text := range texts {
			e.comma(i)
			e.buf = append(e.buf, text...)
			e.spill()
		}
		e.rawByte(']')
	}}, nil
}

// features serves /features.
func (a *API) features(*http.Request) (response, error) {
	if a.opts.Features == nil {
		return response{}, errors.New("feature registry not configured")
	}
	registered := a.opts.Features.Get()
	return response{data: func(e *encoder) {
		e.rawByte('{')
		for i, category := range slices.Sorted(maps.Keys(registered)) {
			e.comma(i)
			e.plainStr(category)
			e.raw(":{")
			for j, name := range slices.Sorted(maps.Keys(registered[category])) {
				e.comma(j)
				e.plainStr(name) // operators such as >= are easier to read
				e.rawByte(':')
				e.boolean(registered[category][name])
			}
			e.rawByte('}')
		}
		e.rawByte('}')
	}}, nil
}
