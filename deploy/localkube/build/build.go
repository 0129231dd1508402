// Package build turns the pinned modules into the cluster's binaries, once.
// A finished set lies in one directory whose name is a hash of everything that
// decides its content; an interrupted build leaves nothing that looks finished.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// KubernetesVersion is the version that the binaries report. It must match the
// module in go.mod, which a test checks.
const KubernetesVersion = "v1.36.3"

// Components are the names by which the one multi-call binary is called.
var Components = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
	"kubelet", "kube-proxy", "kubectl", "metrics-server",
}

// Flags are the same that the product builds with, so that packages which both
// use are compiled once.
var Flags = []string{"-trimpath", "-buildvcs=false"}

// Source is a module to build from: go.mod, go.sum and the small mains.
type Source struct {
	Files fs.FS
}

// Key is a short hash of the source, the build flags and the Go release.
func (s Source) Key() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, Flags, stamp(), KwokFiles)
	err := fs.WalkDir(s.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(s.Files, name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read embedded source: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// Dir is where the set built from s lies, or would lie, below cache.
func (s Source) Dir(cache string) (string, error) {
	key, err := s.Key()
	return filepath.Join(cache, "localkube-"+key), err
}

// Present is true if the finished set exists.
func Present(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "kube"))
	return err == nil
}

// Run builds the set of s into dir. The caller holds a lock.
func Run(ctx context.Context, s Source, dir string, p *Progress) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("no go command on PATH; install Go, https://go.dev/dl")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make cache directory: %w", err)
	}
	if err := dropStale(dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+partial)
	if err != nil {
		return fmt.Errorf("make build directory: %w", err)
	}
	defer os.RemoveAll(work)
	if err := fill(ctx, s, work, p); err != nil {
		return err
	}
	return finish(filepath.Join(work, "out"), dir)
}

// partial marks directories of builds that did not end.
const partial = ".partial-"

func dropStale(dir string) error {
	old, err := filepath.Glob(dir + partial + "*")
	if err != nil {
		return fmt.Errorf("look for unfinished builds: %w", err)
	}
	for _, name := range old {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("remove unfinished build: %w", err)
		}
	}
	return nil
}

func fill(ctx context.Context, s Source, work string, p *Progress) error {
	src, out := filepath.Join(work, "src"), filepath.Join(work, "out")
	if err := os.CopyFS(src, s.Files); err != nil {
		return fmt.Errorf("unpack source: %w", err)
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return fmt.Errorf("make output directory: %w", err)
	}
	for _, t := range targets() {
		if err := t.compile(ctx, src, out, p); err != nil {
			return err
		}
	}
	for _, name := range Components {
		if err := os.Symlink("kube", filepath.Join(out, name)); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return copyKwokFiles(ctx, src, filepath.Join(out, "kwok.yaml"))
}

// finish makes the set readable for every user and gives it its name in one step.
func finish(out, dir string) error {
	if err := os.Chmod(out, 0o755); err != nil {
		return fmt.Errorf("open output directory: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear cache directory: %w", err)
	}
	if err := os.Rename(out, dir); err != nil {
		return fmt.Errorf("name finished build: %w", err)
	}
	return nil
}

func stamp() string {
	minor := strings.Split(KubernetesVersion, ".")[1]
	flags := []string{"-s", "-w"}
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, v := range []string{
			"gitVersion=" + KubernetesVersion, "gitMajor=1", "gitMinor=" + minor,
			"gitTreeState=clean", "gitCommit=unknown", "buildDate=1970-01-01T00:00:00Z",
		} {
			flags = append(flags, "-X "+p+"."+v)
		}
	}
	return strings.Join(flags, " ")
}
