package config

import (
	"fmt"
	"strings"
)

// Error says why a configuration does not load.
type Error struct {
	// Faults are in the order of the file, at least one. Most texts with
	// several faults yield only the first: decoding ends there.
	Faults []Fault
	// Cause is the error of the decoder, nil if this package found the fault.
	Cause error
}

// Error returns the faults, separated by "; ".
func (e *Error) Error() string {
	texts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		texts[i] = f.String()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the error of the decoder.
func (e *Error) Unwrap() error { return e.Cause }

// Fault is one thing wrong with a file.
type Fault struct {
	// File is the name the file was loaded under.
	File string
	// Line counts from 1; 0 if the fault could not be located.
	Line int
	// Path leads to the field from the top of the file, such as
	// "scrape_configs[2].relabel_configs[0].regex"; "" if it is unknown or the
	// fault concerns the file as a whole.
	Path string
	// Subject names the list element that Path leads through by what users
	// call it, such as `job "node"`; "" if there is none.
	Subject string
	// Message says what is wrong, without any of the above.
	Message string
}

// String returns file:line: path (subject): message, leaving out what is unknown.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path)
		if f.Subject != "" {
			fmt.Fprintf(&b, " (%s)", f.Subject)
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// faultAt returns the fault of a place in the document.
func (d *document) faultAt(at place, message string) Fault {
	return Fault{File: d.name, Line: at.line, Path: at.path, Subject: at.subject, Message: message}
}
