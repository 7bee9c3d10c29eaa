package storage

// Mark is a moment in the life of a store. The zero value is before everything.
type Mark uint64

// ChangeTracker is a store that knows which of its samples are still what they were:
// what keeps answers asks it whether they still hold.
type ChangeTracker interface {
	// ChangedSince returns a mark of this moment, and the least timestamp, milliseconds, of
	// the samples that were added or deleted since the mark that an earlier call
	// returned; math.MaxInt64 if there are none. It may be less than that, never more.
	// Everything is told of that happened since a querier was opened which was
	// opened after the call that returned mark.
	//
	// A change is told of before queriers see it, if only just. So what a querier sees
	// before the timestamp that a call returns that comes later is what there was at mark.
	ChangedSince(mark Mark) (now Mark, least int64)
}
