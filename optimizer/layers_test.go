package optimizer_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const self = "trimtab.dev/trimtab/"

// layers is the architecture: what each package may import beside the standard library. A name
// without a dot is one of ours, and "x/..." is x and everything below it. Packages that have no row
// fail the test, so a new one must be placed first.
var layers = map[string]string{
	// wiring
	"cmd/simulate":               "cmd/simulate/show optimizer/simulator",
	"cmd/simulate/show":          "optimizer/simulator optimizer/cost reports",
	"cmd/trimtab":                "cmd/simulate/show optimizer optimizer/... policies policies/... recommender recommender/... reports reports/... k8s.io/... github.com/prometheus/... github.com/robfig/cron/v3 gopkg.in/yaml.v3",
	"cmd/modelserver":            "serving serving/... github.com/prometheus/client_golang/...",
	"deploy/golden":              "",
	"deploy/sizes":               "",
	"deploy/bench":               "optimizer/fleet optimizer/cost recommender recommender/... serving/batch serving/curve serving/runtime/kernel",
	"deploy/onnxruntime/compare": "serving/runtime serving/runtime/...",
	// adapters
	"optimizer/kube":           "optimizer optimizer/fleet optimizer/ledger policies k8s.io/...",
	"optimizer/kube/managed":   "optimizer optimizer/fleet optimizer/cost policies policies/admission recommender/capacity k8s.io/... github.com/prometheus/common/...",
	"optimizer/usage":          "optimizer optimizer/fleet k8s.io/... github.com/prometheus/...",
	"optimizer/ledger":         "optimizer optimizer/cost optimizer/fleet policies",
	"optimizer/simulator":      "optimizer optimizer/fleet optimizer/cost optimizer/ledger policies policies/admission recommender gopkg.in/yaml.v3",
	"serving":                  "serving/protocol serving/router serving/engine serving/batch serving/curve serving/runtime serving/cgroup github.com/prometheus/... google.golang.org/...",
	"serving/router":           "serving/engine serving/batch serving/curve serving/runtime",
	"serving/engine":           "serving/batch serving/curve serving/runtime",
	"serving/cgroup":           "",
	"serving/protocol":         "serving/runtime google.golang.org/protobuf/...",
	"serving/runtime":          "",
	"serving/runtime/builtin":  "serving/runtime serving/runtime/kernel serving/runtime/onnx",
	"serving/runtime/examples": "serving/runtime serving/runtime/builtin serving/runtime/kernel serving/runtime/onnx",
	"serving/runtime/kernel":   "golang.org/x/sys/cpu",
	"serving/runtime/onnx":     "serving/runtime google.golang.org/protobuf/...",
	"serving/runtime/ort":      "serving/runtime serving/runtime/onnx github.com/ebitengine/purego",
	"serving/runtime/sim":      "serving/runtime",
	"reports/mail":             "github.com/wneessen/go-mail",
	// the line: below it no client-go, no network, no clock, no log
	"reports":              "optimizer optimizer/cost optimizer/fleet policies policies/admission recommender",
	"optimizer":            "optimizer/fleet optimizer/cost recommender recommender/sharing recommender/sizing policies policies/admission",
	"recommender":          "optimizer/fleet optimizer/cost recommender/scaling recommender/sharing recommender/sizing",
	"recommender/replay":   "recommender/sizing",
	"recommender/scaling":  "",
	"recommender/sharing":  "",
	"recommender/sizing":   "",
	"recommender/capacity": "optimizer/fleet optimizer/cost serving/batch serving/curve",
	"policies":             "optimizer/fleet policies/admission gopkg.in/yaml.v3 k8s.io/apimachinery/pkg/api/resource",
	"policies/admission":   "optimizer/fleet k8s.io/apimachinery/pkg/api/resource",
	"optimizer/cost":       "optimizer/fleet",
	"optimizer/fleet":      "",
	"serving/batch":        "serving/curve",
	"serving/curve":        "",
}

// pure are the packages below the line; impure is what of the standard library they may not import.
var (
	pure   = []string{"reports", "optimizer", "recommender", "recommender/capacity", "recommender/replay", "recommender/scaling", "recommender/sharing", "recommender/sizing", "policies", "policies/admission", "optimizer/cost", "optimizer/fleet", "serving/batch", "serving/curve"}
	impure = []string{"log", "log/slog", "net", "net/http", "os", "os/exec", "math/rand", "math/rand/v2", "crypto/rand", "syscall"}
)

// TestLayers reads the files itself: the answer of a child process such as go list would be taken
// from the test cache after a forbidden import was added.
func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for file, imports := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		seen[dir] = true
		row, ok := layers[dir]
		if !ok {
			t.Errorf("%s: package %s has no row in the layer table", file, dir)
			continue
		}
		for _, path := range imports {
			if !allowed(path, strings.Fields(row)) {
				t.Errorf("%s imports %s, which its layer does not allow", file, path)
			}
			if slices.Contains(pure, dir) && slices.Contains(impure, path) {
				t.Errorf("%s is below the line and imports %s", file, path)
			}
		}
	}
	for dir := range layers {
		if !seen[dir] {
			t.Errorf("the layer table has a row for %s, which has no Go files", dir)
		}
	}
}

// TestCoreNeedsNoCluster follows the imports from the core: nothing that it is built from, however
// far down, is client-go, Prometheus or an HTTP stack of ours.
func TestCoreNeedsNoCluster(t *testing.T) {
	direct := map[string][]string{}
	for file, imports := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		direct[dir] = append(direct[dir], imports...)
	}
	for _, root := range append(slices.Clone(pure), "optimizer/simulator", "cmd/simulate", "cmd/simulate/show") {
		for _, path := range reachable(direct, root) {
			if strings.HasPrefix(path, "k8s.io/") && path != "k8s.io/apimachinery/pkg/api/resource" || strings.HasPrefix(path, "github.com/") {
				t.Errorf("%s reaches %s", root, path)
			}
		}
	}
}

func reachable(direct map[string][]string, root string) []string {
	var out []string
	done := map[string]bool{}
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		for _, path := range direct[queue[0]] {
			if !done[path] {
				done[path] = true
				out = append(out, path)
				queue = append(queue, strings.TrimPrefix(path, self))
			}
		}
	}
	return out
}

func allowed(path string, patterns []string) bool {
	ours := strings.HasPrefix(path, self)
	if first, _, _ := strings.Cut(path, "/"); !ours && !strings.Contains(first, ".") {
		return true // standard library
	}
	path = strings.TrimPrefix(path, self)
	return slices.ContainsFunc(patterns, func(p string) bool {
		base, below := strings.CutSuffix(p, "/...")
		return path == p || below && (path == base || strings.HasPrefix(path, base+"/"))
	})
}

// sources maps every non-test Go file of this module to its imports.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(path, d.Name())
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			rel, _ := filepath.Rel("..", path)
			out[rel] = imports(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func skip(path, name string) error {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	nested := err == nil && path != ".."
	if nested || name == "testdata" || strings.HasPrefix(name, ".") && path != ".." {
		return filepath.SkipDir
	}
	return nil
}

func imports(t *testing.T, path string) []string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		out = append(out, p)
	}
	return out
}
