package wal

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
