//go:build !unix || solaris || aix

package takeover

import "io"

// lockShared does nothing: there is no lock here that is shared and leaves the
// file alone. The user has to know that no Prometheus is running.
func lockShared(string) (io.Closer, error) { return nil, nil }
