package head

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/batch"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// group is a set of series with one timeline. It implements storage.Group.
//
// Its rows are, oldest first: segments (columns, encoded), then the window (as
// they came). mu is the writer's lock, held over writing to the log; rmu guards
// what readers take, and is never held for longer than a few assignments.
type group struct {
	head   *Head
	id     uint64
	origin string

	mu sync.Mutex
	// The following are guarded by mu.
	closed bool
	// current has the series of each column. It is replaced, not changed, once a
	// row refers to it.
	current   *layout
	published bool
	free      storage.Bitmap // columns without a series
	freeCount int
	// checked has the columns whose series has another writer, or samples from
	// elsewhere that may be newer than the last row: see series.
	checked     storage.Bitmap
	lastT       int64
	windowLimit int // how many rows the window may have
	// enc codes rows for the log, and has the last float of each column. The rest
	// waits for the next write to the log.
	enc             *wal.RowEncoder
	latest          latestRow
	logged          bool // the group's definition is in the log
	pendingColumns  []definition
	pendingReleases []storage.Column
	pendingMetadata []wal.Metadata
	appending       rowAppend // scratch memory of AppendRow
	// lastHistograms has the last sample of the columns in which it is a
	// histogram, to work out counter resets.
	lastHistograms map[uint32]*batch.Sample

	rmu struct {
		sync.Mutex
		segments []*segment // replaced, never changed
		window   *window
	}
}

// latestRow is the row of a window of which the encoder of rows has the floats.
type latestRow struct {
	window *window
	rows   int // with it
}

// latestFloat returns the last float of a column, if the last row of a view is the
// last one that the group took, and nobody is appending.
func (g *group) latestFloat(w *windowView, col uint32) (float64, bool) {
	if !g.mu.TryLock() {
		return 0, false
	}
	defer g.mu.Unlock()
	floats := g.enc.Latest()
	if g.latest != (latestRow{w.window, w.rows()}) || int(col) >= len(floats) {
		return 0, false
	}
	return floats[col], true
}

func newGroup(h *Head, id uint64, origin string) *group {
	g := &group{head: h, id: id, origin: origin, current: &layout{}, lastT: minTime, enc: wal.NewRowEncoder(id)}
	g.rmu.window = &window{}
	// Groups that begin together do not seal together, nor have full windows at
	// the same time.
	g.windowLimit = windowRows/4 + int(id*37%(windowRows*3/4))
	return g
}

// AddColumn returns the column of a series.
func (g *group) AddColumn(ls labels.Labels) (storage.Column, error) {
	if err := g.head.running(); err != nil {
		return 0, err
	}
	defer g.head.done()
	s, created, err := g.head.acquire(ls)
	if err != nil {
		return 0, err
	}
	defer s.release()
	for {
		s.share()
		c, again, err := g.tryAddColumn(s, created)
		if !again {
			return c, err
		}
	}
}

// tryAddColumn adds the column unless another group has added the series
// unchecked since share.
func (g *group) tryAddColumn(s *series, created bool) (c storage.Column, again bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, false, g.errClosed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.placeLocked(g); p != nil {
		return storage.Column(p.col), false, nil
	}
	if s.uncheckedLocked() != nil {
		return 0, true, nil
	}
	c, err = g.takeColumnLocked(s)
	if err != nil {
		return 0, false, err
	}
	// A series without a sample anywhere in the head needs no checking: see
	// AppendRow for those that are only in blocks.
	places := s.placesLocked()
	fresh := created && len(places) == 0 && s.looseLocked().empty() && s.users.Load() == noUsers+1 && s.pinsLocked() == 0
	s.untrackLocked()
	s.addPlaceLocked(place{group: g, col: uint32(c), live: true, checked: !fresh})
	g.checked = g.checked.Grow(g.current.columns)
	if !fresh {
		g.checked.Set(c)
	}
	g.pendingColumns = append(g.pendingColumns, definition{c, s})
	return c, false, nil
}

// takeColumnLocked gives the lowest free column to a series.
func (g *group) takeColumnLocked(s *series) (storage.Column, error) {
	if g.freeCount == 0 && g.current.columns >= wal.MaxColumns {
		return 0, fmt.Errorf("%w: group %q has %d columns", storage.ErrSeriesLimit, g.origin, g.current.columns)
	}
	g.unshareLayoutLocked()
	if g.freeCount == 0 {
		return storage.Column(g.current.add(s)), nil
	}
	for i, w := range g.free {
		if w != 0 {
			c := storage.Column(i<<6 + bits.TrailingZeros64(w))
			g.free.Unset(c)
			g.freeCount--
			g.current.set(uint32(c), s)
			return c, nil
		}
	}
	panic("head: a group counts a free column and has none")
}

// unshareLayoutLocked makes the current layout one that no row refers to.
func (g *group) unshareLayoutLocked() {
	if !g.published {
		return
	}
	g.current = g.current.next()
	g.published = false
}

// ReleaseColumn frees a column.
func (g *group) ReleaseColumn(c storage.Column) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.releaseLocked(c)
	}
}

func (g *group) releaseLocked(c storage.Column) {
	s := g.current.series(uint32(c))
	if s == nil {
		return
	}
	g.unshareLayoutLocked()
	g.current.set(uint32(c), nil)
	g.free = g.free.Grow(g.current.columns)
	g.free.Set(c)
	g.freeCount++
	g.checked.Unset(c)
	delete(g.lastHistograms, uint32(c))
	s.mu.Lock()
	if p := s.placeLocked(g); p != nil {
		p.live, p.checked = false, false
	}
	s.mu.Unlock()
	n := len(g.pendingColumns)
	g.pendingColumns = slices.DeleteFunc(g.pendingColumns, func(p definition) bool { return p.column == c })
	if n == len(g.pendingColumns) {
		g.pendingReleases = append(g.pendingReleases, c)
	}
}

// SetMetadata records the metadata of a column's family.
func (g *group) SetMetadata(c storage.Column, m metadata.Metadata) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return g.errClosed()
	}
	s := g.current.series(uint32(c))
	if s == nil {
		return fmt.Errorf("set metadata of column %d of %q: %w", c, g.origin, storage.ErrUnknownColumn)
	}
	if g.head.setMetadata(s, m) {
		g.pendingMetadata = append(g.pendingMetadata, wal.Metadata{Series: s.ref, Metadata: m})
	}
	return nil
}

// Close ends the group.
func (g *group) Close() error {
	if err := g.head.running(); err != nil {
		return err
	}
	defer g.head.done()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return g.errClosed()
	}
	g.endLocked()
	if !g.logged {
		return nil
	}
	b := g.head.log.Begin()
	g.logPendingLocked(b)
	b.CloseGroup(g.id)
	if _, err := b.Commit(); err != nil {
		// The next run closes what this one left open, so nothing is lost.
		g.head.opts.Logger.Warn("group was closed, but the log does not say so", "origin", g.origin, "err", err)
	}
	return nil
}

// endLocked releases all columns and refuses later calls.
func (g *group) endLocked() {
	for c := range g.current.columns {
		s := g.current.series(uint32(c))
		if s == nil {
			continue
		}
		s.mu.Lock()
		if p := s.placeLocked(g); p != nil {
			p.live, p.checked = false, false
		}
		s.mu.Unlock()
	}
	g.pendingColumns = nil // they have no samples, and closing says that they are free
	g.sealLocked()
	g.rmu.Lock()
	g.rmu.window = &window{first: g.rmu.window.first}
	g.rmu.Unlock()
	g.closed, g.current, g.checked, g.free = true, &layout{}, nil, nil
	g.enc, g.appending, g.lastHistograms = nil, rowAppend{}, nil
}

func (g *group) errClosed() error { return fmt.Errorf("group %q: %w", g.origin, storage.ErrClosed) }

// logPendingLocked puts what waits into a batch. It waits on until the batch is
// committed: see clearPendingLocked.
func (g *group) logPendingLocked(b *wal.Batch) {
	if !g.logged {
		b.Group(wal.Group{ID: g.id, Origin: g.origin})
	}
	b.ReleaseColumns(g.id, sortedColumns(g.pendingReleases))
	b.Columns(g.id, g.head.reg.columns(len(g.pendingColumns), func(i int) definition { return g.pendingColumns[i] }))
	b.Metadata(g.pendingMetadata)
}

func sortedColumns(c []storage.Column) []storage.Column {
	slices.Sort(c)
	return slices.Compact(c)
}

func (g *group) clearPendingLocked() {
	if g.logged && len(g.pendingColumns)+len(g.pendingReleases)+len(g.pendingMetadata) == 0 {
		return
	}
	g.logged = true
	for i := range g.pendingColumns {
		g.pendingColumns[i].series.logged.Store(true)
	}
	g.pendingColumns, g.pendingReleases, g.pendingMetadata = nil, nil, nil
}
