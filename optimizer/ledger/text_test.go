package ledger

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

var noon = time.Date(2026, 11, 21, 11, 38, 45, 0, time.UTC)

// typical is right-sizing and one replica less of a Deployment as a cluster shows it.
func typical(pods int) optimizer.Change {
	server := fleet.Container{
		Name: "model-server", Role: fleet.Main, Image: "registry.example.com/models/recommendation:2026-11-03",
		Requests: fleet.Resources{MilliCPU: 500, Memory: 1 << 30}, Limits: fleet.Resources{MilliCPU: 1000, Memory: 2 << 30},
	}
	w := fleet.Workload{
		Ref: fleet.Deployment("ml-production", "recommendation-model"), UID: "5d1f4c0e-93a5-4f7e-8f44-0e8b7a1f2c11", Class: fleet.Online,
		Labels:   map[string]string{"app": "recommendation-model"},
		Template: fleet.PodShape{Containers: []fleet.Container{server}}, Replicas: int32(pods), Capacity: fleet.OnDemand,
		SpotNodes: []string{"spot-1"},
	}
	for i := range pods {
		w.Pods = append(w.Pods, fleet.Pod{
			Name: fmt.Sprintf("recommendation-model-7d9f8b6c5d-%05d", i), UID: fmt.Sprintf("0b7e1c52-6d0a-4b0e-9d6b-%012d", i),
			Node: fmt.Sprintf("ip-10-0-31-%d.eu-west-1.compute.internal", 100+i%8), Ready: true, Created: noon.Add(-time.Hour), Shape: w.Template,
		})
	}
	t := fleet.Target{Requests: []fleet.ContainerRequests{{Container: "model-server", Requests: fleet.Resources{MilliCPU: 20, Memory: 96 << 20}}}, Replicas: int32(pods - 1)}
	return optimizer.Change{
		ID: "6277a818", Ref: w.Ref, From: w, To: w.With(t), Reasons: []fleet.Reason{fleet.CPUUnderused, fleet.FewRequests},
		Policy: "ml-production", Mode: policies.Enforce, Apply: policies.InPlace, Saving: cost.Line{Amount: 42_740_000},
	}
}

func done(c optimizer.Change) item {
	return item{optimizer.Entry{ID: "20261121t113845-3f9a2c", Change: Compact(c), Begun: noon, Ended: noon.Add(time.Minute), Outcome: optimizer.Done,
		Detail: "given to newer pods too, last at 2026-11-21T12:06:00Z"}, 7}
}

// TestBytes holds what the package comment says of how much an entry takes.
func TestBytes(t *testing.T) {
	for pods, about := range map[int]int{3: 1331, 100: 15 << 10} {
		e := done(typical(pods))
		text, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d pods: %d bytes", pods, len(e.ID)+len(text))
		if n := len(e.ID) + len(text); n > about*105/100 || n < about*95/100 {
			t.Errorf("an entry of %d pods has %d bytes, the comment says about %d\n%.2000s", pods, n, about, text)
		}
	}
}

// dice makes changes with everything in them that Kubernetes may say.
type dice struct{ *rand.Rand }

func (d dice) pick(of ...string) string { return of[d.IntN(len(of))] }

func (d dice) resources() fleet.Resources {
	r := fleet.Resources{MilliCPU: d.Int64N(3) * 250, Memory: d.Int64N(3) << 29}
	if d.IntN(4) == 0 {
		r.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: 1 + d.Int64N(2)}}
	}
	return r
}

func (d dice) shape() fleet.PodShape {
	s := fleet.PodShape{Overhead: fleet.Resources{MilliCPU: d.Int64N(2)}, Priority: 7}
	for i := range d.IntN(3) {
		s.Containers = append(s.Containers, fleet.Container{
			Name: fmt.Sprintf("c%d", i), Image: "i<&>", Role: fleet.Role(d.pick("", "main", "init", "sidecar")), Requests: d.resources(), Limits: d.resources(),
			ResizePolicy: fleet.ResizePolicy{CPU: fleet.NotRequired},
		})
	}
	return s
}

func (d dice) workload() fleet.Workload {
	w := fleet.Workload{
		UID: d.pick("", "u1"), Labels: map[string]string{"a": "b"}, Class: fleet.Class(d.pick("", "online", "batch")), Template: d.shape(),
		Replicas: d.Int32N(4), Capacity: fleet.Capacity(d.pick("", "spot", "on-demand")), TolerateSpot: d.IntN(2) == 0, BatchSize: d.IntN(3), RollingOut: true,
		SpotNodes: []string{"spot-1", "spot-2"}[:d.IntN(3)],
	}
	for range d.IntN(5) { // in any order, even twice
		p := fleet.Pod{Name: d.pick("a", "b", "c"), UID: d.pick("", "1", "2"), Node: d.pick("", "n"), Shape: w.Template, Ready: true}
		if d.IntN(2) == 0 {
			p.Shape = d.shape()
		}
		if d.IntN(3) > 0 {
			p.Created = noon.Add(time.Duration(d.IntN(90)) * 100 * time.Millisecond)
		}
		w.Pods = append(w.Pods, p)
	}
	return w
}

func (d dice) change() optimizer.Change {
	c := optimizer.Change{
		ID: d.pick("", "feedbeef"), Ref: fleet.Deployment("ml", d.pick("a", "b")), From: d.workload(), To: d.workload(), Pods: []string{"b", "a"}[:d.IntN(3)],
		Reasons: []fleet.Reason{fleet.CPUUnderused}[:d.IntN(2)], Policy: "p", Mode: policies.Mode(d.pick("", "enforce")), Apply: policies.InPlace,
		Saving: cost.Line{Amount: cost.Money(d.Int64N(9) - 4)}, By: d.pick("", "Zoë <ann&bob>"), Reverts: d.pick("", "20261121t113845-3f9a2c"), Keeper: d.pick("", "managed"),
	}
	if d.IntN(2) == 0 {
		c.Saving.Unpriced = []string{"x9.huge in mars-1"}
	}
	if d.IntN(2) == 0 {
		c.To = c.From.With(fleet.Target{Replicas: d.Int32N(3), Requests: []fleet.ContainerRequests{{Container: "c0", Requests: d.resources()}}})
	}
	return c
}

// TestRoundTrip: what is written comes back whole, and what is left out changes nothing of what a change is
// about.
func TestRoundTrip(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	for n := range 3_000 {
		c := d.change()
		kept := Compact(c)
		if again := Compact(kept); !reflect.DeepEqual(again, kept) {
			t.Fatalf("change %d is compacted twice to\n%+v\nonce to\n%+v", n, again, kept)
		}
		e := item{optimizer.Entry{ID: "20261121t113845-3f9a2c", Change: kept, Begun: noon.Add(123456789)}, int64(n + 1)}
		if d.IntN(2) == 0 {
			e.Outcome, e.Ended, e.Detail = optimizer.Failed, noon.Add(time.Hour), "because \x7f of \"it\""
		}
		text, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(e.ID, text)
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("%v\n%s\ncomes back as\n%+v\nnot as\n%+v", err, text, back, e)
		}
		sameSense(t, c, kept)
	}
}

// sameSense compares what settling, taking back and reporting look at. Where two pods are as old as each other to the
// second, but not beyond, which is the newer one is not kept: Kubernetes knows no more than seconds.
func sameSense(t *testing.T, c, kept optimizer.Change) {
	t.Helper()
	for _, w := range []*fleet.Workload{&c.From, &c.To} {
		for i := range w.Pods {
			w.Pods[i].Created = w.Pods[i].Created.Truncate(time.Second)
		}
	}
	c.From.Pods, c.To.Pods = sortedPods(c.From.Pods), sortedPods(c.To.Pods)
	if !reflect.DeepEqual(kept.Target(), c.Target()) || kept.Words() != c.Words() {
		t.Fatalf("the target is %+v (%s), was %+v (%s)", kept.Target(), kept.Words(), c.Target(), c.Words())
	}
	for _, s := range [][2]fleet.Workload{{c.From, kept.From}, {c.To, kept.To}} {
		if !s[0].Current().Requests().Equal(s[1].Current().Requests()) || !s[0].Template.Requests().Equal(s[1].Template.Requests()) ||
			s[0].Replicas != s[1].Replicas || s[0].Capacity != s[1].Capacity || s[0].BatchSize != s[1].BatchSize || len(s[0].Pods) != len(s[1].Pods) {
			t.Fatalf("%+v\nis kept as\n%+v", s[0], s[1])
		}
	}
	if kept.From.UID != c.From.UID || kept.By != c.By || kept.Reverts != c.Reverts || kept.Keeper != c.Keeper || kept.Saving.String() != c.Saving.String() {
		t.Fatalf("%+v\nis kept as\n%+v", c, kept)
	}
}

func sortedPods(pods []fleet.Pod) []fleet.Pod {
	w := fleet.Workload{Pods: pods}
	for i := range w.Pods { // insertion, not the sort under test
		for k := i; k > 0 && comparePods(w.Pods[k], w.Pods[k-1]) < 0; k-- {
			w.Pods[k], w.Pods[k-1] = w.Pods[k-1], w.Pods[k]
		}
	}
	return w.Pods
}

// TestSpotNodes: a move to spot that a dead process began is gone on with on the nodes that it was decided on.
func TestSpotNodes(t *testing.T) {
	c := typical(3)
	if got := Compact(c).From.SpotNodes; got != nil {
		t.Errorf("a change that moves nothing keeps %v", got)
	}
	c.To.Capacity = fleet.Spot
	for range 40 {
		c.From.SpotNodes = append(c.From.SpotNodes, fmt.Sprintf("spot-%d", len(c.From.SpotNodes)))
	}
	text, err := encode(done(c))
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode("20261121t113845-3f9a2c", text)
	if got := back.Change.From.SpotNodes; err != nil || len(got) != maxSpotNodes || got[0] != "spot-1" || back.Change.To.SpotNodes != nil {
		t.Errorf("%v: a move keeps %v", err, got)
	}
}

// TestReadable: whoever looks with kubectl reads what people wrote, not escapes.
func TestReadable(t *testing.T) {
	c := typical(3)
	c.By = "Zoë <zoe@example.com>"
	if text, err := encode(done(c)); err != nil || !strings.Contains(text, `"by":"Zoë <zoe@example.com>"`) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestDetailFits(t *testing.T) {
	long := strings.Repeat("é", 600) // 1200 bytes
	got := words(long)
	if len(got) > maxDetail || len(got) < maxDetail-2 || !strings.HasPrefix(long, strings.TrimSuffix(got, "...")) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if words(got) != got || words("a\xffb") != "a?b" {
		t.Errorf("%q, %q", words(got), words("a\xffb"))
	}
}

// TestDamagedTexts: each fault is named, and nothing unknown is accepted.
func TestDamagedTexts(t *testing.T) {
	good, err := encode(done(typical(2)))
	if err != nil {
		t.Fatal(err)
	}
	const id = "20261121t113845-3f9a2c"
	for _, tt := range []struct{ id, old, new, want string }{
		{id, `"v":1`, `"v":2`, "a newer Trimtab wrote it: version 2, this one knows 1"},
		{id, `"v":1`, `"v":0`, "version 0 is not 1"},
		{id, `"n":7`, `"n":0`, "n is 0"},
		{id, `"begun"`, `"begun_"`, `unknown field "begun_"`},
		{id, `"outcome":"done"`, `"outcome":"won"`, `outcome "won" is none of`},
		{id, `"outcome":"done",`, ``, "outcome \"\" and ended do not fit"},
		{id, `"ended":"2026-11-21T11:39:45Z",`, ``, "outcome \"done\" and ended do not fit"},
		{id, `"namespace":"ml-production",`, `"namespace":"",`, "ref names no workload"},
		{id, `"template":0`, `"template":5`, "a template has no shape"},
		{id, `"template":0`, `"template":-1`, "a template has no shape"},
		{id, `"not":"to"`, `"not":"there"`, `is not in "there"`},
		{id, `"not":"to"`, `"from":9,"not":"to"`, "has no shape"},
		{id, `"begun":"2026-11-21T11:38:45Z"`, `"begun":"9999-12-31T23:59:59-12:00"`, "begun is no time"},
		{id, good, good + "{}", "something follows"},
		{id, good, good[:len(good)-9], "unexpected EOF"},
		{id, good, "", "EOF"},
		{"20261121t113846-3f9a2c", "", "", "the key 20261121t113846-3f9a2c is not that of a change begun at 2026-11-21T11:38:45Z"},
		{"notes", "", "", "the key notes is not that"},
	} {
		text := good
		if tt.old != "" {
			text = strings.Replace(good, tt.old, tt.new, 1)
			if text == good {
				t.Fatalf("%s is not in\n%s", tt.old, good)
			}
		}
		if _, err := decode(tt.id, text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s -> %s: %v, want %q", tt.old, tt.new, err, tt.want)
		}
	}
}

// FuzzDecode: whatever a key holds is refused, or is an entry that is written as it was understood.
func FuzzDecode(f *testing.F) {
	d := dice{rand.New(rand.NewPCG(3, 4))}
	for range 10 {
		text, err := encode(done(d.change()))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(`{"v":1,"n":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		const id = "20261121t113845-3f9a2c"
		e, err := decode(id, text)
		if err != nil {
			return
		}
		again, err := encode(e)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", e, err)
		}
		if back, err := decode(id, again); err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("%v: %s is read as\n%+v\nand then as\n%+v", err, again, e, back)
		}
	})
}

// BenchmarkOpen reads a ledger that is as large as it gets: as a process that has just begun, and again.
func BenchmarkOpen(b *testing.B) {
	book := Open(nil, nil)
	for n := range 4000 {
		c := typical(3)
		c.Ref.Name = c.Ref.Name + "-" + string(rune('a'+n%20))
		id, err := book.Begin(c, noon.Add(time.Duration(n)*time.Minute))
		if err == nil {
			err = book.Finish(id, optimizer.Done, "", noon.Add(time.Duration(n)*time.Minute))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	saved := disk{}.store(book.Changed(), all)
	b.Logf("%d entries", len(book.Entries()))
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			Open(saved, nil)
		}
	})
	b.Run("again", func(b *testing.B) {
		before := Open(saved, nil).Known()
		for b.Loop() {
			Open(saved, before)
		}
	})
}
