package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// static is the header of a 64-bit little-endian executable that names no loader, and nothing else.
const static = "\x7fELF\x02\x01\x01" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x3e\x00\x01\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00"

var sample = Spec{Ref: "localhost/trimtab/server:dev", Name: "server", Binary: []byte(static)}

func TestPackIsReproducible(t *testing.T) {
	for name, s := range map[string]Spec{"static": sample, "dynamic": {Ref: "a/b:c", Name: "sh", Binary: shell(t)}} {
		var a, b bytes.Buffer
		if err := Pack(&a, s); err != nil {
			t.Fatal(err)
		}
		if err := Pack(&b, s); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: the same input gave two archives", name)
		}
	}
}

func TestPackContent(t *testing.T) {
	s := sample
	s.Entrypoint = []string{"/server", "serve"}
	var out bytes.Buffer
	if err := Pack(&out, s); err != nil {
		t.Fatal(err)
	}
	files, _ := untar(t, out.Bytes())
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest %s: %v", files["manifest.json"], err)
	}
	if manifest[0].RepoTags[0] != s.Ref {
		t.Errorf("the tag is %q", manifest[0].RepoTags[0])
	}
	config := string(files[manifest[0].Config])
	layer := files[manifest[0].Layers[0]]
	for _, want := range []string{`"User":"65532:65532"`, `"Entrypoint":["/server","serve"]`, "sha256:" + digest(layer)} {
		if !strings.Contains(config, want) {
			t.Errorf("the config lacks %s: %s", want, config)
		}
	}
	inside, modes := untar(t, layer)
	if !bytes.Equal(inside["server"], s.Binary) || modes["server"] != 0o755 || modes["tmp/"] != 0o1777 || len(modes) != 6 {
		t.Errorf("the layer holds %v", modes)
	}
	if strings.Contains(config, "LD_LIBRARY_PATH") {
		t.Error("a static program has a path for libraries")
	}
}

func TestPackRefuses(t *testing.T) {
	for _, s := range []Spec{{}, {Ref: "a/b:c", Name: "b"}, {Name: "b", Binary: []byte(static)}, {Ref: "a/b:c", Name: "b", Binary: []byte("#!/bin/sh\n")},
		{Ref: "a/b:c", Name: "b", Binary: []byte(static), Libraries: []string{"/lib/libc.so.6"}}} {
		if err := Pack(io.Discard, s); err == nil {
			t.Errorf("%+v was packed", s)
		}
	}
}

func TestFullRef(t *testing.T) {
	for in, want := range map[string]string{
		"server":                       "localhost/trimtab/server:dev",
		"server:v1":                    "localhost/trimtab/server:v1",
		"localhost:5000/x":             "localhost:5000/x:dev",
		"localhost/trimtab/server:dev": "localhost/trimtab/server:dev",
	} {
		if got := FullRef(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func untar(t *testing.T, archive []byte) (map[string][]byte, map[string]int64) {
	t.Helper()
	files, modes := map[string][]byte{}, map[string]int64{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
	}
}
