package promql

import "fmt"

// Class says how urgent a query is: what waits for a place gets one in the order
// of classes.
type Class uint8

// The classes, the least urgent first.
const (
	// ClassAdHoc is a query that somebody typed, or of which nothing is known.
	ClassAdHoc Class = iota
	// ClassDashboard is a query of a dashboard.
	ClassDashboard
	// ClassRule is a query of an alerting or recording rule.
	ClassRule

	numClasses
)

// String returns the name of the class, as metrics and the API have it.
func (c Class) String() string {
	switch c {
	case ClassAdHoc:
		return "ad-hoc"
	case ClassDashboard:
		return "dashboard"
	case ClassRule:
		return "rule"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// classes are all of them, the most urgent first.
var classes = [...]Class{ClassRule, ClassDashboard, ClassAdHoc}
