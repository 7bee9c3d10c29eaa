package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/units"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/block"
)

// List writes a line for each block of a data folder, ascending in time: the
// columns of promtool's list, then level and resolution. humanReadable has dates
// and sizes in units in place of milliseconds and bytes. A block whose meta.json
// cannot be read is an error, after the others.
func List(fsys vfs.FS, dir string, humanReadable bool, out io.Writer) error {
	ids, err := blocksOf(fsys, dir)
	if err != nil {
		return err
	}
	var metas []block.Meta
	var errs []error
	for _, id := range ids {
		m, err := block.ReadMeta(fsys, filepath.Join(dir, id.String()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // a server has just deleted it
		case err != nil:
			errs = append(errs, fmt.Errorf("block %s: %w", id, err))
		default:
			metas = append(metas, m)
		}
	}
	slices.SortFunc(metas, func(a, b block.Meta) int {
		return cmp.Or(cmp.Compare(a.MinTime, b.MinTime), cmp.Compare(a.MaxTime, b.MaxTime), a.ULID.Compare(b.ULID))
	})
	w := tabwriter.NewWriter(out, 13, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BLOCK ULID\tMIN TIME\tMAX TIME\tDURATION\tNUM SAMPLES\tNUM CHUNKS\tNUM SERIES\tSIZE\tLEVEL\tRESOLUTION")
	for i := range metas {
		listBlock(w, &metas[i], humanReadable)
	}
	return errors.Join(append(errs, w.Flush())...)
}

func listBlock(w io.Writer, m *block.Meta, humanReadable bool) {
	var size int64
	for _, f := range m.Files {
		size += f.Bytes
	}
	moment := func(t int64) string {
		if humanReadable {
			return time.UnixMilli(t).UTC().Format(time.RFC3339)
		}
		return strconv.FormatInt(t, 10)
	}
	bytes := strconv.FormatInt(size, 10)
	if humanReadable {
		bytes = units.Base2Bytes(size).Round(1).String()
	}
	resolution := "raw"
	if m.ResolutionMillis > 0 {
		resolution = duration(m.ResolutionMillis).String()
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d\t%s\n", m.ULID, moment(m.MinTime), moment(m.MaxTime), duration(m.MaxTime-m.MinTime),
		m.Stats.NumSamples, m.Stats.NumChunks, m.Stats.NumSeries, bytes, m.Compaction.Level, resolution)
}

func duration(millis int64) time.Duration { return time.Duration(millis) * time.Millisecond }
