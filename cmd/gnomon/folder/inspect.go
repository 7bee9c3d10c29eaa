package folder

import (
	"context"
	"errors"
	"io"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/tsdb/inspect"
)

// registerList declares the command that lists blocks.
func (c *commands) registerList() {
	cmd := c.app.Command("list", "List the blocks: name, range of time, samples, chunks, series, size, level of compaction and resolution.")
	c.folderOf(cmd)
	var human bool
	cmd.Flag("human-readable", "Dates in place of milliseconds, sizes in units.").Short('r').BoolVar(&human)
	c.run[cmd.FullCommand()] = func(_ context.Context, out io.Writer) error {
		return inspect.List(vfs.OS{}, c.path, human, out)
	}
}

// registerAnalyze declares the command that says what a block consists of.
func (c *commands) registerAnalyze() {
	cmd := c.app.Command("analyze", "Say what a block consists of: what its samples cost, which labels and metrics have the most series and samples, which of them churn, and how full its chunks are.")
	var name, match string
	var limit int
	c.folderOf(cmd)
	cmd.Arg("block", "Name of the block. By default the newest one.").StringVar(&name)
	cmd.Flag("limit", "How many entries each list has at most.").Default("20").IntVar(&limit)
	cmd.Flag("match", "Selector of the series to look at. By default all series.").PlaceHolder("<selector>").StringVar(&match)
	c.run[cmd.FullCommand()] = func(ctx context.Context, out io.Writer) error {
		var ms []*labels.Matcher
		if match != "" {
			var err error
			if ms, err = selector(match); err != nil {
				return err
			}
		}
		return inspect.Analyze(ctx, vfs.OS{}, c.path, name, limit, ms, out)
	}
}

// registerDump declares the command that prints samples.
func (c *commands) registerDump() {
	cmd := c.app.Command("dump", "Print samples, those of the head included, a line each: {labels} value milliseconds. No server may be running on the folder of the data.")
	c.folderOf(cmd)
	var s selection
	s.register(cmd)
	c.run[cmd.FullCommand()] = func(ctx context.Context, out io.Writer) error {
		selectors, err := s.selectors()
		if err != nil {
			return err
		}
		db, err := inspect.Open(ctx, vfs.OS{}, c.path)
		if err != nil {
			return err
		}
		return errors.Join(inspect.Dump(ctx, db, int64(s.mint), int64(s.maxt), selectors, out), db.Close())
	}
}

// registerVerify declares the command that reads everything.
func (c *commands) registerVerify() {
	cmd := c.app.Command("verify", "Read everything on disk and report what is damaged, with file and offset: checksums, pages, order, counts, records of the log. Nothing is changed; a server may be running. The exit code is 1 if anything is damaged.")
	var names []string
	c.folderOf(cmd)
	cmd.Arg("block", "Names of the blocks to verify. By default all of them, and the log.").StringsVar(&names)
	c.run[cmd.FullCommand()] = func(ctx context.Context, out io.Writer) error {
		return inspect.Verify(ctx, vfs.OS{}, c.path, names, out)
	}
}
