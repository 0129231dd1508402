package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File is one file of an image.
type File struct {
	Path string // inside the image, without a leading slash
	Data []byte
}

// libraries is where all libraries lie inside an image. The program's environment names it: which folders a
// loader searches by itself differs between systems, and an image has no ld.so.cache.
const libraries = "lib"

// object is what a loader looks at in a program or library.
type object struct {
	class       elf.Class
	machine     elf.Machine
	interpreter string
	needed      []string
	paths       []string // where it says its libraries are, before all other folders
}

// needs finds, in dirs, what a program needs to start: its loader and its libraries, theirs too, and the
// libraries that it opens when it runs (files), with theirs. A static program without files needs nothing.
// All that is missing is told at once.
func needs(program []byte, files, dirs []string) ([]File, error) {
	o, err := parse(program, "")
	if err != nil {
		return nil, err
	}
	c := collector{like: o, dirs: dirs, have: map[string][]byte{}}
	if o.interpreter == "" {
		if len(files) > 0 {
			return nil, errors.New("a static program cannot open shared libraries")
		}
		return nil, nil
	}
	c.loader(o.interpreter)
	c.follow(o, "the program")
	for _, file := range files {
		c.add(file)
	}
	return c.files(), errors.Join(c.faults...)
}

func parse(data []byte, dir string) (object, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return object{}, fmt.Errorf("not a Linux program or library: %w", err)
	}
	defer f.Close()
	o := object{class: f.Class, machine: f.Machine}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, min(p.Filesz, 4096))
			if _, err := p.ReadAt(name, 0); err != nil {
				return o, fmt.Errorf("read the loader's name: %w", err)
			}
			o.interpreter, _, _ = strings.Cut(string(name), "\x00")
		}
	}
	if f.SectionByType(elf.SHT_DYNAMIC) == nil && o.interpreter == "" {
		return o, nil
	}
	if o.needed, err = f.ImportedLibraries(); err != nil {
		return o, fmt.Errorf("read the libraries that it needs: %w", err)
	}
	o.paths = searched(f, dir)
	return o, nil
}

// searched is the object's own path. RUNPATH takes the place of RPATH where both are.
func searched(f *elf.File, dir string) (paths []string) {
	texts, err := f.DynString(elf.DT_RUNPATH)
	if err != nil || len(texts) == 0 {
		texts, _ = f.DynString(elf.DT_RPATH)
	}
	for _, p := range filepath.SplitList(strings.Join(texts, ":")) {
		for _, origin := range []string{"$ORIGIN", "${ORIGIN}"} {
			p = strings.ReplaceAll(p, origin, dir)
		}
		if filepath.IsAbs(p) {
			paths = append(paths, filepath.Clean(p))
		}
	}
	return paths
}

// collector gathers files, each once.
type collector struct {
	like   object // what every library has to be made for
	dirs   []string
	have   map[string][]byte // path inside the image to content
	faults []error
}

func (c *collector) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

// loader goes where the program names it.
func (c *collector) loader(name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		c.fault("the program's loader: %w", err)
		return
	}
	c.have[strings.TrimPrefix(path.Clean(name), "/")] = data
	c.have[path.Join(libraries, path.Base(name))] = nil // libraries that need it have it
}

func (c *collector) follow(o object, who string) {
	for _, name := range o.needed {
		if _, ok := c.have[path.Join(libraries, path.Base(name))]; ok {
			continue
		}
		if file, ok := c.find(name, o.paths); ok {
			c.addAs(name, file)
			continue
		}
		c.fault("%s needs %s, which is in none of %s", who, name, strings.Join(append(slices.Clone(o.paths), c.dirs...), ", "))
	}
}

// find takes the first file that is made for the program's kind of machine: a folder may hold others.
func (c *collector) find(name string, own []string) (string, bool) {
	if strings.Contains(name, "/") {
		return name, true
	}
	for _, dir := range append(slices.Clone(own), c.dirs...) {
		file := filepath.Join(dir, name)
		f, err := elf.Open(file)
		if err != nil {
			continue
		}
		fits := f.Class == c.like.class && f.Machine == c.like.machine
		f.Close()
		if fits {
			return file, true
		}
	}
	return "", false
}

// add takes a library by the name that others know it by, which its file may not have.
func (c *collector) add(file string) {
	name := filepath.Base(file)
	if f, err := elf.Open(file); err == nil {
		if sonames, err := f.DynString(elf.DT_SONAME); err == nil && len(sonames) > 0 {
			name = sonames[0]
		}
		f.Close()
	}
	c.addAs(name, file)
}

func (c *collector) addAs(name, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		c.fault("read library: %w", err)
		return
	}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		real = file
	}
	o, err := parse(data, filepath.Dir(real))
	if err != nil {
		c.fault("library %s: %w", file, err)
		return
	}
	c.have[path.Join(libraries, path.Base(name))] = data
	c.follow(o, file)
}

func (c *collector) files() []File {
	var out []File
	for name, data := range c.have {
		if data != nil {
			out = append(out, File{name, data})
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// hostDirs are the folders in which this machine's loader searches: those of its configuration, then the
// ones that loaders have built in.
func hostDirs() []string {
	dirs := configured(os.DirFS("/"), "etc/ld.so.conf", 0)
	for _, pattern := range []string{"/lib/*-linux-*", "/usr/lib/*-linux-*"} {
		found, _ := filepath.Glob(pattern) // the pattern is good
		dirs = append(dirs, found...)
	}
	return append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
}

// configured reads a file of folders, one a line, and those that it includes. What cannot be read has none.
func configured(root fs.FS, name string, depth int) (dirs []string) {
	data, err := fs.ReadFile(root, name)
	if err != nil || depth > 8 {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "include":
			pattern := words[1]
			if !path.IsAbs(pattern) {
				pattern = path.Join(path.Dir(name), pattern)
			}
			files, _ := fs.Glob(root, strings.TrimPrefix(pattern, "/")) // a bad pattern includes nothing
			for _, file := range files {
				dirs = append(dirs, configured(root, file, depth+1)...)
			}
		case len(words) == 1 && path.IsAbs(words[0]):
			dirs = append(dirs, words[0])
		}
	}
	return dirs
}
