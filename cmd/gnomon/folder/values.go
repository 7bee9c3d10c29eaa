package folder

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// moment is the value of a flag that is a time: milliseconds, or RFC 3339.
type moment int64

// Set implements kingpin.Value.
func (m *moment) Set(s string) error {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		*m = moment(ms)
		return nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("%q is neither milliseconds since the Unix epoch nor a time such as 2006-01-02T15:04:05Z", s)
	}
	*m = moment(t.UnixMilli())
	return nil
}

// String implements kingpin.Value.
func (m *moment) String() string { return strconv.FormatInt(int64(*m), 10) }

// selection are the flags that say which samples are meant.
type selection struct {
	mint, maxt moment
	match      []string
}

// register declares the flags.
func (s *selection) register(cmd *kingpin.CmdClause) {
	s.mint, s.maxt = math.MinInt64, math.MaxInt64
	cmd.Flag("min-time", "Time of the first sample: milliseconds since the Unix epoch, or RFC 3339. By default that of the oldest one.").
		PlaceHolder("<time>").SetValue(&s.mint)
	cmd.Flag("max-time", "Time of the last sample. By default that of the newest one.").
		PlaceHolder("<time>").SetValue(&s.maxt)
	cmd.Flag("match", "Selector of series. Can be repeated: a series has to match one of them. By default all series.").
		PlaceHolder("<selector>").StringsVar(&s.match)
}

// selectors parses the selectors.
func (s *selection) selectors() ([][]*labels.Matcher, error) {
	if s.mint > s.maxt {
		return nil, fmt.Errorf("--max-time %d is before --min-time %d", s.maxt, s.mint)
	}
	var out [][]*labels.Matcher
	for _, m := range s.match {
		set, err := selector(m)
		if err != nil {
			return nil, err
		}
		out = append(out, set)
	}
	return out, nil
}

// selector parses a selector of series.
func selector(s string) ([]*labels.Matcher, error) {
	ms, err := parser.NewParser(parser.Options{}).ParseMetricSelector(s)
	if err != nil {
		return nil, fmt.Errorf("--match %s: %w", s, err)
	}
	return ms, nil
}
