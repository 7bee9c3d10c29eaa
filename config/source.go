package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFileBytes bounds one configuration file. The largest generated
// configurations in the field are a few megabytes; a path such as /dev/zero
// must end in an error and not in memory.
const maxFileBytes = 64 << 20

// Source says where the configuration comes from.
type Source struct {
	// Path is the main file. Relative paths inside it resolve against its
	// folder.
	Path string
	// Fallback is the text that stands in while no file exists at Path, such
	// as what [Default] returns. Nil makes a missing file an error. A file
	// that exists and cannot be read is always an error.
	Fallback []byte
}

// open returns the main text, the name to use for it in errors, and whether it
// is the fallback.
func (s Source) open(f files) (content []byte, name string, builtIn bool, err error) {
	content, err = f.read(s.Path)
	if err == nil {
		return content, s.Path, false, nil
	}
	if s.Fallback != nil && errors.Is(err, fs.ErrNotExist) {
		return s.Fallback, builtInName, true, nil
	}
	return nil, s.Path, false, err
}

// builtInName stands for the file name in errors about a fallback text.
const builtInName = "built-in configuration"

// files is how this package sees the file system; tests replace it.
type files struct {
	read func(path string) ([]byte, error)
	glob func(pattern string) ([]string, error)
}

// diskFiles reads from the operating system.
func diskFiles() files {
	read := func(path string) ([]byte, error) { return readBounded(path, maxFileBytes) }
	return files{read: read, glob: filepath.Glob}
}

// remembering returns f with every file read at most once, so that one load
// validates, lists and sums the same bytes even while someone writes to them.
func (f files) remembering() files {
	type result struct {
		content []byte
		err     error
	}
	seen := map[string]result{}
	return files{
		glob: f.glob,
		read: func(path string) ([]byte, error) {
			r, ok := seen[path]
			if !ok {
				r.content, r.err = f.read(path)
				seen[path] = r
			}
			return r.content, r.err
		},
	}
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("read %s: larger than the limit of %d bytes", path, limit)
	}
	return content, nil
}
