package index

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// Select returns the series that match all of the matchers; all series if there is none. A
// label that a series does not have counts as empty. The bitmap belongs to the caller.
func Select(ctx context.Context, p Postings, ms ...*labels.Matcher) (*roaring.Bitmap, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ms = ordered(ms)
	set, rest, err := first(p, ms)
	if err != nil {
		return nil, err
	}
	retain := false
	for _, m := range rest {
		if set.IsEmpty() {
			return set, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := narrow(ctx, p, set, m); err != nil {
			return nil, err
		}
		retain = retain || m.Matches("")
	}
	if retain {
		p.Retain(set)
	}
	return set, nil
}

// first returns the series of the first matcher and the other matchers, or all series.
func first(p Postings, ms []*labels.Matcher) (set *roaring.Bitmap, rest []*labels.Matcher, err error) {
	if len(ms) > 0 && ms[0].Type == labels.MatchEqual && ms[0].Value != "" {
		set, err = p.Value(ms[0].Name, ms[0].Value)
		return set, ms[1:], err
	}
	set, err = p.All()
	return set, ms, err
}

// ordered puts the matchers that are cheap and narrow first.
func ordered(ms []*labels.Matcher) []*labels.Matcher {
	if len(ms) < 2 {
		return ms
	}
	out := slices.Clone(ms)
	slices.SortStableFunc(out, func(a, b *labels.Matcher) int { return cost(a) - cost(b) })
	return out
}

func cost(m *labels.Matcher) int {
	regex := m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp
	switch {
	case m.Type == labels.MatchEqual && m.Value != "":
		return 0
	case regex && len(m.SetMatches()) > 0:
		return 1
	case !regex:
		return 2
	case m.Prefix() != "":
		return 3
	}
	return 4
}

// forward is Postings that know the labels of a series, too.
type forward interface {
	// valuesOf returns the value that a series has of a label, "" if it does not have it, and
	// false if the series is not there; and how many values the label has.
	valuesOf(name string) (of func(id uint32) (value string, ok bool), values int)
}

// fewerSeries is how many times more values than series there must be for looking at the series.
const fewerSeries = 4

// filter narrows set by a look at each of its series, if they are few, and reports whether it
// did.
func filter(ctx context.Context, p Postings, set *roaring.Bitmap, m *labels.Matcher) (bool, error) {
	f, ok := p.(forward)
	if !ok || (m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp) || len(m.SetMatches()) > 0 {
		return false, nil
	}
	valueOf, values := f.valuesOf(m.Name)
	if valueOf == nil || set.GetCardinality()*fewerSeries > uint64(values) {
		return false, nil
	}
	kept := make([]uint32, 0, set.GetCardinality())
	n := 0
	for it := set.Iterator(); it.HasNext(); n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return true, ctx.Err()
		}
		id := it.Next()
		if value, ok := valueOf(id); ok && m.Matches(value) {
			kept = append(kept, id)
		}
	}
	set.Clear()
	set.AddMany(kept)
	return true, nil
}

// narrow removes from set the series that do not match.
func narrow(ctx context.Context, p Postings, set *roaring.Bitmap, m *labels.Matcher) error {
	if done, err := filter(ctx, p, set, m); done || err != nil {
		return err
	}
	if m.Matches("") {
		// Series without the label match: take away those whose value does not.
		rejected, err := rejectedBy(ctx, p, m)
		if err != nil || rejected == nil {
			return err
		}
		set.AndNot(rejected)
		return nil
	}
	accepted, err := acceptedBy(ctx, p, m)
	if err != nil {
		return err
	}
	set.And(accepted)
	return nil
}

// acceptedBy returns the series that have the label with a value that matches. The matcher
// does not match the empty string.
func acceptedBy(ctx context.Context, p Postings, m *labels.Matcher) (*roaring.Bitmap, error) {
	switch m.Type {
	case labels.MatchEqual:
		return p.Value(m.Name, m.Value)
	case labels.MatchNotEqual: // != "": any other value would match the empty string.
		return p.Name(m.Name)
	}
	// Regular expressions that match everything but the empty string are frequent.
	if (m.Type == labels.MatchRegexp && m.Value == ".+") || (m.Type == labels.MatchNotRegexp && m.Value == "") {
		return p.Name(m.Name)
	}
	dst := roaring.New()
	if m.Type == labels.MatchRegexp {
		if values := m.SetMatches(); len(values) > 0 {
			return dst, p.AddValues(ctx, dst, m.Name, values)
		}
		return dst, p.AddMatching(ctx, dst, m.Name, m.Prefix(), m.Matches)
	}
	return dst, p.AddMatching(ctx, dst, m.Name, "", m.Matches)
}

// rejectedBy returns the series that have the label with a value that does not match; nil
// if there can be none. The matcher matches the empty string.
func rejectedBy(ctx context.Context, p Postings, m *labels.Matcher) (*roaring.Bitmap, error) {
	switch m.Type {
	case labels.MatchEqual: // = ""
		return p.Name(m.Name)
	case labels.MatchNotEqual:
		return p.Value(m.Name, m.Value)
	}
	switch {
	case m.Type == labels.MatchRegexp && m.Value == ".*":
		// Values with a line break match as well: the expression has the s flag.
		return nil, nil
	case m.Type == labels.MatchRegexp && m.Value == "", m.Type == labels.MatchNotRegexp && m.Value == ".+":
		return p.Name(m.Name)
	}
	dst := roaring.New()
	doesNot := func(value string) bool { return !m.Matches(value) }
	if m.Type == labels.MatchNotRegexp {
		// What does not match is what the expression itself matches.
		if values := m.SetMatches(); len(values) > 0 {
			return dst, p.AddValues(ctx, dst, m.Name, values)
		}
		return dst, p.AddMatching(ctx, dst, m.Name, m.Prefix(), doesNot)
	}
	return dst, p.AddMatching(ctx, dst, m.Name, "", doesNot)
}

// NamesIn returns the names of the labels of the series of set, in ascending order, no more
// than the hints want. The slice belongs to the caller.
func NamesIn(ctx context.Context, p Postings, set *roaring.Bitmap, hints *storage.LabelHints) ([]string, error) {
	names, err := p.Names()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if hints != nil && hints.Limit > 0 && len(out) == hints.Limit {
			break
		}
		in, err := p.NameIn(set, name)
		if err != nil {
			return nil, err
		}
		if in {
			out = append(out, name)
		}
	}
	return out, nil
}

// ValuesIn returns the values that the label name has in the series of set, in ascending order,
// no more than the hints want. The slice belongs to the caller.
func ValuesIn(ctx context.Context, p Postings, set *roaring.Bitmap, name string, hints *storage.LabelHints) ([]string, error) {
	values, err := p.ValuesIn(ctx, set, name)
	if hints != nil && hints.Limit > 0 && len(values) > hints.Limit {
		values = values[:hints.Limit]
	}
	return slices.Clone(values), err
}
