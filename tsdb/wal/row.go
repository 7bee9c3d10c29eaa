package wal

import (
	"github.com/gnomonhq/gnomon/storage"
)

// Constants of the row record; they never change.
const (
	rowFull       = 1 << 0 // Coded against zero; otherwise against the row before.
	rowPresence   = 1 << 1 // The set of present columns differs from the base's.
	rowColumns    = 1 << 2 // There are more columns than in the base.
	rowHistograms = 1 << 3 // There are native histograms.
	rowStartTimes = 1 << 4 // Start timestamps differ from the base's.
	rowFlags      = 1<<5 - 1

	// Modes of a value. Those up to encoding.MaxExponent are decimals with that exponent.
	modeBits  = 15
	modeStale = 16
)

// MaxColumns is the greatest number of columns of a group.
const MaxColumns = 1 << 21

// fullRowEvery is how often a row is written in full, so that a lost record costs the rows
// up to there.
const fullRowEvery = 16

// rowState is what a row is decoded against; a RowEncoder has the same.
type rowState struct {
	// t is the time of the last row, step its distance to the one before.
	t, step int64
	// columns is the number of columns.
	columns int
	// bits has the last value of each column, modes how it was coded. A mode up to
	// encoding.MaxExponent says that the value is a decimal at it.
	bits  []uint64
	modes []uint8
	// present is the set of columns of the last row.
	present storage.Bitmap
	// start has the start timestamps; nil until there is one.
	start []int64
}

// grow makes room for n columns, all of them with the value 0 and absent.
func (s *rowState) grow(n int) {
	if n <= s.columns {
		return
	}
	s.columns = n
	s.bits = append(s.bits, make([]uint64, n-len(s.bits))...)
	s.modes = append(s.modes, make([]uint8, n-len(s.modes))...)
	s.present = s.present.Grow(n)
	if s.start != nil {
		s.start = append(s.start, make([]int64, n-len(s.start))...)
	}
}

// reset sets n columns to zero.
func (s *rowState) reset(n int) {
	if cap(s.bits) > 4*n+64 { // The group has shrunk: let the memory go.
		s.bits, s.modes, s.present = nil, nil, nil
	}
	s.t, s.step, s.columns, s.start = 0, 0, 0, nil
	s.bits, s.modes, s.present = s.bits[:0], s.modes[:0], s.present[:0]
	s.grow(n)
}
