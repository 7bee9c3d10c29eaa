package block

import (
	"errors"
	"fmt"
)

// ErrCorrupt is what errors.Is finds in every CorruptionError.
var ErrCorrupt = errors.New("corrupt block")

// ErrClosed is returned by a Reader that was closed.
var ErrClosed = errors.New("block is closed")

// ErrOutOfOrder is returned by Writer.AddSeries for a series that does not come after the
// one before.
var ErrOutOfOrder = errors.New("series are not in metric-major order")

// errLabelFrame cannot come up: the labels were kept in memory.
var errLabelFrame = errors.New("labels of a frame cannot be read again")

// CorruptionError says where a file is not what was written. It costs what lies there: a
// page its columns, a frame of the directory its series; other parts can be read.
type CorruptionError struct {
	// File is the path of the file.
	File string
	// Offset is where the damaged part begins.
	Offset int64
	// Reason says what is wrong.
	Reason string
	// Want and Got are what was expected and found, if that can be said; "" otherwise.
	Want, Got string
}

// Error gives file, offset and reason.
func (e *CorruptionError) Error() string {
	s := fmt.Sprintf("%s: offset %d: %s", e.File, e.Offset, e.Reason)
	if e.Want != "" {
		s += fmt.Sprintf(": want %s, got %s", e.Want, e.Got)
	}
	return s
}

// Is makes every CorruptionError an ErrCorrupt.
func (e *CorruptionError) Is(target error) bool { return target == ErrCorrupt }

// part is a piece of a file for messages.
type part struct {
	file   string
	offset int64
}

func (p part) corrupt(format string, args ...any) error {
	return &CorruptionError{File: p.file, Offset: p.offset, Reason: fmt.Sprintf(format, args...)}
}

func (p part) checksum(what string, want, got uint32) error {
	return &CorruptionError{
		File: p.file, Offset: p.offset, Reason: what + " checksum",
		Want: fmt.Sprintf("%#08x", want), Got: fmt.Sprintf("%#08x", got),
	}
}
