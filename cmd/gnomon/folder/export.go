package folder

import (
	"context"
	"io"

	"github.com/gnomonhq/gnomon/takeover"
)

// registerExport declares the command that gives a data folder back.
func (c *commands) registerExport() {
	cmd := c.app.Command("export", "Write the data, the head included, as blocks of Prometheus of two hours each. "+
		"Each block is read back with Prometheus's own reader and compared. No server may be running on the folder of the data; export a snapshot of it otherwise. "+
		"Exemplars and metadata have no place in such blocks.")
	var out string
	var s selection
	cmd.Arg("folder", "Where the blocks go: a folder that is empty or missing. A Prometheus can be started on it.").Required().StringVar(&out)
	s.register(cmd)
	c.run[cmd.FullCommand()] = func(ctx context.Context, report io.Writer) error {
		selectors, err := s.selectors()
		if err != nil {
			return err
		}
		_, err = takeover.Export(ctx, c.path, out, takeover.ExportOptions{
			Out: report, Mint: int64(s.mint), Maxt: int64(s.maxt), Selectors: selectors,
		})
		return err
	}
}
