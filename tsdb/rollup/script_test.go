package rollup

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// world is the blocks of a script. Times are hours; a block of samples from 0 to
// 6 has those with 0 <= t < 6, a rollup from 0 to 24 those with 0 < t <= 24.
type world struct {
	t            *testing.T
	names        map[string]ulid.ULID
	raw, rollups []Info
	settings     []Setting
	failed       []Job
}

func hours(t *testing.T, s string) int64 {
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return int64(v * float64(hour))
}

func hourText(ms int64) string { return strconv.FormatFloat(float64(ms)/float64(hour), 'f', -1, 64) }

func (w *world) id(name string) ulid.ULID {
	id, ok := w.names[name]
	if !ok {
		id = ulid.ULID{15: byte(len(w.names) + 1)}
		w.names[name] = id
	}
	return id
}

func (w *world) name(id ulid.ULID) string {
	for name, x := range w.names {
		if x == id {
			return name
		}
	}
	return "?"
}

var resolutions = map[string]int64{"5m": 5 * minute, "1h": hour}

func resolutionText(r int64) string {
	for name, x := range resolutions {
		if x == r {
			return name
		}
	}
	return fmt.Sprint(r)
}

// block reads "raw <name> <from> <to> [of <name> <from> <to>]..." and "5m <name>
// <from> <to> of <names> [deleted <from> <to>]".
func (w *world) block(f []string) {
	i := Info{ID: w.id(f[1]), Lo: hours(w.t, f[2]), Hi: hours(w.t, f[3])}
	rest := f[4:]
	if f[0] == "raw" {
		i.Lo, i.Hi = i.Lo-1, i.Hi-1
		if len(rest) == 0 {
			i.Sources = []Source{{i.ID, i.Lo, i.Hi}}
		}
		for ; len(rest) > 0; rest = rest[4:] {
			i.Sources = append(i.Sources, Source{w.id(rest[1]), hours(w.t, rest[2]) - 1, hours(w.t, rest[3]) - 1})
		}
		w.raw = append(w.raw, i)
		return
	}
	i.Resolution = resolutions[f[0]]
	for _, name := range rest[1:] {
		if name == "deleted" {
			break
		}
		i.Sources = append(i.Sources, Source{w.id(name), i.Lo, i.Hi})
	}
	if n := len(rest); n > 3 && rest[n-3] == "deleted" {
		i.Deleted = []block.Interval{{MinT: hours(w.t, rest[n-2]), MaxT: hours(w.t, rest[n-1])}}
	}
	w.rollups = append(w.rollups, i)
}

// run executes a line and returns what it says.
func (w *world) run(line string) string {
	f := strings.Fields(line)
	switch f[0] {
	case "raw", "5m", "1h":
		w.block(f)
	case "keep": // <resolution> <after> <keep>
		w.settings = append(w.settings, Setting{resolutions[f[1]], hours(w.t, f[2]), hours(w.t, f[3])})
	case "failed": // <resolution> <from>
		w.failed = append(w.failed, Job{Resolution: resolutions[f[1]], Lo: hours(w.t, f[2])})
	case "due": // <newest> <settled>
		return w.due(hours(w.t, f[1]), hours(w.t, f[2]))
	case "plan": // <first> <last> <step> <range> <recent>
		n := make([]int64, 5)
		for i := range n {
			n[i] = hours(w.t, f[i+1])
		}
		return w.plan(storage.Windows{First: n[0], Last: n[1], Step: n[2], Range: n[3]}, n[4])
	default:
		w.t.Fatalf("unknown command %q", line)
	}
	return ""
}

func (w *world) due(newest, settled int64) string {
	job := Due(w.raw, w.rollups, w.settings, newest, settled, w.failed)
	if job == nil {
		return "nothing\n"
	}
	out := fmt.Sprintf("%s %s to %s", resolutionText(job.Resolution), hourText(job.Lo), hourText(job.Hi))
	for _, id := range job.Replaces {
		out += " instead of " + w.name(id)
	}
	out += " from"
	for _, s := range job.plan(w.raw, w.rollups).Segments {
		out += " " + w.segment(s)
	}
	return out + "\n"
}

func (w *world) segment(s Segment) string {
	from := "samples"
	if s.Resolution != 0 {
		from = w.name(w.rollups[s.Block].ID)
	}
	return fmt.Sprintf("%s(%s,%s]", from, hourText(s.Lo), hourText(s.Hi))
}

func (w *world) plan(windows storage.Windows, recent int64) string {
	p := Survey(w.raw, w.rollups).Plan(windows, recent)
	if p == nil {
		return "samples\n"
	}
	var out []string
	last := int64(noTime)
	for _, s := range p.Segments {
		require.Less(w.t, s.Lo, s.Hi)
		require.GreaterOrEqual(w.t, s.Lo, last, "segments overlap")
		last = s.Hi
		out = append(out, w.segment(s))
	}
	text := strings.Join(out, " ")
	for i := range windows.Len() {
		begin, end := p.Window(i)
		if end != windows.End(i) || begin != end-windows.Range {
			text += fmt.Sprintf(" window %d (%s,%s]", i, hourText(begin), hourText(end))
		}
	}
	return text + "\n"
}

// TestScript runs the cases of testdata/script: commands, a line of dashes, what
// they say.
func TestScript(t *testing.T) {
	text, err := os.ReadFile("testdata/script")
	require.NoError(t, err)
	for _, c := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		title, body, _ := strings.Cut(c, "\n")
		t.Run(strings.TrimPrefix(title, "# "), func(t *testing.T) {
			commands, want, _ := strings.Cut(body, "----\n")
			w := &world{t: t, names: map[string]ulid.ULID{}}
			got := ""
			for line := range strings.Lines(commands) {
				got += w.run(line)
			}
			require.Equal(t, strings.TrimSpace(want), strings.TrimSpace(got))
		})
	}
}
