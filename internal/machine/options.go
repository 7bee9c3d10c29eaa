package machine

import (
	"errors"
	"log/slog"
	"time"
)

// ErrNotBuiltIn is returned by [New] where [Available] is false.
var ErrNotBuiltIn = errors.New("the metrics of the machine are not built in: that needs Linux and a build without the tag no_machine")

const (
	defaultMaxRequests = 4
	defaultTimeout     = 10 * time.Second
)

// Options configure a [Machine]. The zero value is usable.
type Options struct {
	// Logger receives what collectors report, all of it at level debug, and
	// collectors that panic at level error. Nil discards both.
	Logger *slog.Logger
	// MaxRequests is how many pages are made at once; more requests get status
	// 503. 0 means 4.
	MaxRequests int
	// Timeout is how long a page may take before the request gets status 503.
	// 0 means 10s, the default timeout of a scrape.
	Timeout time.Duration
}

// withDefaults returns o with the documented defaults filled in.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = defaultMaxRequests
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return o
}
