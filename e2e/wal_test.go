package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// A log whose end was torn off or scrambled, as by a power cut, costs the record it hits.
// The server starts, says what it found, and everything else is there.
func TestDamagedWALTail(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(data []byte) []byte{
		"torn":      func(data []byte) []byte { return data[:written(data)-7] },
		"scrambled": func(data []byte) []byte { scramble(data[written(data)-8 : written(data)]); return data },
		"junk": func(data []byte) []byte {
			return append(data[:written(data):written(data)], "\x07this was never a record, and it is longer than a header\xff\xff"...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after, output, segment := surviveDamage(t, damage)
			if lost := lostRows(before, after); len(lost) > 1 {
				t.Fatalf("%d rows are lost, more than the one damaged: %v", len(lost), lost)
			}
			require.Contains(t, output, filepath.Base(segment), "the damage is reported with its file")
		})
	}
}

// Damage in the midst of the log costs at most the rows of the target it hits, and nothing
// of the others that was written later.
func TestDamagedWALMiddle(t *testing.T) {
	t.Parallel()
	before, after, output, segment := surviveDamage(t, func(data []byte) []byte {
		middle := written(data) * 3 / 4
		scramble(data[middle : middle+1])
		return data
	})
	hit := make(map[int]bool)
	for _, row := range lostRows(before, after) {
		hit[row.target] = true
	}
	require.LessOrEqual(t, len(hit), 1, "these targets lost rows: %v", hit)
	require.Contains(t, output, filepath.Base(segment), "the damage is reported with its file")
}

// surviveDamage kills a server under load, damages the newest segment of its log, starts
// it again, and returns the rows that queries showed before and after, what the start
// wrote to the terminal, and the segment's path.
func surviveDamage(t *testing.T, damage func([]byte) []byte) (before, after map[rowKey]row, output, segment string) {
	t.Helper()
	load := harness.StartLoad(t, 5, 100)
	server := harness.StartGnomon(t, harness.Options{
		Config: "scrape_configs:\n" + load.ScrapeConfig("load", 250*time.Millisecond),
	})
	waitScrapes(t, load, 20)
	before = readRows(t, server, load)
	require.Greater(t, len(before), 50, "too few rows to judge by")
	server.Kill(t)

	segment = newestSegment(t, filepath.Join(server.Dir, "data"))
	data, err := os.ReadFile(segment)
	require.NoError(t, err)
	require.Greater(t, written(data), 1000, "%s is too short to be damaged", segment)
	require.NoError(t, os.WriteFile(segment, damage(data), 0o600))

	server.Start(t)
	after = readRows(t, server, load)
	waitScrapes(t, load, 2)
	return before, after, server.Output(t), segment
}

// newestSegment returns the file of the write-ahead log that was written last.
func newestSegment(t *testing.T, data string) string {
	t.Helper()
	var newest string
	var at time.Time
	err := filepath.WalkDir(filepath.Join(data, "wal"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > 0 && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, newest, "no log in %s", data)
	return newest
}

// written returns the length of data without the zeros at its end, which stand for space
// reserved, but not yet used.
func written(data []byte) int {
	n := len(data)
	for n > 0 && data[n-1] == 0 {
		n--
	}
	return n
}

func scramble(data []byte) {
	for i := range data {
		data[i] ^= 0x5a
	}
}
