//go:build !linux || no_machine

package machine

import "net/http"

// Available reports whether this build has the metrics of the machine.
const Available = false

// Machine makes pages with the metrics of the machine. This build has none.
type Machine struct{}

// New returns ErrNotBuiltIn.
func New(Options) (*Machine, error) { return nil, ErrNotBuiltIn }

// Handler answers every request with status 404.
func (m *Machine) Handler() http.Handler { return http.NotFoundHandler() }

// Collectors returns nothing.
func (m *Machine) Collectors() []string { return nil }
