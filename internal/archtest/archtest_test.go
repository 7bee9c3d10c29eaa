package archtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func tree(t *testing.T) []*sourceFile {
	t.Helper()
	files, err := readTree("../..")
	require.NoError(t, err)
	require.Greater(t, len(files), 50, "the tree is not where it was")
	return files
}

func requireNone(t *testing.T, faults []string) {
	t.Helper()
	slices.Sort(faults)
	require.Empty(t, faults, "\n%s", strings.Join(faults, "\n"))
}

func TestImportsFollowTheTable(t *testing.T)  { requireNone(t, importFaults(tree(t))) }
func TestEverythingIsDocumented(t *testing.T) { requireNone(t, docFaults(tree(t))) }
func TestNothingIsTooLong(t *testing.T)       { requireNone(t, lengthFaults(tree(t))) }
func TestNamesSaySomething(t *testing.T)      { requireNone(t, nameFaults(tree(t))) }

func TestEveryRoomExists(t *testing.T) {
	files := tree(t)
	for _, r := range rooms {
		require.True(t, slices.ContainsFunc(files, func(f *sourceFile) bool {
			return f.folder == r.folder || strings.HasPrefix(f.folder, r.folder+"/")
		}), "room %s is in the table and not in the tree", r.folder)
	}
}

// TestTheTableForbids makes sure that the policy can fail.
func TestTheTableForbids(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"storage", "internal/vfs", false},
		{"storage", "tsdb", false},
		{"storage/storagetest", "storage", true},
		{"scrape", "storage", true},
		{"scrape", "storage/storagetest", false},
		{"scrape", "scrape/parse", true},
		{"scrape", "tsdb", false},
		{"promql", "tsdb", false},
		{"promql", "promql/exec", true},
		{"promql/exec", "promql/functions", true},
		{"promql/functions", "promql/exec", false},
		{"promql/plan", "promql/functions", false},
		{"web/api", "scrape", false},
		{"web/api", "web/federate", true},
		{"config", "storage", false},
		{"tsdb/encoding", "tsdb/wal", false},
		{"tsdb/wal", "tsdb/encoding", true},
		{"tsdb/head", "tsdb/compact", false},
		{"tsdb/head", "internal/vfs", true},
		{"tsdb", "tsdb/head", true},
		{"tsdb", "scrape", false},
		{"internal/vfs", "internal/invariant", true},
		{"internal/vfs", "storage", false},
		{"takeover", "tsdb/block", true},
		{"takeover", "web", false},
		{"web", "takeover", false},
		{"cmd/gnomon", "web/api", true},
	} {
		r, known := roomOf(c.from)
		require.True(t, known, c.from)
		require.Equal(t, c.want, r.allows(c.to), "%s imports %s", c.from, c.to)
	}
	_, known := roomOf("elsewhere")
	require.False(t, known)

	list := []string{"discovery/plugins/plugins.go", "takeover/"}
	require.True(t, excepted(list, "discovery/plugins/plugins.go"))
	require.False(t, excepted(list, "discovery/plugins/plugins.go/x.go"))
	require.True(t, excepted(list, "takeover/import.go"))
	require.False(t, excepted(list, "takeovers.go"))
}
