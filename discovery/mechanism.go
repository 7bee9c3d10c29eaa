package discovery

import (
	"time"

	upstream "github.com/prometheus/prometheus/discovery"
)

// Mechanism makes the discoverers of one kind of configuration in place of the
// configuration itself, so that they can share what they follow. It is safe for concurrent
// use, and is given to all managers of a process.
type Mechanism interface {
	// Name is that of the configurations that the mechanism serves.
	Name() string
	// NewDiscoverer returns a discoverer that will be run.
	NewDiscoverer(upstream.Config, upstream.DiscovererOptions) (upstream.Discoverer, error)
	// Sources returns what the mechanism follows at present.
	Sources() []Source
}

// Source is a part of the world that a mechanism follows, and how well it does.
type Source struct {
	Mechanism string
	// Server, Resource, Namespace and Selector say what is followed. An empty namespace or
	// selector stands for all.
	Server, Resource, Namespace, Selector string
	// Objects counts those that are known.
	Objects int
	// Up is whether changes are being followed. If not, targets are as they were at
	// LastContact.
	Up bool
	// LastContact is when the server was last heard of; zero for never.
	LastContact time.Time
	// Err is what has failed since; nil if nothing did.
	Err error
}
