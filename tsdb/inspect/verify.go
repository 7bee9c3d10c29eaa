package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/block"
	"github.com/gnomonhq/gnomon/tsdb/scan"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// maxFaults bounds the faults that are told of one block or log.
const maxFaults = 1000

// ErrDamaged says that Verify found damage.
var ErrDamaged = errors.New("damage was found")

// Verify reads all of a data folder, or of the blocks that are named: every
// checksum, every page, the order of series and samples, the counts of meta.json,
// and every record of the log. It writes a line about each part and one about
// each fault, with file and offset, and returns ErrDamaged if there is any. It
// changes nothing. While a server has the folder the end of the log is being
// written, and blocks may go away: neither is a fault.
func Verify(ctx context.Context, fsys vfs.FS, dir string, names []string, out io.Writer) error {
	ids, err := blocksOf(fsys, dir)
	if err != nil {
		return err
	}
	v := &verifier{ctx: ctx, fs: fsys, out: out}
	if len(names) > 0 {
		if ids, err = chosen(ids, names, dir); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := v.part("block "+id.String(), func() (string, error) { return v.block(filepath.Join(dir, id.String())) }); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		if err := v.part("log", func() (string, error) { return v.log(filepath.Join(dir, logDir)) }); err != nil {
			return err
		}
	}
	if v.total > 0 {
		return fmt.Errorf("%s: %w: %d faults in %d of %d parts", dir, ErrDamaged, v.total, v.damaged, v.parts)
	}
	return nil
}

func chosen(ids []ulid.ULID, names []string, dir string) ([]ulid.ULID, error) {
	var out []ulid.ULID
	for _, name := range names {
		i := slices.IndexFunc(ids, func(id ulid.ULID) bool { return id.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no block %s in %s", name, dir)
		}
		out = append(out, ids[i])
	}
	return out, nil
}

// verifier is one run of Verify.
type verifier struct {
	ctx context.Context
	fs  vfs.FS
	out io.Writer

	faults                int // of the part at hand
	total, damaged, parts int
}

// part verifies a part and tells about it. An error is that of the context.
func (v *verifier) part(name string, verify func() (string, error)) error {
	v.faults = 0
	what, err := verify()
	if err := v.ctx.Err(); err != nil {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(v.out, "%s: gone\n", name)
		return nil
	}
	v.parts++
	if err != nil {
		v.fault(err)
	}
	if v.faults > 0 {
		v.total += v.faults
		v.damaged++
		fmt.Fprintf(v.out, "%s: %d faults: %s\n", name, v.faults, what)
		return nil
	}
	fmt.Fprintf(v.out, "%s: sound: %s\n", name, what)
	return nil
}

// fault tells an error, each of several that are joined.
func (v *verifier) fault(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			v.fault(e)
		}
		return
	}
	if v.faults++; v.faults <= maxFaults {
		fmt.Fprintf(v.out, "  %v\n", err)
	}
}

// block verifies a block.
func (v *verifier) block(dir string) (string, error) {
	r, err := block.Open(v.fs, dir, block.ReaderOptions{})
	if err != nil {
		return "it cannot be opened", err
	}
	defer r.Close()
	if err := r.Verify(); err != nil {
		v.fault(err)
		return "its files have damage", nil // whose series would fail one by one
	}
	c, err := v.series(r)
	if err != nil {
		return "it cannot be read", err
	}
	meta := r.Meta()
	deleted := r.Tombstones().Len() > 0
	if meta.ResolutionMillis == 0 {
		v.count(dir, "samples", c.samples, meta.Stats.NumSamples, deleted)
		v.count(dir, "series", c.series, meta.Stats.NumSeries, deleted)
	}
	what := fmt.Sprintf("%d series, %d samples, %d bytes", c.series, c.samples, r.Size())
	if deleted {
		what += fmt.Sprintf(", %d deletions", r.Tombstones().Len())
	}
	return what, nil
}

// count holds a count against that of meta.json, which has what was deleted
// later as well.
func (v *verifier) count(dir, what string, got, want uint64, deleted bool) {
	if got > want || got < want && !deleted {
		v.fault(fmt.Errorf("%s: it says %d %s, there are %d", filepath.Join(dir, block.MetaFile), want, what, got))
	}
}

type counts struct{ series, samples uint64 }

// series decodes every sample.
func (v *verifier) series(r *block.Reader) (c counts, err error) {
	if r.Meta().ResolutionMillis != 0 {
		return c, nil // buckets, not samples
	}
	q, err := scan.NewQuerier(r, 1, math.MinInt64, math.MaxInt64)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	set := q.Select(v.ctx, nil)
	var last labels.Labels
	var it storage.BatchIterator
	for set.Next() && v.ctx.Err() == nil {
		s := set.At()
		if c.series > 0 && block.Compare(last, s.Labels()) >= 0 {
			v.fault(fmt.Errorf("%s: series %s comes after %s", r.Dir(), s.Labels(), last))
		}
		last = s.Labels()
		c.series++
		it = s.Batches(it)
		c.samples += v.samples(r, s.Labels(), it)
	}
	return c, set.Err()
}

// samples decodes the samples of a series and counts them.
func (v *verifier) samples(r *block.Reader, ls labels.Labels, it storage.BatchIterator) uint64 {
	meta := r.Meta()
	n := uint64(0)
	var b storage.Batch
	last := int64(math.MinInt64)
	for it.Next(&b) {
		for _, t := range b.Times {
			if n > 0 && t <= last {
				v.fault(fmt.Errorf("%s: series %s: sample at %d after one at %d", r.Dir(), ls, t, last))
			}
			if t < meta.MinTime || t >= meta.MaxTime {
				v.fault(fmt.Errorf("%s: series %s: sample at %d in a block from %d to before %d", r.Dir(), ls, t, meta.MinTime, meta.MaxTime))
			}
			last = t
			n++
		}
	}
	if err := it.Err(); err != nil {
		v.fault(fmt.Errorf("%s: series %s: %w", r.Dir(), ls, err))
	}
	return n
}

// log verifies the log.
func (v *verifier) log(dir string) (string, error) {
	torn := ""
	r, err := wal.OpenReader(v.fs, dir, wal.ReaderOptions{OnDamage: func(d wal.Damage) {
		if d.TornTail {
			torn = fmt.Sprintf("; %v", d)
			return
		}
		v.fault(d)
	}})
	if err != nil {
		return "", err
	}
	records := map[string]int{}
	for r.Next() && v.ctx.Err() == nil {
		records[r.Record().Type.String()]++
	}
	_, bytes := r.Progress()
	what := fmt.Sprintf("%d bytes, records:", bytes)
	for _, kind := range slices.Sorted(maps.Keys(records)) {
		what += fmt.Sprintf(" %d %s", records[kind], kind)
	}
	return what + torn, r.Close()
}
