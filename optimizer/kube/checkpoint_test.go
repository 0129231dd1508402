package kube

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
)

// noise is n bytes that do not compress, the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func text(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%s=%s ", p.Name, digest(p.Data)[:8])
	}
	return b.String()
}

func writes(client *fake.Clientset) (n int) {
	for _, a := range client.Actions() {
		if a.GetVerb() != "list" && a.GetVerb() != "get" {
			n++
		}
	}
	return n
}

func mustSave(t *testing.T, c *Checkpoints, parts []Part) {
	t.Helper()
	if err := c.Save(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, c *Checkpoints) []Part {
	t.Helper()
	parts, err := c.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestCheckpointRoundTrip(t *testing.T) {
	client := fake.NewClientset()
	c := NewCheckpoints(client, "trimtab", "trimtab-checkpoint")
	if parts := mustLoad(t, c); parts != nil {
		t.Errorf("before the first save: %v", parts)
	}
	mustSave(t, c, []Part{{"b", noise(1, 2<<20)}, {"a", []byte("short")}, {"empty", nil}})
	same(t, "parts", mustLoad(t, c), []Part{{"a", []byte("short")}, {"b", noise(1, 2<<20)}, {"empty", []byte{}}})

	maps, err := client.CoreV1().ConfigMaps("trimtab").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(maps.Items) != 6 { // the index, one for a, three for the 2 MiB of b, one for empty
		t.Errorf("%d ConfigMaps, want 6", len(maps.Items))
	}
	for _, m := range maps.Items {
		if m.Size() > 900<<10 {
			t.Errorf("%s has %d bytes, more than 900 KiB", m.Name, m.Size())
		}
		if m.Labels[CheckpointLabel] != "trimtab-checkpoint" {
			t.Errorf("%s is not labelled", m.Name)
		}
	}
}

func TestCheckpointUnchangedIsNotWritten(t *testing.T) {
	client := fake.NewClientset()
	c := NewCheckpoints(client, "trimtab", "cp")
	mustSave(t, c, []Part{{"a", noise(1, 100)}, {"b", noise(2, 100)}})
	client.ClearActions()
	mustSave(t, c, []Part{{"b", noise(2, 100)}, {"a", noise(1, 100)}})
	if n := writes(client); n != 0 {
		t.Errorf("%d writes for the same parts, want none", n)
	}
	mustSave(t, c, []Part{{"a", noise(1, 100)}, {"b", noise(3, 100)}})
	if n := writes(client); n != 3 { // the new b, the index, the old b removed
		t.Errorf("%d writes for one changed part, want 3", n)
	}
}

// Whatever call of a Save fails, and whether or not it took effect, Load gives one whole set: the one
// of before until the index is written, the new one after. The next Save cleans up.
func TestCheckpointCrash(t *testing.T) {
	before := []Part{{"a", noise(1, 300)}, {"b", noise(2, 100)}, {"c", noise(3, 100)}}
	after := []Part{{"a", noise(4, 300)}, {"b", noise(2, 100)}, {"d", noise(5, 100)}}
	crash := errors.New("the pod was killed")
	for _, effect := range []bool{false, true} {
		finished := false
		for k := 1; !finished; k++ {
			client := fake.NewClientset()
			c := NewCheckpoints(client, "trimtab", "cp")
			c.chunk = 200
			mustSave(t, c, before)

			calls, down := 0, false
			client.PrependReactor("*", "configmaps", func(a k8stesting.Action) (bool, runtime.Object, error) {
				if calls++; calls < k {
					return false, nil, nil
				}
				first := !down
				down = true
				if first && effect {
					_, _, err := k8stesting.ObjectReaction(client.Tracker())(a)
					return true, nil, errors.Join(crash, err)
				}
				return true, nil, crash
			})
			err := c.Save(t.Context(), after)
			finished = !down
			if finished != (err == nil) {
				t.Fatalf("call %d: %v", k, err)
			}
			down, calls = false, -1<<30 // the next pod starts

			got := text(mustLoad(t, c))
			if got != text(before) && got != text(after) {
				t.Errorf("call %d: loaded %s: neither %s nor %s", k, got, text(before), text(after))
			}
			mustSave(t, c, after)
			if got := text(mustLoad(t, c)); got != text(after) {
				t.Errorf("call %d: after the next save %s", k, got)
			}
			maps, _ := client.CoreV1().ConfigMaps("trimtab").List(t.Context(), metav1.ListOptions{})
			if len(maps.Items) != 5 { // the index, two for a, b, d
				t.Errorf("call %d: %d ConfigMaps are left, want 5", k, len(maps.Items))
			}
			if finished && k < 9 { // list, two for a, d, the index, three removed
				t.Errorf("only %d calls were tried", k-1)
			}
		}
	}
}

// damaged is a checkpoint of a and b whose chunk of b went through change (nil: it is deleted).
func damaged(t *testing.T, change func(*corev1.ConfigMap)) *Checkpoints {
	t.Helper()
	client := fake.NewClientset()
	c := NewCheckpoints(client, "trimtab", "cp")
	mustSave(t, c, []Part{{"a", noise(1, 100)}, {"b", noise(2, 100)}})
	entries, _, err := c.pack([]Part{{"b", noise(2, 100)}})
	if err != nil {
		t.Fatal(err)
	}
	name, maps := entries[0].Chunks[0], client.CoreV1().ConfigMaps("trimtab")
	m, err := maps.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil || change == nil {
		return c
	}
	change(m)
	if _, err := maps.Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckpointDamage(t *testing.T) {
	for _, row := range []struct {
		name, want string
		change     func(*corev1.ConfigMap)
	}{
		{"gone", "is gone", nil},
		{"emptied", "checksum", func(m *corev1.ConfigMap) { m.BinaryData = nil }},
		{"one bit", "checksum", func(m *corev1.ConfigMap) {
			m.BinaryData[chunkKey] = bytes.Clone(m.BinaryData[chunkKey])
			m.BinaryData[chunkKey][50] ^= 1
		}},
	} {
		c := damaged(t, row.change)
		parts, err := c.Load(t.Context())
		contains(t, err, `part "b"`, row.want)
		if !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", row.name, err)
		}
		if text(parts) != text([]Part{{"a", noise(1, 100)}}) {
			t.Errorf("%s: the sound part is not given: %s", row.name, text(parts))
		}
		mustSave(t, c, []Part{{"a", noise(1, 100)}, {"b", noise(2, 100)}})
		if got := mustLoad(t, c); len(got) != 2 {
			t.Errorf("%s: the next save did not mend it: %s", row.name, text(got))
		}
	}
}

// An index that cannot be read may be a newer daemon's: it stays, with all that it names.
func TestCheckpointBadIndex(t *testing.T) {
	for _, row := range []struct{ content, want string }{
		{"{", "index ConfigMap cp"},
		{"", "index ConfigMap cp"},
		{`{"version":9,"parts":[]}`, "version 9"},
	} {
		client := fake.NewClientset()
		c := NewCheckpoints(client, "trimtab", "cp")
		mustSave(t, c, []Part{{"a", noise(1, 100)}})
		m := &corev1.ConfigMap{ObjectMeta: c.meta("cp"), Data: map[string]string{indexKey: row.content}}
		if _, err := client.CoreV1().ConfigMaps("trimtab").Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		client.ClearActions()
		_, err := c.Load(t.Context())
		contains(t, err, row.want)
		saved := c.Save(t.Context(), []Part{{"b", noise(2, 100)}})
		if !errors.Is(err, ErrUnreadable) || !errors.Is(saved, ErrUnreadable) {
			t.Errorf("%q: loaded with %v, saved with %v", row.content, err, saved)
		}
		if n := writes(client); n != 0 {
			t.Errorf("%q: %d writes, want none", row.content, n)
		}
	}
}

// That the API server does not answer is no sign of damage.
func TestCheckpointNoAnswer(t *testing.T) {
	client := fake.NewClientset()
	refuse(client, "list", "configmaps", always(), errors.New("no route to host"))
	_, err := NewCheckpoints(client, "trimtab", "cp").Load(t.Context())
	contains(t, err, "load checkpoint", "no route to host")
	if errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
}

func TestCheckpointRefuses(t *testing.T) {
	client := fake.NewClientset()
	c := NewCheckpoints(client, "trimtab", "cp")
	contains(t, c.Save(t.Context(), []Part{{"a", nil}, {"b", nil}, {"a", nil}}), `two parts are called "a"`)
	contains(t, c.Save(t.Context(), []Part{{"a", noise(1, MaxCheckpoint)}}), "less history")
	if n := writes(client); n != 0 {
		t.Errorf("%d writes, want none", n)
	}
}

// Two parts with the same content share a chunk, which stays as long as one of them does.
func TestCheckpointSharedChunk(t *testing.T) {
	c := NewCheckpoints(fake.NewClientset(), "trimtab", "cp")
	mustSave(t, c, []Part{{"a", noise(1, 100)}, {"b", noise(1, 100)}})
	mustSave(t, c, []Part{{"b", noise(1, 100)}})
	if got := mustLoad(t, c); text(got) != text([]Part{{"b", noise(1, 100)}}) {
		t.Errorf("%s", text(got))
	}
}
