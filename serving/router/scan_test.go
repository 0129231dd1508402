package router

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScan(t *testing.T) {
	for _, tt := range []struct {
		files string // in DIR, with spaces between
		want  string // models, with versions; or
		fault string
	}{
		{"a/1/model.onnx", "a:1", ""},
		{"a/1/model.onnx a/2/model.onnx a/10/model.onnx b/v2/model.onnx b/v1/model.onnx b/3/model.onnx", "a:1,2,10 b:3,v1,v2", ""},
		{"a/model.onnx", "a:1", ""},
		{"model.onnx", "DIR:1", ""},
		{"..data/1/model.onnx .hidden/model.onnx a/.tmp/model.onnx a/1/model.onnx", "a:1", ""},
		{"lost+found/x a/1/model.onnx a/2/weights.bin readme.txt", "a:1", ""},
		{"a/1/model.onnx a/model.onnx b/model.onnx", "", "scan model a: DIR/a has both a model.onnx and folders of versions"},
		{"a/1/model.pt", "", "there is no NAME/VERSION/model.onnx in DIR"},
		{"a/1/model.onnx/x", "", "there is no NAME"},
	} {
		dir := filepath.Join(t.TempDir(), "DIR")
		for name := range strings.FieldsSeq(tt.files) {
			at := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		models, err := Scan(dir)
		var got []string
		for _, m := range models {
			var versions []string
			for _, v := range m.Versions {
				versions = append(versions, v.Version)
				if _, err := os.Stat(v.File); err != nil || v.Runtime != "" {
					t.Errorf("%s: %+v, %v", tt.files, v, err)
				}
			}
			got = append(got, m.Name+":"+strings.Join(versions, ","))
		}
		fault := strings.ReplaceAll(fmt.Sprint(err), dir, "DIR")
		if strings.Join(got, " ") != tt.want || (err == nil) != (tt.fault == "") || !strings.Contains(fault, tt.fault) {
			t.Errorf("%s: %v, %s; want %s, %s", tt.files, got, fault, tt.want, tt.fault)
		}
	}
	if _, err := Scan(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there is scanned")
	}
}
