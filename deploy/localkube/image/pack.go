// Package image packs one static binary into an image archive that containerd
// imports. It talks to no registry and the same input gives the same bytes.
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
	"time"
)

// User is the numeric owner that a packed program runs as: numbers, so that
// the kubelet can judge runAsNonRoot without a passwd file.
const User = "65532:65532"

// Spec says what to pack.
type Spec struct {
	Ref        string   // full reference, such as localhost/trimtab/modelserver:dev
	Name       string   // file name of the program inside the image
	Binary     []byte   // a static executable
	Entrypoint []string // default: the program itself
}

// Pack writes the docker-archive of s to w.
func Pack(w io.Writer, s Spec) error {
	if s.Ref == "" || s.Name == "" || len(s.Binary) == 0 {
		return fmt.Errorf("pack image %q: a reference, a name and a binary are needed; write NAME=BINARY", s.Ref)
	}
	layer, err := layerOf(s)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", s.Ref, err)
	}
	diff := digest(layer)
	config, err := configOf(s, diff)
	if err != nil {
		return fmt.Errorf("describe image %s: %w", s.Ref, err)
	}
	return writeArchive(w, s.Ref, diff, config, layer)
}

func layerOf(s Spec) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(s.Binary) + 1<<16)
	t := tar.NewWriter(&out)
	for _, dir := range []string{"dev/", "etc/", "proc/", "sys/"} {
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
	err := t.Close()
	return out.Bytes(), err
}

func configOf(s Spec, diff string) ([]byte, error) {
	entry := s.Entrypoint
	if len(entry) == 0 {
		entry = []string{"/" + path.Base(s.Name)}
	}
	return json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": entry,
			"Env":        []string{"PATH=/", "HOME=/tmp"},
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
