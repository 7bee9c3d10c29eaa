package plan

import "github.com/prometheus/prometheus/promql/parser"

// contextValue returns what a function of the times of the query is.
func (t *Times) contextValue(name string) (float64, bool) {
	switch name {
	case "start":
		return float64(t.Start.UnixMilli()) / 1000, true
	case "end":
		return float64(t.End.UnixMilli()) / 1000, true
	case "range":
		return t.End.Sub(t.Start).Seconds(), true
	case "step":
		if t.Start.Equal(t.End) {
			return 0, true
		}
		return t.Step.Seconds(), true
	}
	return 0, false
}

// at returns the time that an @ modifier names, or nil.
func (t *Times) at(timestamp *int64, startOrEnd parser.ItemType) *int64 {
	var ms int64
	switch startOrEnd {
	case parser.START:
		ms = t.Start.UnixMilli()
	case parser.END:
		ms = t.End.UnixMilli()
	default:
		return timestamp
	}
	return &ms
}
