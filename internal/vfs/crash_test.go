package vfs

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustWrite(t *testing.T, f File, s string) {
	t.Helper()
	_, err := f.Write([]byte(s))
	require.NoError(t, err)
}

func TestCrashForgetsWhatWasNotSynced(t *testing.T) {
	m := NewMem()
	require.NoError(t, MkdirAllSync(m, "d"))
	f, err := m.Create("d/f")
	require.NoError(t, err)
	mustWrite(t, f, "synced")
	require.NoError(t, f.Sync())
	_, err = m.CrashClone().Stat("d/f")
	require.ErrorIs(t, err, fs.ErrNotExist, "the name was not synced")

	require.NoError(t, m.SyncDir("d"))
	mustWrite(t, f, " and not")
	requireContent(t, m, "d/f", "synced and not")
	crashed := m.CrashClone()
	requireContent(t, crashed, "d/f", "synced")

	// Cutting below what was synced, and writing anew, is not durable either.
	require.NoError(t, f.Truncate(2))
	mustWrite(t, f, "XYZ")
	requireContent(t, m, "d/f", "syXYZ")
	requireContent(t, m.CrashClone(), "d/f", "synced")
	requireContent(t, crashed, "d/f", "synced")
	require.NoError(t, f.Sync())
	requireContent(t, m.CrashClone(), "d/f", "syXYZ")

	// The clone lives on by itself.
	g, err := crashed.OpenAppend("d/f")
	require.NoError(t, err)
	mustWrite(t, g, "!")
	requireContent(t, crashed, "d/f", "synced!")
	requireContent(t, m, "d/f", "syXYZ")
	requireContent(t, crashed.CrashClone(), "d/f", "synced")
}

func TestCrashForgetsNames(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.MkdirAll("a/b"))
	_, err := m.CrashClone().Stat("a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, MkdirAllSync(m, "a/b"))
	_, err = m.CrashClone().Stat("a")
	require.ErrorIs(t, err, fs.ErrNotExist, "it existed already, so MkdirAllSync had nothing to do")
	require.NoError(t, m.SyncDir("."))
	require.NoError(t, m.SyncDir("a"))
	_, err = m.CrashClone().Stat("a/b")
	require.NoError(t, err)

	require.NoError(t, WriteFileAtomic(m, "a/b/f", []byte("1")))
	require.NoError(t, m.Rename("a/b/f", "a/b/g"))
	requireContent(t, m.CrashClone(), "a/b/f", "1")
	require.NoError(t, m.SyncDir("a/b"))
	requireContent(t, m.CrashClone(), "a/b/g", "1")
	require.NoError(t, m.Remove("a/b/g"))
	requireContent(t, m.CrashClone(), "a/b/g", "1")
	require.NoError(t, m.SyncDir("a/b"))
	_, err = m.CrashClone().Stat("a/b/g")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestCrashKeepsHardLinksOne(t *testing.T) {
	m := NewMem()
	require.NoError(t, WriteFileAtomic(m, "f", []byte("1")))
	require.NoError(t, m.Link("f", "g"))
	require.NoError(t, m.SyncDir("."))
	c := m.CrashClone()
	f, err := c.OpenAppend("f")
	require.NoError(t, err)
	mustWrite(t, f, "2")
	requireContent(t, c, "g", "12")
}

// TestCrashSeeds sees every outcome that a crash with a seed can have, and the same one for the
// same seed.
func TestCrashSeeds(t *testing.T) {
	m := NewMem()
	require.NoError(t, WriteFileAtomic(m, "f", []byte("12")))
	f, err := m.OpenAppend("f")
	require.NoError(t, err)
	mustWrite(t, f, "345")
	require.NoError(t, m.MkdirAll("new"))
	seen := map[string]bool{}
	for seed := range uint64(300) {
		describe := func() string {
			c := m.CrashCloneSeed(seed)
			data, err := ReadFile(c, "f")
			require.NoError(t, err)
			_, err = c.Stat("new")
			return fmt.Sprintf("%q %v", data, err == nil)
		}
		seen[describe()] = true
		require.True(t, seen[describe()])
	}
	for _, content := range []string{"12", "123", "1234", "12345", "12\x00", "123\x00", "12\x00\x00\x00"} {
		for _, dir := range []bool{true, false} {
			require.True(t, seen[fmt.Sprintf("%q %v", content, dir)], "%q %v", content, dir)
		}
	}
	for outcome := range seen {
		require.Regexp(t, `^"12`, outcome, "what was synced is never lost")
	}
}

func TestCrashReleasesLocks(t *testing.T) {
	m := NewMem()
	_, err := m.Lock("lock")
	require.NoError(t, err)
	_, err = m.CrashClone().Lock("lock")
	require.NoError(t, err)
}

// TestWriteFileAtomicSurvives lets every operation fail, and takes the power away: the file
// holds the old or the new content.
func TestWriteFileAtomicSurvives(t *testing.T) {
	fired := true
	for n := 1; fired; n++ {
		m := NewMem()
		require.NoError(t, WriteFileAtomic(m, "f", []byte("old")))
		disk := NewFail(m)
		disk.Arm(Rule{Kinds: OpMutating | OpClose, N: n, TearBytes: 1})
		err := WriteFileAtomic(disk, "f", []byte("new"))
		fired = disk.Fired()
		require.Equal(t, fired, err != nil)
		for _, state := range []*Mem{m, m.CrashClone(), m.CrashCloneSeed(uint64(n))} {
			data, rerr := ReadFile(state, "f")
			require.NoError(t, rerr)
			require.Contains(t, []string{"old", "new"}, string(data))
			if err == nil {
				require.Equal(t, "new", string(data))
			}
		}
	}
}
