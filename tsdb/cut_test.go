package tsdb

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
)

// checkpoints returns how many checkpoints were taken.
func checkpoints(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "prometheus_tsdb_checkpoint_creations_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("checkpoints are not counted")
	return 0
}

func TestCutsDueTogetherTakeOneCheckpoint(t *testing.T) {
	reg := prometheus.NewRegistry()
	opts := testOptions(vfs.NewMem())
	opts.Registerer = reg
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+9*hour)
	before := checkpoints(t, reg)
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, aligned+6*hour, db.head.MinTime(), "three were due")
	require.Equal(t, 1., checkpoints(t, reg)-before)
	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, 1., checkpoints(t, reg)-before, "there is nothing more to remove")
	require.NoError(t, db.Close())
	opts.Registerer = nil
	db = openDB(t, opts)
	require.Equal(t, aligned+6*hour, db.head.MinTime(), "the log has the rest only")
	requireFilled(t, db, aligned, aligned+9*hour)
	require.NoError(t, db.Close())
}

// TestFailedCutKeepsThoseBefore lets the second of three cuts fail: the first has left head
// and log, which makes room on a disk that is full.
func TestFailedCutKeepsThoseBefore(t *testing.T) {
	mem := vfs.NewMem()
	fail := vfs.NewFail(mem)
	opts := testOptions(fail)
	db := openDB(t, opts)
	fill(t, db, aligned, aligned+9*hour)
	fail.Arm(vfs.Rule{Kinds: vfs.OpRename, N: 3}) // a block takes two
	require.ErrorIs(t, db.Maintain(context.Background()), vfs.ErrInjected)
	fail.Disarm()
	require.Len(t, db.Blocks(), 1)
	require.Equal(t, aligned+2*hour, db.head.MinTime())
	requireFilled(t, db, aligned, aligned+9*hour)

	crashed := openDB(t, testOptions(mem.CrashClone()))
	require.Equal(t, aligned+2*hour, crashed.head.MinTime(), "the log has the rest only")
	require.NoError(t, crashed.Close())

	require.NoError(t, db.Maintain(context.Background()))
	require.Equal(t, aligned+6*hour, db.head.MinTime())
	requireFilled(t, db, aligned, aligned+9*hour)
	require.NoError(t, db.Close())
}

// TestSelectAsksThePartsInItsRange narrows a snapshot of three blocks and a head by hints.
func TestSelectAsksThePartsInItsRange(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	fill(t, db, aligned, aligned+9*hour)
	require.NoError(t, db.Maintain(context.Background()))
	require.Len(t, db.Blocks(), 3)
	opened, err := db.Querier(aligned, aligned+9*hour)
	require.NoError(t, err)
	q := opened.(*querier)
	for _, c := range []struct {
		hints *storage.SelectHints
		want  []part
	}{
		{nil, q.parts},
		{&storage.SelectHints{}, q.parts},
		{&storage.SelectHints{Mint: aligned, Maxt: aligned + 2*hour - 1}, q.parts[:1]},
		{&storage.SelectHints{Mint: aligned + 2*hour, Maxt: aligned + 4*hour}, q.parts[1:3]},
		{&storage.SelectHints{Mint: aligned + 6*hour, Maxt: aligned + 7*hour}, q.parts[3:]},
		{&storage.SelectHints{Mint: aligned + 20*hour, Maxt: aligned + 21*hour}, q.parts[:1]},
	} {
		require.Equal(t, c.want, q.partsOf(c.hints), "%+v", c.hints)
	}
	require.NoError(t, q.Close())
	require.NoError(t, db.Close())
}
