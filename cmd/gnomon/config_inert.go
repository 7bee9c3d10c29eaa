package main

import (
	"log/slog"

	promconfig "github.com/prometheus/prometheus/config"
)

// inertSettings are the settings of the configuration file that are accepted
// and have no effect yet, with what that means for the user.
var inertSettings = []struct {
	name, meaning string
	set           func(*promconfig.Config) bool
}{
	{"remote_write", "samples are not sent anywhere", func(c *promconfig.Config) bool { return len(c.RemoteWriteConfigs) > 0 }},
	{"remote_read", "queries see local samples only", func(c *promconfig.Config) bool { return len(c.RemoteReadConfigs) > 0 }},
	{"tracing", "no traces are sent", func(c *promconfig.Config) bool { return c.TracingConfig.Endpoint != "" }},
}

// inertWarner says of each inert setting once that it has no effect.
type inertWarner struct {
	logger *slog.Logger
	said   map[string]bool
}

func (w *inertWarner) warn(c *promconfig.Config) {
	for _, s := range inertSettings {
		if s.set(c) && !w.said[s.name] {
			w.said[s.name] = true
			w.logger.Warn("setting has no effect yet", "setting", s.name, "meaning", s.meaning)
		}
	}
}
