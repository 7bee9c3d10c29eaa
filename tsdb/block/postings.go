package block

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	idx "github.com/gnomonhq/gnomon/tsdb/index"
)

var _ idx.Postings = (*Reader)(nil)

// checkEvery is after how many steps a long loop looks at its context.
const checkEvery = 1024

// find returns the values of a name; ok is false if the block does not have it.
func (r *Reader) find(name string) (t *valueTable, ok bool) {
	i, ok := slices.BinarySearchFunc(r.index.names, name, func(n nameEntry, name string) int {
		return strings.Compare(n.name, name)
	})
	if !ok {
		return nil, false
	}
	return &r.values[i], true
}

// All implements index.Postings.
func (r *Reader) All() (*roaring.Bitmap, error) {
	b := roaring.New()
	b.AddRange(0, uint64(r.index.series))
	return b, nil
}

// Name implements index.Postings.
func (r *Reader) Name(name string) (*roaring.Bitmap, error) {
	t, ok := r.find(name)
	if !ok {
		return roaring.New(), nil
	}
	l, err := r.list(&t.entry.has, t.entry.series)
	if err != nil {
		return nil, err
	}
	set, err := l.set()
	return set, t.list(err)
}

// Value implements index.Postings.
func (r *Reader) Value(name, value string) (*roaring.Bitmap, error) {
	set := roaring.New()
	return set, r.AddValues(context.Background(), set, name, []string{value})
}

// AddValues implements index.Postings.
func (r *Reader) AddValues(ctx context.Context, dst *roaring.Bitmap, name string, values []string) error {
	t, ok := r.find(name)
	if !ok {
		return nil
	}
	u := listUnion{dst: dst}
	for n, value := range values {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		b, found, err := t.find(value)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := u.addOf(&b); err != nil {
			return err
		}
	}
	u.flush()
	return nil
}

// addOf adds the series of the value at which a block stands.
func (u *listUnion) addOf(b *valueBlock) error {
	l, err := b.list()
	if err != nil {
		return err
	}
	return b.table.list(u.add(&l))
}

// AddMatching implements index.Postings.
func (r *Reader) AddMatching(ctx context.Context, dst *roaring.Bitmap, name, prefix string, match func(string) bool) error {
	t, ok := r.find(name)
	if !ok {
		return nil
	}
	u := listUnion{dst: dst}
	n := 0
	err := t.each(prefix, func(b *valueBlock) (bool, error) {
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		if !bytes.HasPrefix(b.value, []byte(prefix)) {
			return false, nil
		}
		if !match(inMemory(b.value)) {
			return true, nil
		}
		return true, u.addOf(b)
	})
	u.flush()
	return err
}

// Names implements index.Postings.
func (r *Reader) Names() ([]string, error) {
	out := make([]string, len(r.index.names))
	for i := range out {
		out[i] = r.index.names[i].name
	}
	return out, nil
}

// Values implements index.Postings.
func (r *Reader) Values(name string) ([]string, error) {
	t, ok := r.find(name)
	if !ok {
		return nil, nil
	}
	out := make([]string, 0, t.entry.values)
	err := t.each("", func(b *valueBlock) (bool, error) {
		out = append(out, string(b.value))
		return true, nil
	})
	return out, err
}

// Retain implements index.Postings: nothing is taken out of a block.
func (r *Reader) Retain(*roaring.Bitmap) {}

// ValuesIn implements index.Postings.
func (r *Reader) ValuesIn(ctx context.Context, set *roaring.Bitmap, name string) ([]string, error) {
	t, ok := r.find(name)
	if !ok {
		return nil, nil
	}
	var out []string
	n := 0
	err := t.each("", func(b *valueBlock) (bool, error) {
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		l, err := b.list()
		if err != nil {
			return false, err
		}
		in, err := l.intersects(set)
		if err != nil {
			return false, t.list(err)
		}
		if in {
			out = append(out, string(b.value))
		}
		return true, nil
	})
	return out, err
}

// NameIn implements index.Postings.
func (r *Reader) NameIn(set *roaring.Bitmap, name string) (bool, error) {
	t, ok := r.find(name)
	if !ok {
		return false, nil
	}
	l, err := r.list(&t.entry.has, t.entry.series)
	if err != nil {
		return false, err
	}
	in, err := l.intersects(set)
	return in, t.list(err)
}

// ValueCounts calls f for each value of a label name with the number of its series, in
// ascending order, until f returns false.
func (r *Reader) ValueCounts(name string, f func(value string, series int) bool) error {
	t, ok := r.find(name)
	if !ok {
		return nil
	}
	return t.each("", func(b *valueBlock) (bool, error) {
		n, err := b.count()
		if err != nil {
			return false, err
		}
		return f(string(b.value), int(n)), nil
	})
}
