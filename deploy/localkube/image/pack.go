// Package image packs one program into an image archive that containerd
// imports: a static one alone, a dynamic one with this machine's loader and the
// libraries that it needs. It talks to no registry and the same input gives the
// same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"time"
)

// User is the numeric owner that a packed program runs as: numbers, so that
// the kubelet can judge runAsNonRoot without a passwd file.
const User = "65532:65532"

// Spec says what to pack.
type Spec struct {
	Ref        string   // full reference, such as localhost/trimtab/modelserver:dev
	Name       string   // file name of the program inside the image
	Binary     []byte   // an executable
	Libraries  []string // files of shared libraries that the program opens when it runs; they lie in /lib
	Entrypoint []string // default: the program itself
}

// Pack writes the docker-archive of s to w.
func Pack(w io.Writer, s Spec) error {
	if s.Ref == "" || s.Name == "" || len(s.Binary) == 0 {
		return fmt.Errorf("pack image %q: a reference, a name and a binary are needed; write NAME=BINARY", s.Ref)
	}
	needed, err := needs(s.Binary, s.Libraries, hostDirs())
	if err != nil {
		return fmt.Errorf("pack image %s: %w; a program built with GOOS=linux CGO_ENABLED=0 needs nothing", s.Ref, err)
	}
	layer, err := layerOf(s, needed)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", s.Ref, err)
	}
	diff := digest(layer)
	config, err := configOf(s, diff, len(needed) > 0)
	if err != nil {
		return fmt.Errorf("describe image %s: %w", s.Ref, err)
	}
	return writeArchive(w, s.Ref, diff, config, layer)
}

func layerOf(s Spec, needed []File) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(s.Binary) + 1<<16)
	t := tar.NewWriter(&out)
	for _, dir := range append([]string{"dev/", "etc/", "proc/", "sys/"}, folders(needed)...) {
		if err := t.WriteHeader(header(dir, 0o755, 0)); err != nil {
			return nil, err
		}
	}
	if err := t.WriteHeader(header("tmp/", 0o1777, 0)); err != nil {
		return nil, err
	}
	if err := writeFile(t, path.Base(s.Name), 0o755, s.Binary); err != nil {
		return nil, err
	}
	for _, f := range needed {
		if err := writeFile(t, f.Path, 0o755, f.Data); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return out.Bytes(), err
}

// folders are those of the files, each after the one that it is in.
func folders(files []File) []string {
	var all []string
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			all = append(all, dir+"/")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func configOf(s Spec, diff string, dynamic bool) ([]byte, error) {
	env := []string{"PATH=/", "HOME=/tmp"}
	if dynamic {
		env = append(env, "LD_LIBRARY_PATH=/"+libraries)
	}
	entry := s.Entrypoint
	if len(entry) == 0 {
		entry = []string{"/" + path.Base(s.Name)}
	}
	return json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": entry,
			"Env":        env,
			"User":       User,
			"WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + diff}},
	})
}

func writeArchive(w io.Writer, ref, diff string, config, layer []byte) error {
	configName, layerName := digest(config)+".json", diff+"/layer.tar"
	manifest, err := json.Marshal([]map[string]any{{
		"Config": configName, "RepoTags": []string{ref}, "Layers": []string{layerName},
	}})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{{configName, config}, {layerName, layer}, {"manifest.json", manifest}} {
		if err := writeFile(t, f.name, 0o644, f.data); err != nil {
			return fmt.Errorf("write %s of image %s: %w", f.name, ref, err)
		}
	}
	return t.Close()
}

func writeFile(t *tar.Writer, name string, mode int64, data []byte) error {
	if err := t.WriteHeader(header(name, mode, int64(len(data)))); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

// header has a fixed time and no owner: anything else would change the digest.
func header(name string, mode, size int64) *tar.Header {
	kind := byte(tar.TypeReg)
	if name[len(name)-1] == '/' {
		kind = tar.TypeDir
	}
	return &tar.Header{Name: name, Mode: mode, Size: size, Typeflag: kind, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
