package storage

import "github.com/prometheus/prometheus/model/labels"

// SeriesKnower is a store that can tell which series it has at hand without making
// them: what bounds the number of new series asks it which ones are new.
type SeriesKnower interface {
	// KnowsSeries reports whether samples of the series make no new one. It may
	// be out of date as soon as it returns.
	KnowsSeries(ls labels.Labels) bool
}
