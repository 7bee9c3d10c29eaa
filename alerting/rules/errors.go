package rules

import (
	"fmt"
	"strings"
)

// FileError says where in a rule file a fault is and what it is. What does not
// apply, as the group outside of groups, is zero.
type FileError struct {
	// Path is the file.
	Path string
	// Line and Column count from 1; 0 is unknown.
	Line, Column int
	// Group is the name of the group.
	Group string
	// Rule is the number of the rule within the group, from 1, and RuleName
	// the name of its alert or series, which may be missing.
	Rule     int
	RuleName string
	Err      error
}

// Error gives the place, from the outside in, and the fault.
func (e *FileError) Error() string {
	var b strings.Builder
	b.WriteString(e.Path)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Line > 0 && e.Column > 0 {
		fmt.Fprintf(&b, ":%d", e.Column)
	}
	b.WriteString(": ")
	if e.Group != "" || e.Rule > 0 {
		fmt.Fprintf(&b, "group %q, ", e.Group)
	}
	if e.Rule > 0 {
		fmt.Fprintf(&b, "rule %d, %q, ", e.Rule, e.RuleName)
	}
	place := strings.TrimSuffix(b.String(), ", ")
	if len(place) < b.Len() {
		place += ": "
	}
	return place + e.Err.Error()
}

// Unwrap returns the fault.
func (e *FileError) Unwrap() error { return e.Err }
