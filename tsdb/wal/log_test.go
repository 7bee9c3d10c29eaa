package wal

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

const testDir = "data/wal"

// readAll replays a log. It returns the origins of the groups that it defines, which tests
// use as names of batches, and the damages.
func readAll(t testing.TB, fsys vfs.FS, opts ReaderOptions) (names []string, damages []Damage) {
	t.Helper()
	opts.OnDamage = func(d Damage) { damages = append(damages, d) }
	r, err := OpenReader(fsys, testDir, opts)
	require.NoError(t, err)
	last := Sequence(0)
	for r.Next() {
		rec := r.Record()
		if rec.Sequence > 0 {
			require.Greater(t, rec.Sequence, last)
			last = rec.Sequence
		}
		if rec.Type == TypeGroup {
			g, err := DecodeGroup(rec.Payload)
			require.NoError(t, err)
			names = append(names, g.Origin)
		}
	}
	require.Equal(t, len(damages), r.Damages())
	done, total := r.Progress()
	require.Equal(t, total, done)
	require.NoError(t, r.Close())
	return names, damages
}

// commitNamed commits a batch of one record that readAll recognizes.
func commitNamed(w interface{ Begin() *Batch }, name string) (Sequence, error) {
	b := w.Begin()
	b.Group(Group{ID: 1, Origin: name})
	return b.Commit()
}

func mustCommit(t testing.TB, w interface{ Begin() *Batch }, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := commitNamed(w, name)
		require.NoError(t, err)
	}
}

func openTest(t testing.TB, fsys vfs.FS, opts Options) *Writer {
	t.Helper()
	w, err := Open(fsys, testDir, opts)
	require.NoError(t, err)
	return w
}

func TestLogRoundTrip(t *testing.T) {
	fsys := vfs.NewMem()
	names, damages := readAll(t, fsys, ReaderOptions{})
	require.Empty(t, names)
	require.Empty(t, damages)

	w := openTest(t, fsys, Options{})
	require.Equal(t, uint64(1), w.First())
	b := w.Begin()
	require.Equal(t, uint64(1), b.Segment())
	for i := range 5 {
		b.Group(Group{ID: 1, Origin: fmt.Sprint(i)})
	}
	require.Positive(t, b.Len())
	seq, err := b.Commit()
	require.NoError(t, err)
	require.Equal(t, Sequence(1<<24|4), seq)
	require.Equal(t, uint64(1), seq.Segment())

	w.Begin().Discard()
	b = w.Begin()
	b.Group(Group{ID: 1, Origin: "discarded"})
	b.Discard()
	seq, err = w.Begin().Commit()
	require.NoError(t, err)
	require.Zero(t, seq)

	n, err := w.Rotate()
	require.NoError(t, err)
	require.Equal(t, uint64(2), n)
	seq, err = commitNamed(w, "5")
	require.NoError(t, err)
	require.Equal(t, Sequence(2<<24), seq)
	size, err := w.Size()
	require.NoError(t, err)
	require.Positive(t, size)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())

	_, err = commitNamed(w, "late")
	require.ErrorIs(t, err, ErrClosed)
	_, err = w.Rotate()
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, w.Sync(), ErrClosed)

	w = openTest(t, fsys, Options{})
	require.Equal(t, uint64(3), w.First())
	mustCommit(t, w, "6")
	names, damages = readAll(t, fsys, ReaderOptions{Before: w.First()})
	require.Empty(t, damages)
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, names)
	names, _ = readAll(t, fsys, ReaderOptions{})
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6"}, names)

	require.NoError(t, w.Truncate(2))
	names, damages = readAll(t, fsys, ReaderOptions{})
	require.Empty(t, damages)
	require.Equal(t, []string{"5", "6"}, names)
	require.NoError(t, w.Truncate(99))
	names, _ = readAll(t, fsys, ReaderOptions{})
	require.Equal(t, []string{"6"}, names, "the current segment stays")
	require.NoError(t, w.Close())
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := Open(vfs.NewMem(), testDir, Options{SegmentBytes: 1, Sync: 7, SyncInterval: -1})
	require.ErrorContains(t, err, "segment size")
	require.ErrorContains(t, err, "policy")
	require.ErrorContains(t, err, "interval")
}

func TestRecordTooLarge(t *testing.T) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{})
	b := w.Begin()
	b.Group(Group{ID: 1, Origin: "lost with the other"})
	b.Group(Group{ID: 1, Origin: string(make([]byte, maxPayload))})
	_, err := b.Commit()
	require.ErrorIs(t, err, ErrRecordTooLarge)
	b = w.Begin()
	b.Row(NewRowEncoder(1), &storage.Row{Values: make([]float64, MaxColumns+1)})
	_, err = b.Commit()
	require.Error(t, err)
	mustCommit(t, w, "good")
	require.NoError(t, w.Close())
	names, damages := readAll(t, fsys, ReaderOptions{})
	require.Equal(t, []string{"good"}, names)
	require.Empty(t, damages)
}

// TestConcurrentCommits has many goroutines commit rows of their own groups over many small
// segments.
func TestConcurrentCommits(t *testing.T) {
	for _, sync := range []SyncPolicy{SyncInterval, SyncAlways, SyncNever} {
		t.Run(fmt.Sprint(sync), func(t *testing.T) { testConcurrentCommits(t, sync) })
	}
}

func testConcurrentCommits(t *testing.T, policy SyncPolicy) {
	const writers, rows = 8, 120
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{SegmentBytes: 20_000, Sync: policy, SyncInterval: time.Millisecond})
	want := make([][][]rowSample, writers)
	var wg sync.WaitGroup
	for g := range writers {
		wg.Go(func() {
			src := newRowSource(uint64(g), 20)
			enc := NewRowEncoder(uint64(g))
			for range rows {
				row := src.next()
				b := w.Begin()
				b.Row(enc, row)
				if _, err := b.Commit(); err != nil {
					t.Error(err)
					return
				}
				want[g] = append(want[g], samplesOf(row))
			}
		})
	}
	wg.Wait()
	require.Greater(t, w.Segment(), uint64(3))
	require.NoError(t, w.Close())
	disk := fsys
	if policy != SyncNever {
		disk = fsys.CrashClone()
	}
	got, damages := readRows(t, disk)
	require.Empty(t, damages)
	for g := range writers {
		require.Equal(t, want[g], got[uint64(g)])
	}
}

// readRows replays the rows of all groups.
func readRows(t testing.TB, fsys vfs.FS) (rows map[uint64][][]rowSample, damages []Damage) {
	rows = map[uint64][][]rowSample{}
	r, err := OpenReader(fsys, testDir, ReaderOptions{OnDamage: func(d Damage) { damages = append(damages, d) }})
	require.NoError(t, err)
	dec := NewRowDecoder()
	for r.Next() {
		if r.Record().Type != TypeRow {
			continue
		}
		group, row, err := dec.Decode(r.Record().Payload)
		if errors.Is(err, ErrNoBase) {
			continue
		}
		require.NoError(t, err)
		rows[group] = append(rows[group], samplesOf(row))
	}
	require.NoError(t, r.Close())
	return rows, damages
}

func TestSegmentsAreReadableAlone(t *testing.T) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{SegmentBytes: 3000})
	src, enc := newRowSource(5, 10), NewRowEncoder(5)
	var all [][]rowSample
	for range 400 {
		row := src.next()
		b := w.Begin()
		b.Row(enc, row)
		_, err := b.Commit()
		require.NoError(t, err)
		all = append(all, samplesOf(row))
	}
	last := w.Segment()
	require.Greater(t, last, uint64(4))
	for n := uint64(2); n <= last; n++ {
		require.NoError(t, w.Truncate(n))
		rows, damages := readRows(t, fsys)
		require.Empty(t, damages)
		got := rows[5]
		require.Equal(t, all[len(all)-len(got):], got, "from segment %d", n)
	}
	require.NoError(t, w.Close())
}

// TestIntervalSync looks at what a power loss leaves before and after the interval.
func TestIntervalSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := vfs.NewMem()
		w := openTest(t, fsys, Options{SyncInterval: 10 * time.Second})
		mustCommit(t, w, "a")
		time.Sleep(9 * time.Second)
		synctest.Wait()
		names, _ := readAll(t, fsys.CrashClone(), ReaderOptions{})
		require.Empty(t, names)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		names, _ = readAll(t, fsys.CrashClone(), ReaderOptions{})
		require.Equal(t, []string{"a"}, names)
		mustCommit(t, w, "b")
		require.NoError(t, w.Sync())
		names, _ = readAll(t, fsys.CrashClone(), ReaderOptions{})
		require.Equal(t, []string{"a", "b"}, names)
		require.NoError(t, w.Close())
	})
}

// TestSyncFailsInTheBackground does not disturb the writers: the log goes on in a new segment.
func TestSyncFailsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		disk := vfs.NewFail(mem)
		w := openTest(t, disk, Options{SyncInterval: time.Second})
		mustCommit(t, w, "a")
		disk.Arm(vfs.Rule{Kinds: vfs.OpSync})
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		require.True(t, disk.Fired())
		require.Equal(t, uint64(2), w.Segment())
		mustCommit(t, w, "b")

		// The new segment cannot be made either: the old one serves on.
		disk.Arm(vfs.Rule{Kinds: vfs.OpSync | vfs.OpCreate, Sticky: true})
		for i := range 5 {
			time.Sleep(time.Second)
			mustCommit(t, w, fmt.Sprint(i))
		}
		require.Error(t, w.Sync())
		disk.Disarm()
		time.Sleep(2 * time.Second)
		mustCommit(t, w, "c")
		require.NoError(t, w.Sync())
		names, damages := readAll(t, mem.CrashClone(), ReaderOptions{})
		require.Empty(t, damages)
		require.Equal(t, []string{"a", "b", "0", "1", "2", "3", "4", "c"}, names)
		require.NoError(t, w.Close())
	})
}

// TestCloseWhileSyncFails closes a log whose background waits for a batch to be ended, because
// a sync failed and it wants a new segment.
func TestCloseWhileSyncFails(t *testing.T) {
	mem := vfs.NewMem()
	disk := vfs.NewFail(mem)
	w := openTest(t, disk, Options{SyncInterval: time.Millisecond})
	b := w.Begin()
	b.Group(Group{ID: 1, Origin: "last"})
	disk.Arm(vfs.Rule{Kinds: vfs.OpSync, Sticky: true})
	w.dirty.Store(true)
	require.Eventually(t, disk.Fired, 10*time.Second, time.Millisecond)
	closed := make(chan error)
	go func() { closed <- w.Close() }()
	_, err := b.Commit()
	require.NoError(t, err, "Close waits for it")
	require.ErrorIs(t, <-closed, vfs.ErrInjected)
	names, _ := readAll(t, mem, ReaderOptions{})
	require.Equal(t, []string{"last"}, names)
}

func TestSyncPolicies(t *testing.T) {
	for policy, want := range map[SyncPolicy][]string{SyncAlways: {"a", "b"}, SyncNever: nil} {
		fsys := vfs.NewMem()
		w := openTest(t, fsys, Options{Sync: policy})
		mustCommit(t, w, "a", "b")
		names, _ := readAll(t, fsys.CrashClone(), ReaderOptions{})
		require.Equal(t, want, names)
		require.NoError(t, w.Close())
	}
}

// TestFailures lets each operation of a scenario fail in turn, in several ways: no commit
// that failed is in the log, every one that succeeded is, nothing is damaged, and once the
// disk obeys again the log takes commits.
func TestFailures(t *testing.T) {
	kinds := []vfs.Op{vfs.OpWrite, vfs.OpSync, vfs.OpCreate, vfs.OpSyncDir, vfs.OpTruncate, vfs.OpClose, vfs.OpWrite | vfs.OpTruncate}
	for _, kind := range kinds {
		for _, sticky := range []bool{false, true} {
			for _, tear := range []int{0, 7, 30} {
				fired := true
				for n := 1; fired; n++ {
					fired = failNth(t, vfs.Rule{Kinds: kind, N: n, Sticky: sticky, TearBytes: tear, Contains: "data/wal"})
					require.Less(t, n, 500)
				}
			}
		}
	}
}

func failNth(t *testing.T, rule vfs.Rule) (fired bool) {
	mem := vfs.NewMem()
	disk := vfs.NewFail(mem)
	w := openTest(t, disk, Options{SegmentBytes: 300, Sync: SyncAlways})
	src, enc := newRowSource(1, 4), NewRowEncoder(1)
	var committed []string
	var rows [][]rowSample
	disk.Arm(rule)
	for i := range 24 {
		if i == 16 {
			disk.Disarm() // There is room again.
		}
		name := fmt.Sprint(i)
		row := src.next()
		b := w.Begin()
		b.Group(Group{ID: 1, Origin: name})
		b.Row(enc, row)
		if _, err := b.Commit(); err != nil {
			require.ErrorContains(t, err, "log", "rule %+v", rule)
			continue
		}
		committed = append(committed, name)
		rows = append(rows, samplesOf(row))
	}
	require.Contains(t, committed, "23", "rule %+v: the log works again", rule)
	_ = w.Close() // It may report the failed close of a segment.
	for _, state := range []*vfs.Mem{mem, mem.CrashClone()} {
		names, damages := readAll(t, state, ReaderOptions{})
		if rule.Kinds&vfs.OpTruncate == 0 {
			require.Empty(t, damages, "rule %+v", rule)
			require.Equal(t, committed, names, "rule %+v", rule)
			got, _ := readRows(t, state)
			require.Equal(t, rows, got[1], "rule %+v", rule)
			continue
		}
		// A torn write that could not be cut is reported, and costs nothing else. A whole
		// write that could not be synced nor cut may have stayed.
		for _, name := range committed {
			require.Contains(t, names, name, "rule %+v", rule)
		}
	}
	return disk.Fired()
}

// TestCrashAtEveryCommit takes the disk away after each commit, with what was not synced
// partly written: what was acknowledged by SyncAlways is there, whole and in order.
func TestCrashAtEveryCommit(t *testing.T) {
	fsys := vfs.NewMem()
	w := openTest(t, fsys, Options{SegmentBytes: 200, Sync: SyncAlways})
	var committed []string
	for i := range 30 {
		name := fmt.Sprint(i)
		mustCommit(t, w, name)
		committed = append(committed, name)
		names, damages := readAll(t, fsys.CrashClone(), ReaderOptions{})
		require.Empty(t, damages)
		require.Equal(t, committed, names)
	}
	require.NoError(t, w.Close())
}

// TestCrashWithTornTail crashes a log that is never synced: what is read is a prefix of what
// was written, the tail is reported and cut, and the second replay is clean.
func TestCrashWithTornTail(t *testing.T) {
	for seed := range uint64(200) {
		fsys := vfs.NewMem()
		w := openTest(t, fsys, Options{Sync: SyncAlways})
		mustCommit(t, w, "0")
		// From here on nothing is synced.
		w.opts.Sync = SyncNever
		committed := []string{"0"}
		for i := range 10 {
			mustCommit(t, w, fmt.Sprint(i+1))
			committed = append(committed, fmt.Sprint(i+1))
		}
		disk := fsys.CrashCloneSeed(seed)
		names, damages := readAll(t, disk, ReaderOptions{CutTail: true})
		require.NotEmpty(t, names)
		require.Equal(t, committed[:len(names)], names)
		for _, d := range damages {
			require.True(t, d.TornTail, "%v", d)
			require.ErrorContains(t, d, testDir+"/00000001.wal: offset ")
		}
		again, damages := readAll(t, disk, ReaderOptions{})
		require.Empty(t, damages)
		require.Equal(t, names, again)
		require.NoError(t, w.Close())
	}
}
