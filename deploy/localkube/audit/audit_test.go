package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What API servers of 1.36 wrote, shortened.
const (
	resize = `{"kind":"Event","level":"Metadata","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/ml-production/pods/m-1/resize","verb":"patch","user":{"username":"system:serviceaccount:trimtab:trimtab","groups":["system:serviceaccounts"]},"userAgent":"trimtab/0.2","objectRef":{"resource":"pods","namespace":"ml-production","name":"m-1","apiVersion":"v1","subresource":"resize"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-21T12:08:52.609247Z"}`
	trial  = `{"stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/a/deployments?fieldManager=x&dryRun=All","verb":"create","user":{"username":"admin"},"objectRef":{"resource":"deployments","namespace":"a","apiGroup":"apps"},"responseStatus":{"code":201}}`
	denied = `{"stage":"ResponseComplete","requestURI":"/api/v1/nodes/n","verb":"delete","user":{"username":"u"},"objectRef":{"resource":"nodes","name":"n"},"responseStatus":{"code":403}}`
)

func TestRead(t *testing.T) {
	all, err := Read(strings.NewReader(resize + "\n" + trial + "\n" + denied + "\n" + resize[:50]))
	if err != nil || len(all) != 3 {
		t.Fatalf("%d writes, %v; want 3 and the half line left out", len(all), err)
	}
	want := Write{
		At:   time.Date(2026, 11, 21, 12, 8, 52, 609247000, time.UTC),
		User: "system:serviceaccount:trimtab:trimtab", Agent: "trimtab/0.2", Verb: "patch", Resource: "pods/resize",
		Namespace: "ml-production", Name: "m-1", Code: 200,
	}
	if all[0] != want {
		t.Errorf("got\n%+v\nwant\n%+v", all[0], want)
	}
	if w := all[1]; !w.DryRun || w.Group != "apps" {
		t.Errorf("the trial is %+v", w)
	}
	for i, done := range []bool{true, false, false} {
		if all[i].Done() != done {
			t.Errorf("%s: done %v, want %v", all[i], all[i].Done(), done)
		}
	}
}

func TestBrokenLineIsNamed(t *testing.T) {
	_, err := Read(strings.NewReader(resize + "\nnonsense\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if all, err := File(path); err != nil || all != nil {
		t.Errorf("no log yet: %v, %v", all, err)
	}
	if err := os.WriteFile(path, []byte(denied+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := File(path); err != nil || len(all) != 1 || all[0].User != "u" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := File(t.TempDir()); err == nil {
		t.Error("a folder was read as a log")
	}
}
