package folder

import (
	"context"
	"io"

	"github.com/gnomonhq/gnomon/takeover"
)

// registerImport declares the command that takes over a data folder.
func (c *commands) registerImport() {
	group := c.app.Command("import", "Import the data of another server.")
	prom := group.Command("prometheus", "Import the data folder of a Prometheus that is stopped: its blocks, its write-ahead log and what of its head is on disk. "+
		"The folder is only read. Each part becomes a block, which is read back and compared before it is made visible: a server that is running on the folder of the data serves it within a minute. "+
		"An import that was interrupted goes on where it was; one that is complete imports nothing twice.")
	var source string
	var opts takeover.ImportOptions
	prom.Arg("folder", "Data folder of the Prometheus (its --storage.tsdb.path), a copy or a snapshot of it.").Required().StringVar(&source)
	prom.Flag("blocks-only", "Import only the blocks. They can be read while the Prometheus is running; import again, without this flag, when it is stopped.").
		BoolVar(&opts.BlocksOnly)
	prom.Flag("max-log-samples", "How many samples of the logs are in memory at once; they take about 40 bytes each. Logs with more are read several times.").
		Default("16777216").Uint64Var(&opts.MaxLogSamples)
	c.run[prom.FullCommand()] = func(ctx context.Context, out io.Writer) error {
		opts.Out = out
		_, err := takeover.Import(ctx, source, c.path, opts)
		return err
	}
}
