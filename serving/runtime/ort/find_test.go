package ort

import (
	"os"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	const fetched = "/home/a/.cache/trimtab/onnxruntime/" + Version + "/libonnxruntime.so.1"
	for _, c := range []struct {
		name string
		env  map[string]string
		have string
		want string
	}{
		{"named", map[string]string{LibraryVariable: "/x.so", "HOME": "/home/a"}, fetched, "/x.so"},
		{"fetched", map[string]string{"HOME": "/home/a"}, fetched, fetched},
		{"another cache", map[string]string{"HOME": "/b", "XDG_CACHE_HOME": "/home/a/.cache"}, fetched, fetched},
		{"left to the loader", map[string]string{"HOME": "/home/a"}, "", "libonnxruntime.so.1"},
	} {
		getenv := func(key string) string { return c.env[key] }
		if got := Find(getenv, func(file string) bool { return file == c.have }); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestVersionIsTheFetchedOne keeps the fetched library and the one that Find looks for the same.
func TestVersionIsTheFetchedOne(t *testing.T) {
	sums, err := os.ReadFile("../../../deploy/onnxruntime/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(sums), "  "+Version+"/linux-x64/"+soname+"\n") {
		t.Errorf("SHA256SUMS has no line for %s:\n%s", Version, sums)
	}
}
