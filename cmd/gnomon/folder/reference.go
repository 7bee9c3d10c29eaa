package folder

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// writeReference writes the reference of all commands as Markdown.
func writeReference(to io.Writer, app *kingpin.ApplicationModel) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Commands of %s\n\n%s\n\nGenerated from the source by `go test ./cmd/gnomon/folder -run TestReference -update`.\n\nAll commands have these flags:\n", app.Name, app.Help)
	writeFlags(&b, app.Flags)
	b.WriteString("\nThe exit code is 0 if all is well, 1 after a failure or if damage was found, 2 for a command line that makes\nno sense.\n")
	writeReferenceOf(&b, app.Name, app.Commands)
	_, err := io.WriteString(to, b.String())
	return err
}

func writeReferenceOf(b *strings.Builder, prefix string, list []*kingpin.CmdModel) {
	for _, c := range list {
		switch {
		case c.Name == "help":
		case len(c.Commands) > 0:
			writeReferenceOf(b, prefix+" "+c.Name, c.Commands)
		default:
			fmt.Fprintf(b, "\n## %s %s", prefix, c.Name)
			for _, a := range c.Args {
				fmt.Fprintf(b, " %s", argument(a))
			}
			fmt.Fprintf(b, "\n\n%s\n", c.Help)
			for _, a := range c.Args {
				fmt.Fprintf(b, "\n- `%s`: %s", argument(a), a.Help)
			}
			if len(c.Args) > 0 {
				b.WriteString("\n")
			}
			writeFlags(b, c.Flags)
		}
	}
}

func argument(a *kingpin.ArgModel) string {
	if a.Required {
		return "<" + a.Name + ">"
	}
	return "[<" + a.Name + ">]"
}

func writeFlags(b *strings.Builder, list []*kingpin.FlagModel) {
	var rows []string
	for _, f := range list {
		if f.Name == "help" || strings.HasPrefix(f.Name, "help-") || strings.HasPrefix(f.Name, "completion-") {
			continue
		}
		name := "`--" + f.Name + "`"
		if f.Short != 0 {
			name += fmt.Sprintf(", `-%c`", f.Short)
		}
		value := ""
		if len(f.Default) > 0 {
			value = "`" + strings.Join(f.Default, "`, `") + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", name, f.Help, value))
	}
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | description | default |\n|---|---|---|\n%s", strings.Join(rows, ""))
	}
}
