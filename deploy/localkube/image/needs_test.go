package image

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// shell is a dynamic program that every Linux system has, or the end of the test.
func shell(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip("no shell to pack")
	}
	if o, err := parse(data, ""); err != nil || o.interpreter == "" {
		t.Skip("this system's shell is static")
	}
	return data
}

// TestDynamicProgramRuns packs a program with all that it needs and runs it where there is nothing else.
func TestDynamicProgramRuns(t *testing.T) {
	root, env := unpack(t, Spec{Ref: "localhost/trimtab/sh:dev", Name: "sh", Binary: shell(t)})
	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	c := exec.Command("/sh", "-c", "echo inside; echo /lib*/*")
	c.Env, c.Dir = env, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	out, err := c.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "inside\n") {
		t.Errorf("ran with %v: %s", err, out)
	}
	t.Logf("%s", out)
}

// TestOpenedLibraryBringsItsNeeds packs a program with a library that it does not name itself, and lets the
// loader inside load it.
func TestOpenedLibraryBringsItsNeeds(t *testing.T) {
	fetched, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".cache/trimtab/onnxruntime/*/libonnxruntime.so.1"))
	if named := os.Getenv("TRIMTAB_ORT_LIBRARY"); named != "" {
		fetched = []string{named}
	}
	if len(fetched) == 0 {
		t.Skip("no ONNX Runtime; make onnxruntime fetches it")
	}
	root, env := unpack(t, Spec{Ref: "localhost/trimtab/sh:dev", Name: "sh", Binary: shell(t), Libraries: fetched[:1]})
	for _, want := range []string{"libonnxruntime.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libc.so.6"} {
		if _, err := os.Stat(filepath.Join(root, "lib", want)); err != nil {
			t.Error(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	c := exec.Command("/sh", "-c", "echo inside")
	c.Env, c.Dir = append(env, "LD_PRELOAD=libonnxruntime.so.1", "LD_BIND_NOW=1"), "/"
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if out, err := c.CombinedOutput(); err != nil || string(out) != "inside\n" { // a library that does not load is reported here
		t.Errorf("ran with %v: %s", err, out)
	}
}

// unpack writes the image's layer below a folder and returns the environment of its config.
func unpack(t *testing.T, s Spec) (root string, env []string) {
	t.Helper()
	var out bytes.Buffer
	if err := Pack(&out, s); err != nil {
		t.Fatal(err)
	}
	files, _ := untar(t, out.Bytes())
	var manifest []struct {
		Config string
		Layers []string
	}
	var config struct{ Config struct{ Env []string } }
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(files[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	inside, modes := untar(t, files[manifest[0].Layers[0]])
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		place := filepath.Join(root, name)
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.Mkdir(place, 0o755) // fails where a folder's own folder is missing
		} else {
			err = os.WriteFile(place, inside[name], os.FileMode(modes[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root, config.Config.Env
}

func TestMissingLibrariesAreToldAtOnce(t *testing.T) {
	program := shell(t)
	o, err := parse(program, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = needs(program, []string{"/no/such.so", "/etc/hostname"}, []string{t.TempDir()})
	for _, want := range append(o.needed, "/no/such.so", "/etc/hostname") {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
}

// TestOtherMachinesLibrariesAreSkipped puts a library of another kind first in the path.
func TestOtherMachinesLibrariesAreSkipped(t *testing.T) {
	program := shell(t)
	o, err := parse(program, "")
	if err != nil || len(o.needed) == 0 {
		t.Skip("the shell needs no library")
	}
	dir := t.TempDir()
	other := []byte(static)
	other[18] = 0xf3 // RISC-V
	if err := os.WriteFile(filepath.Join(dir, o.needed[0]), other, 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := needs(program, nil, append([]string{dir}, hostDirs()...))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if bytes.Equal(f.Data, other) {
			t.Errorf("%s is made for another machine", f.Path)
		}
	}
}

func TestConfiguredFolders(t *testing.T) {
	root := fstest.MapFS{
		"etc/ld.so.conf":          {Data: []byte("# first\ninclude ld.so.conf.d/*.conf\n/opt/lib # mine\nrelative\n")},
		"etc/ld.so.conf.d/a.conf": {Data: []byte("/a\n\n/b\n")},
		"etc/ld.so.conf.d/b.conf": {Data: []byte("include /etc/ld.so.conf\n/c\n")}, // includes itself, in the end
		"etc/ld.so.conf.d/c.txt":  {Data: []byte("/d\n")},
	}
	got := configured(root, "etc/ld.so.conf", 7)
	if want := []string{"/a", "/b", "/c", "/opt/lib"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := configured(root, "etc/none", 0); got != nil {
		t.Errorf("no file gave %v", got)
	}
}
