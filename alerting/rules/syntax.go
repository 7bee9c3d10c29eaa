package rules

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// maxSyntaxProbes bounds the search for the line of a syntax error.
const maxSyntaxProbes = 50

// syntaxLine improves on the line that the YAML parser reports for a syntax error,
// which is often one off, or the end of the file for a bracket that is not closed:
// it returns the line with which content, so far as it was read, stops being YAML.
func syntaxLine(content []byte, reported int) int {
	lines := bytes.SplitAfter(content, []byte("\n"))
	last := min(len(lines), reported+1)
	if isYAML(bytes.Join(lines[:last], nil)) {
		return reported
	}
	for n := last - 1; n >= 0 && last-n < maxSyntaxProbes; n-- {
		if isYAML(bytes.Join(lines[:n], nil)) {
			return n + 1
		}
	}
	return reported
}

func isYAML(content []byte) bool {
	var node yaml.Node
	return yaml.Unmarshal(content, &node) == nil
}
