package optimizer_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestAloneStartsNothing: what deploy/check.sh tests without the race detector has one goroutine. Neither these packages
// and their tests nor what of ours they are built from starts another, so that no two can meet at a variable.
func TestAloneStartsNothing(t *testing.T) {
	direct := map[string][]string{}
	for file, imports := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		direct[dir] = append(direct[dir], imports...)
	}
	files := map[string]bool{}
	for _, dir := range checked(t, "alone") {
		for _, file := range goFiles(t, dir) {
			files[file] = true
			if strings.HasSuffix(file, "_test.go") {
				direct[dir] = append(direct[dir], imports(t, file)...)
			}
		}
		for _, path := range reachable(direct, dir) {
			for _, file := range goFiles(t, strings.TrimPrefix(path, self)) {
				if strings.HasPrefix(path, self) && !strings.HasSuffix(file, "_test.go") {
					files[file] = true
				}
			}
		}
	}
	for file := range files {
		startsNothing(t, file)
	}
}

// startsNothing: no go statement, no test beside another, and nothing of the standard library that calls back from a
// goroutine of its own.
func startsNothing(t *testing.T, file string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"net/http", "net/http/httptest", "os/exec", "testing/synctest"} {
		if slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == strconv.Quote(path) }) {
			t.Errorf("%s is tested without the race detector and imports %s", file, path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s is tested without the race detector and has a go statement", file)
		case *ast.SelectorExpr:
			if slices.Contains([]string{"AfterFunc", "Go", "Parallel", "RunParallel"}, n.Sel.Name) {
				t.Errorf("%s is tested without the race detector and uses %s", file, n.Sel.Name)
			}
		}
		return true
	})
}

// goFiles are those of a package of ours; none for a package of others.
func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestLongTestsAreRun: a test that -short leaves out under the race detector is run without it.
func TestLongTestsAreRun(t *testing.T) {
	whole := append(checked(t, "alone"), checked(t, "long")...)
	for dir := range layers {
		for _, file := range goFiles(t, dir) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") && strings.Contains(string(text), "testing."+"Short()") && !slices.Contains(whole, dir) {
				t.Errorf("%s leaves out under -short what deploy/check.sh runs nowhere else", file)
			}
		}
	}
}

// checked are the packages that a variable of deploy/check.sh lists.
func checked(t *testing.T, variable string) []string {
	t.Helper()
	text, err := os.ReadFile("../deploy/check.sh")
	list := regexp.MustCompile(variable + `=\(([^)]+)\)`).FindSubmatch(text)
	if err != nil || list == nil {
		t.Fatalf("deploy/check.sh lists no %s: %v", variable, err)
	}
	var out []string
	for _, dir := range strings.Fields(string(list[1])) {
		dir = strings.TrimPrefix(dir, "./")
		if _, ok := layers[dir]; !ok {
			t.Errorf("deploy/check.sh lists %s, which is no package", dir)
		}
		out = append(out, dir)
	}
	return out
}
