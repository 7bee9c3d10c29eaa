package config

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
)

// sectionKey is the top-level key of our own settings.
const sectionKey = "gnomon"

// Section holds Gnomon's own settings, those that Prometheus does not have. So
// far all of Gnomon's settings are Prometheus's or flags, so the section is
// accepted empty, and any field in it is reported as unknown.
type Section struct{}

// parseSection decodes the text that [document.cutSection] returned, in which
// everything but our section is blank. Empty text yields the zero value.
func parseSection(name string, text []byte) (Section, error) {
	var root struct {
		Gnomon Section `yaml:"gnomon"`
	}
	if len(text) == 0 {
		return root.Gnomon, nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		doc := parseDocument(name, text)
		return Section{}, doc.faults(err, nil)
	}
	return root.Gnomon, nil
}
