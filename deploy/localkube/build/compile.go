package build

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

type target struct {
	name    string // output file
	title   string // what people read
	pkg     string
	ldflags string
}

func targets() []target {
	return []target{
		{"pause", "pause", "./pause", "-s -w"},
		{"kube", "kubernetes", "./kube", stamp()},
		{"kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "-s -w"},
	}
}

// compile asks first how many packages are not in Go's cache, then builds and
// counts the names that go build -v prints.
func (t target) compile(ctx context.Context, src, out string, p *Progress) error {
	p.Begin(t.title)
	defer p.Stop()
	stale, err := goLines(ctx, src, append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, append(Flags, t.pkg)...)...)
	if err != nil {
		return fmt.Errorf("count packages of %s: %w; is the module proxy reachable?", t.title, err)
	}
	p.Total(len(stale))
	args := append([]string{"build", "-v", "-o", filepath.Join(out, t.name), "-ldflags", t.ldflags}, append(Flags, t.pkg)...)
	cmd := goCommand(ctx, src, args...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", t.title, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", t.title, err)
	}
	notes := count(pipe, p)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", t.title, err, notes)
	}
	p.End()
	return nil
}

// count steps p for each package name and keeps the last other lines.
func count(r io.Reader, p *Progress) string {
	var notes []string
	for s := bufio.NewScanner(r); s.Scan(); {
		line := s.Text()
		if isPackage(line) {
			p.Step()
			continue
		}
		if notes = append(notes, line); len(notes) > 20 {
			notes = notes[1:]
		}
	}
	return strings.Join(notes, "\n")
}

// isPackage is true for an import path: one word, no colon, no leading mark.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:#")
}

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	return cmd
}

func goLines(ctx context.Context, dir string, args ...string) ([]string, error) {
	cmd := goCommand(ctx, dir, args...)
	var fault bytes.Buffer
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, lastLines(fault.String(), 5))
	}
	return strings.Fields(string(out)), nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
