// Command sizes prints how long functions and files are and how many exported names are documented,
// beside the project's aims. It reports and refuses nothing.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// figures are what was counted over the non-test files.
type figures struct {
	files, functions     []int // lines of each
	longest              string
	longestLines         int
	exported, documented int
}

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	f, err := measure(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
	fmt.Printf("functions %d, median %d lines (aim 9), p95 %d (aim 40), longest %d: %s\n",
		len(f.functions), at(f.functions, 0.5), at(f.functions, 0.95), f.longestLines, f.longest)
	fmt.Printf("files %d, median %d lines (aim 130), p95 %d (aim 350)\n", len(f.files), at(f.files, 0.5), at(f.files, 0.95))
	fmt.Printf("exported names documented: %d of %d (aim all)\n", f.documented, f.exported)
}

func measure(root string) (*figures, error) {
	f := &figures{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			return f.add(path)
		}
		return nil
	})
	slices.Sort(f.files)
	slices.Sort(f.functions)
	return f, err
}

func (f *figures) add(path string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	f.files = append(f.files, set.Position(file.End()).Line)
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			f.function(set, path, d)
		case *ast.GenDecl:
			f.declaration(d)
		}
	}
	return nil
}

func (f *figures) function(set *token.FileSet, path string, d *ast.FuncDecl) {
	lines := set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1
	f.functions = append(f.functions, lines)
	if lines > f.longestLines {
		f.longestLines, f.longest = lines, path+" "+d.Name.Name
	}
	f.name(d.Name, d.Doc != nil)
}

// declaration counts types, constants and variables; a comment on a group covers its members.
func (f *figures) declaration(d *ast.GenDecl) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			f.name(s.Name, d.Doc != nil || s.Doc != nil)
		case *ast.ValueSpec:
			for _, n := range s.Names {
				f.name(n, d.Doc != nil || s.Doc != nil || s.Comment != nil)
			}
		}
	}
}

func (f *figures) name(n *ast.Ident, documented bool) {
	if !n.IsExported() {
		return
	}
	f.exported++
	if documented {
		f.documented++
	}
}

// at is the value below which a share q of the sorted lines lies.
func at(sorted []int, q float64) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}
