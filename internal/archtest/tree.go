package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// modulePath is the path of the module that the tests look at.
const modulePath = "github.com/gnomonhq/gnomon"

// sourceFile is one Go file of the module.
type sourceFile struct {
	path   string // relative to the root, with slashes
	folder string // the folder of path, "." for the root
	test   bool
	lines  int
	fset   *token.FileSet
	ast    *ast.File
}

// imports returns the paths that the file imports.
func (f *sourceFile) imports() []string {
	out := make([]string, 0, len(f.ast.Imports))
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// generated reports whether the file says that a program wrote it.
func (f *sourceFile) generated() bool { return ast.IsGenerated(f.ast) }

// readTree parses every Go file under root, but for other modules, testdata and
// folders that start with a dot.
func readTree(root string) ([]*sourceFile, error) {
	var files []*sourceFile
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(name, root), string(filepath.Separator)))
		if entry.IsDir() {
			return visitDir(name, rel, entry)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, &sourceFile{
			path: rel, folder: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"),
			lines: strings.Count(string(text), "\n"), fset: fset, ast: parsed,
		})
		return nil
	})
	return files, err
}

// visitDir says whether a folder belongs to the module.
func visitDir(name, rel string, entry fs.DirEntry) error {
	if rel == "" {
		return nil
	}
	if strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}
