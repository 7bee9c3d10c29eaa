package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"

	promcommon "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"
)

// FileKind says what a file of the configuration is for.
type FileKind string

const (
	// MainFile is the file that the source names.
	MainFile FileKind = "config"
	// ScrapeConfigFile is matched by scrape_config_files.
	ScrapeConfigFile FileKind = "scrape_config"
	// RuleFile is matched by rule_files.
	RuleFile FileKind = "rule"
)

// File is one file that a configuration consists of.
type File struct {
	Kind FileKind
	Path string
	// Checksum is the SHA-256 of the content in hexadecimal, "" if the file
	// could not be read.
	Checksum string
}

// references are the patterns of further files in a main file. They are read
// leniently, so that a change of a file that does not load is seen as well.
type references struct {
	RuleFiles         []string `yaml:"rule_files"`
	ScrapeConfigFiles []string `yaml:"scrape_config_files"`
}

// Checksum identifies what [Load] would read now: it changes if and only if a
// file of the configuration changes, appears or vanishes. It does not need the
// content to be valid. A main file that cannot be read is an error.
func Checksum(src Source) (string, error) {
	f := diskFiles().remembering()
	content, _, builtIn, err := src.open(f)
	if err != nil {
		return "", fmt.Errorf("configuration file: %w", err)
	}
	_, sum := snapshot(src, content, builtIn, f)
	return sum, nil
}

// snapshot lists the files of a configuration and sums their content. An
// unreadable file counts as one with a content of its own: whoever needs it
// reports it.
func snapshot(src Source, content []byte, builtIn bool, f files) ([]File, string) {
	var all []File
	total := sha256.New()
	type key struct {
		kind FileKind
		path string
	}
	seen := map[key]bool{}
	add := func(kind FileKind, path string, content []byte, err error) {
		if seen[key{kind, path}] {
			return
		}
		seen[key{kind, path}] = true
		file := File{Kind: kind, Path: path}
		if err == nil {
			sum := sha256.Sum256(content)
			file.Checksum = hex.EncodeToString(sum[:])
		}
		addToSum(total, string(kind), path, file.Checksum)
		all = append(all, file)
	}
	if builtIn {
		add(MainFile, "", content, nil)
		all = nil
	} else {
		add(MainFile, src.Path, content, nil)
	}
	var refs references
	// What cannot be read from a broken file refers to nothing.
	_ = yaml.Unmarshal(content, &refs)
	for _, list := range [...]struct {
		kind     FileKind
		patterns []string
	}{{ScrapeConfigFile, refs.ScrapeConfigFiles}, {RuleFile, refs.RuleFiles}} {
		for _, pattern := range list.patterns {
			names, err := f.glob(promcommon.JoinDir(filepath.Dir(src.Path), pattern))
			if err != nil {
				continue // A malformed pattern; loading reports it.
			}
			for _, name := range names {
				content, err := f.read(name)
				add(list.kind, name, content, err)
			}
		}
	}
	return all, hex.EncodeToString(total.Sum(nil))
}

// addToSum adds fields that cannot run into each other.
func addToSum(total hash.Hash, fields ...string) {
	for _, field := range fields {
		fmt.Fprintf(total, "%d:%s", len(field), field)
	}
}

// expandRuleFiles returns the files that match the patterns, each once. A
// pattern without a match is no error: files may come later.
func expandRuleFiles(patterns []string, main *document, f files) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	for _, pattern := range patterns {
		names, err := main.expand("rule_files", pattern, f)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	return all, nil
}
