package api

// Alertmanagers knows where alerts are sent to. It is used by any number of
// goroutines.
type Alertmanagers interface {
	// Alertmanagers returns the URLs that alerts are posted to.
	Alertmanagers() []string
	// DroppedAlertmanagers returns the URLs of those that relabelling dropped.
	DroppedAlertmanagers() []string
}
