package api

import (
	"net/http"
	"time"
)

// DiscoverySource is a part of the world that targets are discovered from.
type DiscoverySource struct {
	Mechanism string
	// Server, Resource, Namespace and Selector say what is followed; an empty namespace
	// or selector stands for all.
	Server, Resource, Namespace, Selector string
	// Objects counts those that are known.
	Objects int
	// Up is whether changes are followed. If not, targets are as they were at
	// LastContact, which is zero if there was none.
	Up          bool
	LastContact time.Time
	// Error is what has failed since.
	Error string
}

// discoverySources serves /status/discovery, which Prometheus does not have.
func (a *API) discoverySources(*http.Request) (response, error) {
	if a.opts.DiscoverySources == nil {
		return response{}, unavailable("discovery")
	}
	sources := a.opts.DiscoverySources()
	return response{data: func(e *encoder) {
		e.raw(`{"sources":[`)
		for i := range sources {
			e.comma(i)
			e.discoverySource(&sources[i])
			e.spill()
		}
		e.raw(`]}`)
	}}, nil
}

func (e *encoder) discoverySource(s *DiscoverySource) {
	e.raw(`{"mechanism":`)
	e.str(s.Mechanism)
	e.raw(`,"server":`)
	e.str(s.Server)
	e.raw(`,"resource":`)
	e.str(s.Resource)
	e.raw(`,"namespace":`)
	e.str(s.Namespace)
	e.raw(`,"selector":`)
	e.str(s.Selector)
	e.raw(`,"objects":`)
	e.integer(int64(s.Objects))
	e.raw(`,"up":`)
	e.boolean(s.Up)
	e.raw(`,"lastContact":`)
	if s.LastContact.IsZero() {
		e.raw("null")
	} else {
		e.time(s.LastContact.UTC())
	}
	e.raw(`,"error":`)
	e.str(s.Error)
	e.rawByte('}')
}
