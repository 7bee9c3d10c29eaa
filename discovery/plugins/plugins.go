// Package plugins links the discovery mechanisms into a binary: upstream's, and our own
// from the packages beside it. It has no API; it is imported for its effects, and only
// by cmd/gnomon, because linking everything costs about 100 MB. Package discovery
// documents the build tags that leave mechanisms out.
//
// Upstream's set lives in its plugins package, one file per mechanism under the same
// tags, so that a mechanism that upstream adds appears here with the next version.
package plugins

import (
	// The mechanisms of upstream, each under its build tag.
	_ "github.com/prometheus/prometheus/plugins"
)
