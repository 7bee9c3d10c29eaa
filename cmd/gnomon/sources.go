package main

import (
	"github.com/gnomonhq/gnomon/discovery"
	"github.com/gnomonhq/gnomon/web/api"
)

// discoverySources shows to the HTTP API what the shared mechanisms follow.
func discoverySources(mechanisms []discovery.Mechanism) func() []api.DiscoverySource {
	return func() []api.DiscoverySource {
		var out []api.DiscoverySource
		for _, m := range mechanisms {
			for _, s := range m.Sources() {
				shown := api.DiscoverySource{
					Mechanism: s.Mechanism, Server: s.Server, Resource: s.Resource, Namespace: s.Namespace, Selector: s.Selector,
					Objects: s.Objects, Up: s.Up, LastContact: s.LastContact,
				}
				if s.Err != nil {
					shown.Error = s.Err.Error()
				}
				out = append(out, shown)
			}
		}
		return out
	}
}
