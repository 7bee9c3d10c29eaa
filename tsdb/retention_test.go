package tsdb

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// fillClasses appends rows of the series m{class=…} of the classes.
func fillClasses(t testing.TB, s storage.Writer, from, to int64, classes ...string) {
	t.Helper()
	g, err := s.OpenGroup(storage.GroupOptions{Origin: "classes"})
	require.NoError(t, err)
	row := storage.Row{}
	for _, c := range classes {
		_, err := g.AddColumn(ofClass(c))
		require.NoError(t, err)
		row.Values = append(row.Values, 1)
	}
	for row.T = from; row.T < to; row.T += 60_000 {
		require.NoError(t, g.AppendRow(&row))
	}
	require.NoError(t, g.Close())
}

func ofClass(c string) labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, "m", "class", c)
}

func rule(class string, keep time.Duration) RetentionRule {
	return RetentionRule{Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "class", class)}, Time: keep}
}

// firstHours returns for each class the hour of its oldest sample.
func firstHours(t testing.TB, db *DB) string {
	t.Helper()
	var out []string
	all := storagetest.ReadAll(t, db)
	for _, c := range []string{"debug", "slo", "other"} {
		if list := all[ofClass(c).String()]; len(list) > 0 {
			out = append(out, fmt.Sprintf("%s %d", c, (list[0].T-aligned)/hour))
		}
	}
	return strings.Join(out, ", ")
}

func labelValues(t testing.TB, db *DB, mint, maxt int64) []string {
	t.Helper()
	q, err := db.Querier(mint, maxt)
	require.NoError(t, err)
	defer q.Close()
	values, _, err := q.LabelValues(context.Background(), "class", nil)
	require.NoError(t, err)
	return values
}

func TestRetentionRules(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	opts := testOptions(mem)
	opts.Retention, opts.MaxBlockDuration = 12*time.Hour, 6*time.Hour
	// The first rule that matches counts, so that slo is kept for long.
	opts.RetentionRules = []RetentionRule{rule("debug", 6*time.Hour), rule("slo", 30*time.Hour), rule("slo|debug", time.Hour)}
	db := openDB(t, opts)
	fillClasses(t, db, aligned, aligned+24*hour, "debug", "slo", "other")
	require.NoError(t, db.Maintain(ctx))
	end := aligned + 24*hour - 60_000
	require.Equal(t, "debug 16, slo 0, other 10", firstHours(t, db), "in steps of two hours, never too early")
	require.Equal(t, []string{"slo"}, labelValues(t, db, aligned, aligned+10*hour-1), "index entries go as well")
	require.Equal(t, end, db.MaxTime())

	// Nothing is left to do, and nothing is done, not even after a restart.
	for range 12 {
		require.NoError(t, db.Maintain(ctx))
	}
	blocks := db.Blocks()
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, blocks, db.Blocks())
	var samples uint64
	for _, b := range blocks {
		samples += b.Samples
		if b.MaxTime <= aligned+10*hour {
			require.EqualValues(t, 1, b.Series, "blocks are written anew with what is kept longer")
		}
	}
	require.NoError(t, db.Close())
	fail := vfs.NewFail(mem)
	opts.FS = fail
	db = openDB(t, opts)
	fail.Arm(vfs.Rule{Kinds: vfs.OpMutating, Contains: "tombstones", Sticky: true})
	require.NoError(t, db.Maintain(ctx))
	require.False(t, fail.Fired(), "deletions that there are do not come again")
	fail.Disarm()
	require.Equal(t, blocks, db.Blocks())

	// The rule that keeps longest is that of the block.
	fillClasses(t, db, aligned+24*hour, aligned+50*hour, "other")
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, "slo 18, other 36", firstHours(t, db))

	// Rules can be changed. What they expired does not come back.
	r := opts.Reloadable
	r.RetentionRules = nil
	require.NoError(t, db.ApplyConfig(r))
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, "other 36", firstHours(t, db))
	require.NoError(t, db.Close())
}

func TestRetentionRuleOfUnboundedDatabase(t *testing.T) {
	opts := testOptions(vfs.NewMem())
	opts.Retention, opts.RetentionRules = -1, []RetentionRule{rule("debug", 6*time.Hour)}
	db := openDB(t, opts)
	fillClasses(t, db, aligned, aligned+24*hour, "debug", "other")
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, "debug 16, other 0", firstHours(t, db))
	require.NoError(t, db.Close())
}

func TestRetentionByPercentage(t *testing.T) {
	var logged bytes.Buffer
	mem := vfs.NewMem()
	opts := testOptions(mem)
	opts.MaxBlockDuration = 2 * time.Hour
	opts.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+12*hour)
	require.NoError(t, db.Maintain(context.Background()))
	blocks := db.Blocks()
	require.Len(t, blocks, 5)
	keep := func(r Reloadable, n int) {
		t.Helper()
		require.NoError(t, db.ApplyConfig(r))
		require.NoError(t, db.Maintain(context.Background()))
		require.Equal(t, blocks[len(blocks)-n:], append([]BlockInfo{}, db.Blocks()...))
	}
	size := db.walBytes() + blocks[2].Bytes + blocks[3].Bytes + blocks[4].Bytes
	keep(Reloadable{RetentionPercentage: 0.001}, 5)
	require.Equal(t, 1, strings.Count(logged.String(), "size of the disk is unknown"))
	keep(Reloadable{RetentionPercentage: 0.001, RetentionBytes: math.MaxInt64}, 5)
	require.Equal(t, 1, strings.Count(logged.String(), "size of the disk is unknown"))
	mem.SetDiskSize(size * 4)
	keep(Reloadable{RetentionPercentage: 25, RetentionBytes: 1}, 3)
	mem.SetDiskSize(size * 4 / 100)
	keep(Reloadable{RetentionPercentage: 100}, 0)
	require.Error(t, db.ApplyConfig(Reloadable{RetentionPercentage: 101}))
	require.NoError(t, db.Close())
}

func TestDeletionsAreReclaimed(t *testing.T) {
	ctx := context.Background()
	now := time.Now()
	opts := testOptions(vfs.NewMem())
	opts.MaxBlockDuration = 2 * time.Hour
	opts.Now = func() time.Time { return now }
	db := openDB(t, opts)
	fillClasses(t, db, aligned, aligned+8*hour, "debug", "slo", "other")
	require.NoError(t, db.Maintain(ctx))
	samples := func() (out []uint64) {
		for _, b := range db.Blocks() {
			out = append(out, b.Samples)
		}
		return out
	}
	require.Equal(t, []uint64{360, 360, 360}, samples())
	of := func(c string) *labels.Matcher { return labels.MustNewMatcher(labels.MatchEqual, "class", c) }

	// A fifth of each block: it goes a day later, one block a round.
	require.NoError(t, db.Delete(ctx, aligned+2*hour/3, aligned+3*hour, of("debug")))
	require.NoError(t, db.Delete(ctx, aligned+3*hour, aligned+10*hour/3-1, of("debug")))
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, []uint64{360, 360, 360}, samples())
	require.NoError(t, db.Delete(ctx, aligned+4*hour, aligned+4*hour+2*60_000, of("debug")))
	now = time.Now().Add(25 * time.Hour)
	for _, want := range [][]uint64{{280, 360, 360}, {280, 280, 360}, {280, 280, 360}} {
		require.NoError(t, db.Maintain(ctx))
		require.Equal(t, want, samples())
	}
	now = time.Now()

	// More than a quarter goes at once.
	require.NoError(t, db.Delete(ctx, aligned+4*hour, aligned+6*hour-1, of("slo")))
	require.NoError(t, db.Maintain(ctx))
	require.Equal(t, []uint64{280, 280, 237}, samples())
	require.Zero(t, db.blocks.readers()[2].Tombstones().Len())
	require.NoError(t, db.Close())
}
