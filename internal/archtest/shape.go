package archtest

import (
	"fmt"
	"go/ast"
	"strings"
)

// Limits of length. The long tail is what makes a tree hard to read, not the
// median.
const (
	maxFileLines     = 800
	maxFunctionLines = 70
)

// docFaults returns a line for each package without a package comment and each
// exported name without a comment.
func docFaults(files []*sourceFile) []string {
	var faults []string
	documented := map[string]bool{}
	for _, f := range files {
		if !f.test {
			documented[f.folder] = documented[f.folder] || f.ast.Doc != nil
		}
	}
	for folder, ok := range documented {
		if !ok {
			faults = append(faults, folder+": no package comment")
		}
	}
	for _, f := range files {
		if f.test || f.ast.Name.Name == "main" {
			continue
		}
		for _, d := range f.ast.Decls {
			if name := undocumented(d); name != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: %s is exported and has no comment", f.path, f.fset.Position(d.Pos()).Line, name))
			}
		}
	}
	return faults
}

// undocumented returns the first exported name of a declaration that has no
// comment. Methods of unexported types are not part of a package's surface.
func undocumented(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d.Recv))) {
			return d.Name.Name
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					return s.Name.Name
				}
			case *ast.ValueSpec:
				if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					return s.Names[0].Name
				}
			}
		}
	}
	return ""
}

func receiver(fields *ast.FieldList) string {
	t := fields.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// lengthFaults returns a line for each file and each function outside of tests
// that is too long. Generated files may be as long as they like.
func lengthFaults(files []*sourceFile) []string {
	var faults []string
	for _, f := range files {
		if f.generated() {
			continue
		}
		if f.lines > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines, at most %d: split it by concept", f.path, f.lines, maxFileLines))
		}
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			from, to := f.fset.Position(fn.Pos()).Line, f.fset.Position(fn.End()).Line
			if n := to - from + 1; n > maxFunctionLines {
				faults = append(faults, fmt.Sprintf("%s:%d: %s has %d lines, at most %d", f.path, from, fn.Name.Name, n, maxFunctionLines))
			}
		}
	}
	return faults
}

// nameFaults returns a line for each package whose name says nothing.
func nameFaults(files []*sourceFile) []string {
	var faults []string
	for _, f := range files {
		switch name := strings.TrimSuffix(f.ast.Name.Name, "_test"); name {
		case "util", "utils", "common", "helper", "helpers", "misc", "shared":
			faults = append(faults, fmt.Sprintf("%s: package %s: name it after what is in it", f.path, name))
		}
	}
	return faults
}
