package parse

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecordedBodies(t *testing.T) {
	for _, name := range recordings {
		t.Run(name, func(t *testing.T) {
			bodies := recording(t, name)
			require.NotEmpty(t, bodies)
			opts := &Options{Admit: admitAll, HonorTimestamps: true}
			ref, r := newReference(), newReader()
			for range 2 {
				for _, body := range bodies {
					if len(body) > 300<<10 {
						body = body[:300<<10]
						body = body[:bytes.LastIndexByte(body, '\n')+1]
					}
					require.NoError(t, requireSame(t, ref, r, body, plainText, opts))
				}
			}
			families := r.layout.Families()
			require.Equal(t, len(ref.families), families.Len())
			for name, m := range ref.families {
				got, ok := families.Get(name)
				require.True(t, ok, name)
				require.Equal(t, m, got, name)
			}
		})
	}
}

// lines that Prometheus reads in some way or refuses. The test holds that this
// package does the same.
var oddLines = []string{
	"a 1", "a  1", "a\t1", "a 1 ", "a 1 123", "a 1  123 \t", "a 1 -123", "a 1 123 4", "a 1 12.5", "a 1 99999999999999999999",
	"a", "a ", "a{", "a{}", "a{} ", "a{} 1", "a {} 1", "a{}1", "a-1", "a+1", "a.5", "1", "1 2", " a 1", "\ta 1", "  ", "",
	`a{b="c"} 1`, `a{b="c",} 1`, `a{b="c" ,} 1`, `a{,b="c"} 1`, `a{b="c",,} 1`, `a{b="c" d="e"} 1`, `a{b="c",d="e"} 1`,
	`a{b = "c"} 1`, `a{ b="c"} 1`, `a{b="c"}{} 1`, `a{b='c'} 1`, `a{b="c} 1`, `a{b=c} 1`, `a{b} 1`, `a{b=} 1`, `a{="c"} 1`,
	`a{b="c\"d"} 1`, `a{b="c\\"} 1`, `a{b="c\nd"} 1`, `a{b="c\td"} 1`, "a{b=\"c\nd\"} 1", "a{b=\"c\\\nd\"} 1", `a{b="\"} 1`,
	`a{b="é"} 1`, "a{b=\"\xff\"} 1", "a{b=\"c\x00d\"} 1", "a\x00 1", "a 1\x00", "\x00", "a 1\n\x00a 2", "a{b=\"\"} 1",
	`{"a"} 1`, `{"a",b="c"} 1`, `{"a.b c",d="e"} 1`, `{b="c","a"} 1`, `{"a","b"} 1`, `{b="c"} 1`, `{} 1`, `{"a"}`, `a{"b"} 1`, `a{"b.c"="d"} 1`, `{"a" b="c"} 1`, `{"a"}1`,
	"a NaN", "a nan", "a NAN", "a +Inf", "a -Inf", "a inf", "a Infinity", "a infinit", "a 0x1", "a 0x1p4", "a 1_000", "a 1e3", "a 1E3", "a 1e", "a 1e+", "a 1e400", "a 1e-400",
	"a .5", "a 5.", "a .", "a -", "a +", "a +5", "a -0", "a 00012", "a 1e00000003", "a 1,5", "a 1\r", "a\r 1", "a 1{", "a {1", "a 18446744073709551616", "a 0.1000000000000000055511151231257827",
	"a:b 1", ":a 1", "a_b 1", "aé 1", "a.b 1", "a-b 1", "_ 1",
	"#", "# ", "# a", "#a", "#HELP a b", "# HELP", "# HELP ", "# HELP a", "# HELP a ", "# HELP a  ", "# HELP a b", "# HELP a  b c ", "#  HELP\ta\tb", "# HELPa b", "# HELP 1 b",
	`# HELP a b\nc\\d\e`, "# HELP a \xff", "# HELP a b\x00c", "# HELP \"a b\" c", "# HELP a{b} c", "# help a b", "# x\x00y",
	"# TYPE a counter", "# TYPE a gauge ", "# TYPE a  gauge", "# TYPE a foo", "# TYPE a", "# TYPE a ", "# TYPE", "# TYPE a\tcounter", "# TYPE a Counter", "# TYPE \"a b\" gauge", "# TYPE a info", "#\tTYPE a untyped",
	`a{m="1"} 1`, `a{m="2"} 2`, "a{m=\"2\"} 2\na{m=\"1\"} 1\na 2\na{m=\"2\"} 3", "# UNIT a b", "# EOF", "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 2\na_bucket{le=\"x\"} 2",
	"# TYPE a summary\na{quantile=\"0.50\"} 2\na{le=\"1\"} 3", "# TYPE a histogram\n{\"a_bucket\",le=\"1\"} 2", "# HELP \"a\nb\" c\na 1",
}

func TestOddLines(t *testing.T) {
	for _, honor := range []bool{true, false} {
		opts := &Options{Admit: admitSome, HonorTimestamps: honor}
		for _, line := range oddLines {
			for _, format := range []string{"%s", "%s\n", "x 1\n%s\ny 2\n", "# TYPE x counter\n%s\n%s\n"} {
				body := []byte(fmt.Sprintf(strings.ReplaceAll(format, "%s", "%[1]s"), line))
				// On an empty layout, on one that knows the body, and on one
				// that knows another body.
				ref, r := newReference(), newReader()
				for range 3 {
					_ = requireSame(t, ref, r, body, plainText, opts)
				}
				ref, r = newReference(), newReader()
				for _, b := range [][]byte{[]byte("x 1\ny 2\na 1\n"), body, []byte("x 1\na 1 5\ny 2\n"), body} {
					_ = requireSame(t, ref, r, b, plainText, opts)
				}
			}
		}
	}
}

// Pairs of bodies where a line begins like one of the other body and is another
// one, or stands for the same series.
func TestPairsOfBodies(t *testing.T) {
	opts := &Options{Admit: admitSome, HonorTimestamps: true}
	for _, pair := range [][2]string{
		{"foo-1\n", "foo1 5\n"},
		{"foo 1\n", "foo {a=\"b\"} 1\n"},
		{"foo 1\n", "foo  1\n"},
		{"foo{}1\n", "foo{} 1\n"},
		{"foo{}1\n", "foo{}{} 1\n"},
		{"# HELP a b\na 1\n", "# HELP a bc\na 1\n"},
		{"# HELP a b", "# HELP a bc"},
		{"a 1", "a 12"},
		{"a{m=\"1\"} 1\n", "b 1\na{m=\"2\"} 2\na{m=\"1\"} 1\n"},
		{"a{m=\"1\"} 1\n", "b 1\na{m=\"1\"} 1\na{m=\"2\"} 2\n"},
		{"a 1\nb 2", "b 1\na 2"},
		{"a 1\na 2 5\n", "a 1 5\na 2\n"},
		{"a 1\na{} 2 5\n", "a 1 5\na{} 2\n"},
	} {
		ref, r := newReference(), newReader()
		for _, body := range []string{pair[0], pair[1], pair[0], pair[1], pair[1]} {
			_ = requireSame(t, ref, r, []byte(body), plainText, opts)
		}
	}
}

func TestErrorsTellTheLine(t *testing.T) {
	r := newReader()
	_, err := r.read([]byte("a 1\nb 2\n\nc x\n"), plainText, &Options{Admit: admitAll})
	require.EqualError(t, err, `line 4: strconv.ParseFloat: parsing "x": invalid syntax while parsing: "c x"`)
	require.Equal(t, 0, r.layout.Lines(), "lines of a refused body are forgotten")
}

// TestMutatedBodies changes recorded bodies at random, scrape after scrape.
func TestMutatedBodies(t *testing.T) {
	for _, name := range []string{"alertmanager", "node"} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			bodies := recording(t, name)
			opts := &Options{Admit: admitAll, HonorTimestamps: true}
			ref, r := newReference(), newReader()
			refused := 0
			for i := range 100 {
				body := mutate(rng, bytes.Clone(bodies[i%len(bodies)]))
				if requireSame(t, ref, r, body, plainText, opts) != nil {
					refused++
				}
				checkLayout(t, r.layout)
			}
			require.NotZero(t, refused)
			require.Less(t, refused, 80)
		})
	}
}

// mutate moves, repeats, removes and damages lines of a body.
func mutate(rng *rand.Rand, body []byte) []byte {
	lines := bytes.SplitAfter(body, []byte{'\n'})
	for range rng.IntN(4) {
		i, j := rng.IntN(len(lines)), rng.IntN(len(lines))
		switch rng.IntN(7) {
		case 0:
			lines[i], lines[j] = lines[j], lines[i]
		case 1:
			lines[i] = nil
		case 2:
			lines[i] = append(bytes.Clone(lines[i]), lines[j]...)
		case 3:
			lines[i] = append(bytes.Clone(lines[i]), fmt.Sprintf("new_%d{a=\"%d\"} %d\n", rng.IntN(3), rng.IntN(3), rng.IntN(9))...)
		case 4: // the same lines in another order
			k := min(i+rng.IntN(20), len(lines))
			rng.Shuffle(k-i, func(a, b int) { lines[i+a], lines[i+b] = lines[i+b], lines[i+a] })
		case 5:
			if n := len(lines[i]); n > 1 && lines[i][0] != '#' {
				lines[i] = append(bytes.Clone(lines[i][:n-1]), fmt.Sprintf(" %d\n", rng.IntN(99))...)
			}
		case 6:
			if n := len(lines[i]); n > 0 && rng.IntN(3) == 0 {
				lines[i] = bytes.Clone(lines[i])
				lines[i][rng.IntN(n)] = " \n\t{}\",=\\#a0.e-\x00\xff"[rng.IntN(17)]
			}
		}
	}
	return bytes.Join(lines, nil)
}

// checkLayout checks what always holds of a layout between two bodies.
func checkLayout(t testing.TB, l *Layout) {
	t.Helper()
	live := 0
	for id := 1; id < len(l.lines); id++ {
		n := l.lines[id]
		if n.column == markFree {
			require.Equal(t, l.nothing, n.hash)
			continue
		}
		live++
		require.NotEqual(t, uint32(markFresh), n.column)
		require.Equal(t, uint32(id), l.index.find(l.lines, n.hash))
	}
	require.Equal(t, live, l.Lines())
	require.Equal(t, live, l.index.used)
	require.Equal(t, live, l.live.Count())
}

func FuzzText(f *testing.F) {
	for _, line := range oddLines {
		f.Add([]byte("# TYPE x counter\nx 1\n"+line+"\ny 2\n"), []byte("x 2\n"+line+"\n"))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		opts := &Options{Admit: admitSome, HonorTimestamps: true}
		ref, r := newReference(), newReader()
		for _, body := range [][]byte{first, first, second, first} {
			if bytes.Contains(body, []byte("TYPE")) && bytes.ContainsAny(body, "hs") {
				// Whether a line is new decides if its bound is normalised. That
				// depends on the blanks before the number here and not there.
				body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("  "), []byte(" ")), []byte("\t"), []byte(" "))
			}
			_ = requireSame(t, ref, r, body, plainText, opts)
			checkLayout(t, r.layout)
		}
	})
}
