package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
)

// Name is the first argument of a command line that is for this package.
const Name = "tsdb"

// program is the name of the program in usage and errors.
const program = "gnomon"

// commands are the commands and what they do.
type commands struct {
	app *kingpin.Application
	// path is the folder of the data.
	path string
	// run has what each command does, by its full name.
	run map[string]func(ctx context.Context, out io.Writer) error
}

func newCommands(out io.Writer, terminate func(int)) *commands {
	c := &commands{
		app: kingpin.New(program+" "+Name, "Take over the data folder of a Prometheus, give it back, and look into our own.").
			UsageWriter(out).ErrorWriter(out).Terminate(terminate),
		run: map[string]func(context.Context, io.Writer) error{},
	}
	c.app.HelpFlag.Short('h')
	c.app.Flag("storage.tsdb.path", "Folder of the data of Gnomon.").Default("data/").StringVar(&c.path)
	c.registerImport()
	c.registerExport()
	c.registerList()
	c.registerAnalyze()
	c.registerDump()
	c.registerVerify()
	return c
}

// folderOf lets a command that looks into our data take the folder as its first
// argument too, as the commands of promtool do.
func (c *commands) folderOf(cmd *kingpin.CmdClause) {
	cmd.Arg("folder", "Folder of the data, in place of --storage.tsdb.path.").StringVar(&c.path)
}

// Execute runs the command that the arguments behind Name say. What it has to
// say goes to out, errors to errs. It returns the exit code: 0 if all is well, 1
// after a failure or if damage was found, 2 for a command line that makes no
// sense. An interrupt or a termination signal ends it cleanly.
func Execute(args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	informed := false
	var c *commands
	c = newCommands(out, func(int) {
		informed = true
		c.app.UsageWriter(io.Discard) // kingpin goes on, and would say it again
	})
	name, err := c.app.Parse(args)
	switch {
	case informed:
		return 0
	case err != nil:
		fmt.Fprintf(errs, "%s: %v\nTry '%s --help'.\n", c.app.Name, err, c.app.Name)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.run[name](ctx, out); err != nil {
		if errors.Is(err, context.Canceled) {
			err = fmt.Errorf("interrupted: %w", err)
		}
		fmt.Fprintf(errs, "%s: %v\n", program, err)
		return 1
	}
	return 0
}
