package api

import "net/http"

// Alertmanagers knows where alerts are sent to. It is used by any number of
// goroutines.
type Alertmanagers interface {
	// Alertmanagers returns the URLs that alerts are posted to.
	Alertmanagers() []string
	// DroppedAlertmanagers returns the URLs of those that relabelling dropped.
	DroppedAlertmanagers() []string
}

// alertmanagers serves /alertmanagers.
func (a *API) alertmanagers(*http.Request) (response, error) {
	if a.opts.Alertmanagers == nil {
		return response{}, unavailable("Alertmanagers")
	}
	active := a.opts.Alertmanagers.Alertmanagers()
	dropped := a.opts.Alertmanagers.DroppedAlertmanagers()
	return response{data: func(e *encoder) {
		e.raw(`{"activeAlertmanagers":`)
		e.alertmanagers(active)
		e.raw(`,"droppedAlertmanagers":`)
		e.alertmanagers(dropped)
		e.rawByte('}')
	}}, nil
}

func (e *encoder) alertmanagers(urls []string) {
	e.rawByte('[')
	for i, u := range urls {
		e.comma(i)
		e.raw(`{"url":`)
		e.str(u)
		e.rawByte('}')
	}
	e.rawByte(']')
}
