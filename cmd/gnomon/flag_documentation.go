package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// writeFlagDocumentation writes the reference of all flags as Markdown, hidden
// ones included.
func writeFlagDocumentation(to io.Writer, app *kingpin.ApplicationModel) error {
	flags := slices.Clone(app.Flags)
	slices.SortFunc(flags, func(a, b *kingpin.FlagModel) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	fmt.Fprintf(&b, "# Flags of %s\n\n%s\n\n| Flag | Description | Default |\n| --- | --- | --- |\n", app.Name, app.Help)
	for _, f := range flags {
		if ofKingpin(f.Name) {
			continue
		}
		name := "`--" + f.Name + "`"
		if f.IsBoolFlag() {
			name = "`--[no-]" + f.Name + "`"
		}
		var values []string
		for _, v := range f.Default {
			values = append(values, "`"+v+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, strings.ReplaceAll(f.Help, "|", `\|`), strings.Join(values, ", "))
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// kingpinFlags are the flags that kingpin adds to every program.
var kingpinFlags = kingpin.New("", "").Version("")

// ofKingpin reports whether a flag is one of kingpin's own.
func ofKingpin(name string) bool { return kingpinFlags.GetFlag(name) != nil }
