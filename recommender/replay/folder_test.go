package replay

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func gzipped(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func plain(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// TestFolder: what a folder gives is its series by ID and unit, in the order of the index or of the names.
func TestFolder(t *testing.T) {
	const use = "t,cpu_mcores,mem_mib\n1,500,1\n2,250,1\n"
	index := "id,kind,path,cls,mem_valid\nz,cpu_mem,use/./b.csv,calm,1\ny,cpu_pct,a.csv.gz,wild,\nx,catalog,absent.csv,,\n"
	for _, tt := range []struct {
		about string
		files fstest.MapFS
		want  []string
	}{
		{"an index", fstest.MapFS{"index.csv": plain(index), "use/b.csv": plain(use), "a.csv.gz": gzipped(t, "t,value\n1,50\n")}, []string{"z calm cores 0.5", "z calm bytes 1048576.0", "y wild cores 0.5"}},
		{"an index that is packed", fstest.MapFS{"index.csv": gzipped(t, index), "use/b.csv": plain(use), "a.csv.gz": plain("t,value\n1,50\n")}, []string{"z calm cores 0.5", "z calm bytes 1048576.0", "y wild cores 0.5"}},
		{"no index", fstest.MapFS{"b.csv": gzipped(t, use), "a.csv.gz": plain("t,w_pct\n1,50\n"), "notes.txt": plain("x"), "use/c.csv": plain(use)}, []string{"a/w  cores 0.5", "b  cores 0.5", "b  bytes 1048576.0"}},
	} {
		all, err := Folder{tt.files, "dir"}.All()
		var got []string
		for _, s := range all {
			got = append(got, fmt.Sprintf("%s %s %s %.1f", s.ID, s.Class, s.Unit, s.Used[0]))
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", tt.about, got, err, tt.want)
		}
	}
}

// TestFolderFaults: all of them at once, each with the file's name, and no series beside them.
func TestFolderFaults(t *testing.T) {
	const head = "id,kind,path,cls\n"
	broken := gzipped(t, "t,a\n1,2\n")
	broken.Data = broken.Data[:5]
	for _, tt := range []struct {
		about string
		files fstest.MapFS
		want  []string
	}{
		{"nothing", fstest.MapFS{"notes.txt": plain("x")}, []string{"dir: holds neither an index.csv nor"}},
		{"an index of nothing", fstest.MapFS{"index.csv": plain(head + "x,catalog,absent.csv,\n")}, []string{"dir/index.csv: lists no series"}},
		{"a bad index", fstest.MapFS{"index.csv": plain("id,kind\n")}, []string{"dir/index.csv:1: has no column path"}},
		{"files", fstest.MapFS{
			"index.csv": plain(head + "a,cpu_mem,a.csv,\nb,cpu_mem,use/b.csv,\nc,cpu_mem,c.csv,\nd,cpu_mem,d.csv,\n"),
			"use/b.csv": plain("t,a\n1,x\n"), "c.csv": broken, "d.csv": plain("t,a\n1,2\n"),
		}, []string{"dir/a.csv: cannot be read: file does not exist", `dir/use/b.csv:2: a is "x"`, "dir/c.csv: cannot be unpacked: unexpected EOF; write"}},
	} {
		all, err := Folder{tt.files, "dir"}.All()
		if err == nil || all != nil {
			t.Errorf("%s: %d series, %v", tt.about, len(all), err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: lacks %q:\n%v", tt.about, want, err)
			}
		}
	}
}
