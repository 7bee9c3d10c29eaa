package promql

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// activeIn returns the queries that a file lists.
func activeIn(t *testing.T, dir string) []activeQuery {
	data, err := os.ReadFile(filepath.Join(dir, activeQueriesFile))
	require.NoError(t, err)
	text := strings.TrimSuffix(strings.ReplaceAll(string(data), "\x00", ""), ",") + "]"
	var all []activeQuery
	require.NoError(t, json.Unmarshal([]byte(text), &all), text)
	return all
}

func TestTracker(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	open := func() *tracker {
		tr := &tracker{max: 2, logger: slog.New(slog.NewTextHandler(&log, nil))}
		require.NoError(t, tr.open(dir))
		return tr
	}
	tr := open()
	require.Empty(t, log.String())
	tr.insert(0, `sum(a{b="\n"})`)
	long := "sum(" + strings.Repeat("ä", 2000) + ")"
	tr.insert(1, long)
	all := activeIn(t, dir)
	require.Len(t, all, 2)
	require.Equal(t, `sum(a{b="\n"})`, all[0].Query)
	require.Greater(t, len(all[1].Query), placeSize/2)
	require.True(t, strings.HasPrefix(long, all[1].Query), "cut between characters")
	require.InDelta(t, time.Now().Unix(), all[1].Timestamp, 60)

	tr.remove(0)
	require.Len(t, activeIn(t, dir), 1)
	tr.insert(0, "c")

	// The process dies.
	again := open()
	require.Contains(t, log.String(), "these queries ran when the process before ended")
	require.Contains(t, log.String(), "sum(ä")
	require.Empty(t, activeIn(t, dir))
	require.NoError(t, tr.close())
	require.NoError(t, again.close())
}

func TestUntracked(t *testing.T) {
	tr := &tracker{max: 1}
	tr.insert(0, "a")
	tr.remove(0)
	require.NoError(t, tr.close())
}

func TestEntryFits(t *testing.T) {
	for _, q := range []string{"", "a", strings.Repeat("a", placeSize), strings.Repeat("\x01", 3*placeSize), strings.Repeat("日", placeSize), "\xff\xfe"} {
		e := entry(q, 1<<40)
		require.Len(t, e, placeSize)
		require.Equal(t, byte(','), e[placeSize-1])
		require.True(t, json.Valid(bytes.TrimRight(e[:placeSize-1], "\x00")))
	}
}
