package compact

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/tsdb/block"
)

func meta(n int, mint, maxt int64) block.Meta {
	m := block.Meta{MinTime: mint, MaxTime: maxt}
	m.ULID[15] = byte(n)
	return m
}

// TestPlan reads blocks as "number:mint-maxt", with "!" behind those whose
// compaction failed.
func TestPlan(t *testing.T) {
	opts := PlanOptions{MinRange: 20, MaxRange: 240} // levels of 20, 60, 180
	for _, c := range []struct{ name, blocks, want string }{
		{"nothing", "", ""},
		{"one block", "1:0-20", ""},
		{"two blocks of a range that is not over", "1:0-20 2:20-40", ""},
		{"a full range and a newer block", "1:0-20 2:20-40 3:40-60 4:60-80", "1 2 3"},
		{"the newest is left alone", "1:0-20 2:20-40 3:40-60", ""},
		{"a range with a gap, which is over", "1:0-20 3:40-60 4:60-80", "1 3"},
		{"a range with a gap at its end, which is over", "1:0-20 2:20-40 4:80-100", "1 2"},
		{"a range with a gap at its end, which may still be filled", "1:0-20 2:20-40 4:40-50", ""},
		{"the second level", "1:0-60 2:60-120 3:120-180 4:180-200", "1 2 3"},
		{"the lower level first", "1:0-60 2:60-120 3:120-180 4:180-200 5:200-220 6:220-240 7:240-260", "4 5 6"},
		{"longer than the greatest range", "1:0-180 2:180-360 3:360-540 4:540-560", ""},
		{"overlapping first", "1:0-20 2:20-40 3:40-60 4:45-60 5:60-80", "3 4"},
		{"overlapping, the newest too", "1:0-20 2:10-30", "1 2"},
		{"a chain of overlapping blocks", "1:0-20 2:10-30 3:25-40 4:40-60", "1 2 3"},
		{"a block across ranges fits none", "1:10-70 2:70-90 3:100-120 4:120-140", "2 3"},
		{"negative times", "1:-60--40 2:-40--20 3:-20-0 4:0-20", "1 2 3"},
		{"failed before", "1:0-20 2:20-40! 3:40-60 4:60-80", "1 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var metas []block.Meta
			for _, f := range strings.Fields(c.blocks) {
				var n int
				var mint, maxt int64
				_, err := fmt.Sscanf(strings.TrimSuffix(f, "!"), "%d:%d-%d", &n, &mint, &maxt)
				require.NoError(t, err)
				m := meta(n, mint, maxt)
				m.Compaction.Failed = strings.HasSuffix(f, "!")
				metas = append(metas, m)
			}
			var got []string
			for _, id := range Plan(metas, opts) {
				got = append(got, fmt.Sprint(id[15]))
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

// TestPlanEnds carries plans out until there is none, on whatever blocks.
func TestPlanEnds(t *testing.T) {
	opts := PlanOptions{MinRange: 20, MaxRange: 1000}
	var metas []block.Meta
	for i := range 100 {
		metas = append(metas, meta(i, int64(i)*20, int64(i+1)*20))
		for {
			plan := Plan(metas, opts)
			if plan == nil {
				break
			}
			require.GreaterOrEqual(t, len(plan), 2)
			metas = carryOut(metas, plan)
		}
	}
	require.Less(t, len(metas), 12, "levels of 540, 180, 60 and 20")
	for _, m := range metas {
		require.LessOrEqual(t, m.MaxTime-m.MinTime, opts.MaxRange)
	}
}

func carryOut(metas []block.Meta, plan []ulid.ULID) []block.Meta {
	var out []block.Meta
	var joined *block.Meta
	for _, m := range metas {
		in := false
		for _, id := range plan {
			in = in || id == m.ULID
		}
		switch {
		case !in:
			out = append(out, m)
		case joined == nil:
			c := m
			joined = &c
		default:
			joined.MinTime, joined.MaxTime = min(joined.MinTime, m.MinTime), max(joined.MaxTime, m.MaxTime)
		}
	}
	return append(out, *joined)
}
