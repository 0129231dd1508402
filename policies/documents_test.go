package policies

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func goodDoc(t *testing.T, file string) Documents {
	t.Helper()
	docs, faults := parse(readRaw(t, "testdata/good/"+file))
	if len(faults) > 0 || values(docs) != 1 {
		t.Fatalf("%s: %d values, %v", file, values(docs), faults)
	}
	return docs
}

// Quantities are kept as Kubernetes would write them back: 1000m is 1, 0.05 is 50m.
func TestParseGovernance(t *testing.T) {
	want := Governance{
		Name: "ml-models", Source: "governance.yaml", Mode: Enforce, Namespaces: []string{"ml-production", "ml-staging"},
		QuotaName: "ml-models-quota", LimitName: "ml-models-limits", AllowBelowUsed: true, MustState: true,
		Quota: []Amount{
			{"count/deployments.apps", "20"}, {"gold.storageclass.storage.k8s.io/requests.storage", "1Ti"}, {"limits.cpu", "100"},
			{"limits.memory", "200Gi"}, {"pods", "100"}, {"requests.cpu", "50"}, {"requests.memory", "100Gi"}, {"requests.nvidia.com/gpu", "10"},
		},
		Limits: []LimitItem{
			{
				Type: "Container", Default: []Amount{{"cpu", "1"}, {"memory", "2Gi"}, {"nvidia.com/gpu", "0"}},
				DefaultRequest: []Amount{{"cpu", "500m"}, {"memory", "1Gi"}}, Min: []Amount{{"cpu", "50m"}},
				Max: []Amount{{"memory", "64Gi"}, {"nvidia.com/gpu", "8"}}, MaxLimitRequestRatio: []Amount{{"cpu", "2500m"}},
			},
			{Type: "Pod", Max: []Amount{{"cpu", "16"}}},
		},
	}
	if got := goodDoc(t, "governance.yaml").Governances[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	minimal := Governance{
		Name: "limits-only", Source: "governance-minimal.yaml", Mode: Recommend, Namespaces: []string{"ml-research"}, LimitName: "limits-only",
		Limits: []LimitItem{{Type: "Container", Default: []Amount{{"cpu", "1"}}}},
	}
	if got := goodDoc(t, "governance-minimal.yaml").Governances[0]; !reflect.DeepEqual(got, minimal) {
		t.Errorf("got %+v\nwant %+v", got, minimal)
	}
}

func TestParseServer(t *testing.T) {
	want := Server{
		Name: "scorer", Source: "server.yaml", Mode: Enforce, Namespace: "ml-serving", Image: "registry.example.com:5000/team/model_server:v1@sha256:0123",
		Model: "recommendation", Version: "v2.1.0", Class: fleet.Batch, SLO: fleet.SLO{Latency: 200 * time.Millisecond, Percentile: 0.95}, Replicas: 3,
		Requests: fleet.Resources{MilliCPU: 500, Memory: 256 << 20}, Limits: fleet.Resources{MilliCPU: 1000, Memory: 512 << 20},
		Batch: Batching{Size: 8, MaxDelay: 20 * time.Millisecond, Sizes: []int{1, 8, 32}, Trial: 30 * time.Second},
		Tune:  Tune{Probability: 0.95, Margin: 0.2, Changes: 6}, OnDelete: OnDeleteDelete,
	}
	if got := goodDoc(t, "server.yaml").Servers[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	minimal := Server{
		Name: "plain", Source: "server-minimal.yaml", Mode: Recommend, Namespace: "ml-serving", Image: "server", Model: "image", Version: "1",
		Class: fleet.Online, Replicas: 1, Requests: fleet.Resources{MilliCPU: 1000, Memory: 1 << 30},
		Batch: Batching{Size: 1, MaxDelay: 5 * time.Millisecond, Trial: 2 * time.Minute},
		Tune:  Tune{Probability: 0.95, Margin: 0.2, Changes: 6}, OnDelete: OnDeleteDelete,
	}
	if got := goodDoc(t, "server-minimal.yaml").Servers[0]; !reflect.DeepEqual(got, minimal) {
		t.Errorf("got %+v\nwant %+v", got, minimal)
	}
}

// What the tuner may choose, in the units of the fields: 50m is 50, "2" is 2000, 64Mi is 64 << 20.
func TestParseTune(t *testing.T) {
	got := goodDoc(t, "server-tuned.yaml").Servers[0]
	want := Tune{
		MaxDelay: 50 * time.Millisecond, Replicas: [2]int32{2, 6}, CPU: [2]int64{50, 2000}, Memory: [2]int64{64 << 20, 1 << 30},
		Redundancy: 1, Probability: 0.99, Margin: 0.3, Changes: 3,
	}
	if got.Tune != want || got.Autoscale.On() || got.Paused || got.Adopt || got.OnDelete != OnDeleteDelete {
		t.Errorf("got %+v\nwant tune %+v and nothing else", got, want)
	}
	got = goodDoc(t, "server-adopted.yaml").Servers[0]
	if !got.Paused || !got.Adopt || got.OnDelete != OnDeleteKeep || got.Autoscale != (Autoscale{Min: 3, Max: 6}) || !got.Autoscale.On() {
		t.Errorf("got %+v\nwant paused, adopted, kept and scaled from 3 to 6", got)
	}
	if got.Tune != (Tune{Redundancy: 2, Probability: 0.95, Margin: 0, Changes: 6}) {
		t.Errorf("tune %+v", got.Tune)
	}
}

func TestParseReport(t *testing.T) {
	want := Report{
		Name: "weekly", Source: "report.yaml", Schedule: "0 8 * * 1", TimeZone: "Europe/Berlin",
		Recipients: []string{"ml-platform@example.com", "finance@example.com"}, From: "Trimtab <trimtab@example.com>",
		Namespaces: []string{"ml-production"}, SMTP: SMTP{Host: "smtp.example.com", Port: 465, TLS: "implicit", Secret: "trimtab-mail"},
	}
	if got := goodDoc(t, "report.yaml").Reports[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// Without checks only the form of schedules and time zones is judged.
func TestNoChecks(t *testing.T) {
	doc := "apiVersion: trimtab.dev/v1alpha1\nkind: Report\nmetadata: {name: r}\nspec:\n  schedule: %q\n  timeZone: %q\n" +
		"  recipients: [a@example.com]\n  from: a@example.com\n  smtp: {host: h, port: 25}\n"
	for _, c := range []struct {
		schedule, zone string
		faults         int
	}{
		{"0 0 30 2 *", "Nowhere/Town", 0}, {"0 0 * * 0", "UTC", 0}, {"@daily", "UTC", 1}, {"0 0 * * 0", "", 1}, {"* * * *", "../etc/passwd", 2},
	} {
		if _, faults := Parse(Raw{"f", fmt.Appendf(nil, doc, c.schedule, c.zone)}, Checks{}); len(faults) != c.faults {
			t.Errorf("%q in %q: %v, want %d faults", c.schedule, c.zone, faults, c.faults)
		}
	}
}

func TestWrongAddress(t *testing.T) {
	for _, c := range []struct {
		text         string
		bare, sender bool // whether it is right as one
	}{
		{"a@example.com", true, true}, {"a+b@localhost", true, true}, {"A <a@example.com>", false, true}, {"<a@example.com>", false, true},
		{"a", false, false}, {"a@", false, false}, {"", false, false}, {"a@b, c@d", false, false}, {"a@b\r\nBcc: c@d", false, false},
		{"A\n <a@b>", false, false}, {"\"A\nB\" <a@b>", false, false}, {"a@b\n", false, false}, {"(a\nb) a@b", false, false}, {strings.Repeat("a", 250) + "@example.com", false, false},
	} {
		if wrong := wrongAddress(c.text); (wrong == "") != c.bare {
			t.Errorf("wrongAddress(%q) = %q", c.text, wrong)
		}
		if wrong := wrongSender(c.text); (wrong == "") != c.sender {
			t.Errorf("wrongSender(%q) = %q", c.text, wrong)
		}
	}
}

func TestWrongHost(t *testing.T) {
	for text, ok := range map[string]bool{
		"smtp.example.com": true, "localhost": true, "SMTP.example.com": true, "10.0.0.1": true, "::1": true, "2001:db8::25": true,
		"": false, "smtp:25": false, "smtp://mail": false, "a b": false, "[::1]": false, "-a": false,
	} {
		if wrong := wrongHost(text); (wrong == "") != ok {
			t.Errorf("wrongHost(%q) = %q", text, wrong)
		}
	}
}

func TestWrongImage(t *testing.T) {
	for text, ok := range map[string]bool{
		"server": true, "localhost/trimtab/modelserver:dev": true, "r.example.com:5000/a_b/c@sha256:ab": true,
		"": false, "a b": false, "sérver": false, "a\tb": false, "a;b": false,
	} {
		if wrong := wrongImage(text); (wrong == "") != ok {
			t.Errorf("wrongImage(%q) = %q", text, wrong)
		}
	}
}

// A quota or LimitRange each, with the trap in it.
func TestTraps(t *testing.T) {
	for _, c := range []struct {
		name, spec, want string // want: a part of the only fault; empty: none
	}{
		{"the article's", "limitRange: {limits: [{type: Container, default: {cpu: 1000m, memory: 2Gi}, defaultRequest: {cpu: 500m, memory: 1Gi}}]}", ""},
		{"max hands out", "limitRange: {limits: [{type: Container, max: {nvidia.com/gpu: 1}}]}", "max.nvidia.com/gpu: gives 1"},
		{"max with a default of none", "limitRange: {limits: [{type: Container, max: {nvidia.com/gpu: 1}, default: {nvidia.com/gpu: 0}}]}", ""},
		{"a default of GPUs", "limitRange: {limits: [{type: Container, default: {nvidia.com/gpu: 1}}]}", "default.nvidia.com/gpu: gives 1"},
		{"default below defaultRequest", "limitRange: {limits: [{type: Container, default: {cpu: 1}, defaultRequest: {cpu: 2}}]}", "defaultRequest.cpu: 2 is above default, 1"},
		{"defaultRequest above max", "limitRange: {limits: [{type: Container, max: {cpu: 1}, defaultRequest: {cpu: 2}}]}", "defaultRequest.cpu: 2 is above max, 1"},
		{"the same amount", "limitRange: {limits: [{type: Container, default: {cpu: 1}, defaultRequest: {cpu: 1000m}, max: {cpu: 1}, min: {cpu: 1}}]}", ""},
		{"a ratio that the defaults break", "limitRange: {limits: [{type: Container, default: {cpu: 1}, defaultRequest: {cpu: 250m}, maxLimitRequestRatio: {cpu: 2}}]}", "maxLimitRequestRatio.cpu: 2 refuses every container"},
		{"a ratio that max and min break", "limitRange: {limits: [{type: Container, max: {cpu: 3}, defaultRequest: {cpu: 1}, maxLimitRequestRatio: {cpu: 2}}]}", "maxLimitRequestRatio.cpu: 2 refuses every container"},
		{"a ratio that they keep", "limitRange: {limits: [{type: Container, default: {cpu: 1}, defaultRequest: {cpu: 500m}, maxLimitRequestRatio: {cpu: 2}}]}", ""},
		{"a ratio without defaults", "limitRange: {limits: [{type: Container, maxLimitRequestRatio: {cpu: 2}}]}", "maxLimitRequestRatio.cpu: refuses every pod"},
		{"a ratio without defaults, meant", "mustState: true, limitRange: {limits: [{type: Container, maxLimitRequestRatio: {cpu: 2}}]}", ""},
		{"a min of the pod without defaults", "limitRange: {limits: [{type: Pod, min: {cpu: 2}}]}", "min.cpu: refuses every pod whose containers state no cpu; add defaultRequest"},
		{"a min of the pod with defaults", "limitRange: {limits: [{type: Pod, min: {cpu: 2}}, {type: Container, defaultRequest: {cpu: 2}}]}", ""},
		{"a min of the pod with a min", "limitRange: {limits: [{type: Pod, min: {cpu: 2}}, {type: Container, min: {cpu: 1}}]}", ""},
		{"a max of the pod with defaults", "limitRange: {limits: [{type: Pod, max: {cpu: 2}}, {type: Container, max: {cpu: 1}}]}", ""},
		{"GPUs of the pod, though meant", "mustState: true, limitRange: {limits: [{type: Pod, max: {nvidia.com/gpu: 8}}]}", "max.nvidia.com/gpu: refuses every pod"},
		{"a quota without defaults", "resourceQuota: {hard: {limits.cpu: 5, pods: 2}}", "limits.cpu: refuses every pod"},
		{"a quota without defaults, meant", "mustState: true, resourceQuota: {hard: {limits.cpu: 5, pods: 2}}", ""},
		{"a quota with defaults", "resourceQuota: {hard: {limits.cpu: 5, cpu: 2}}, limitRange: {limits: [{type: Container, default: {cpu: 1}}]}", ""},
		{"a dead line, though meant", "mustState: true, resourceQuota: {hard: {limits.nvidia.com/gpu: 5}}", "limits.nvidia.com/gpu: is accepted by the API and never enforced; write requests.nvidia.com/gpu"},
		{"a share of a device", "limitRange: {limits: [{type: Container, default: {a.com/b: 2}, defaultRequest: {a.com/b: 1}}]}", "defaultRequest.a.com/b: 1 is not default, 2"},
	} {
		raw := Raw{"f", []byte("apiVersion: trimtab.dev/v1alpha1\nkind: Governance\nmetadata: {name: g}\nspec: {namespaces: [a], " + c.spec + "}\n")}
		_, faults := parse(raw)
		var got []string
		for _, f := range faults {
			got = append(got, f.Path+": "+f.Text)
		}
		if len(faults) != min(len(c.want), 1) || len(faults) == 1 && !strings.Contains(got[0], c.want) {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
}

func governanceDoc(source, name, namespaces, quota string) Raw {
	return Raw{source, fmt.Appendf(nil, "apiVersion: %s\nkind: Governance\nmetadata: {name: %s}\nspec:\n  mode: enforce\n  namespaces: [%s]\n  resourceQuota: {name: %s, hard: {pods: 5}}\n",
		APIVersion, name, namespaces, quota)}
}

func serverDoc(source, name, class string) Raw {
	return Raw{source, fmt.Appendf(nil, "apiVersion: %s\nkind: InferenceServer\nmetadata: {name: %s}\nspec: {mode: enforce, namespace: ml, image: i, model: m, version: v1, class: %s, requests: {cpu: 1, memory: 1Gi}}\n",
		APIVersion, name, class)}
}

func reportDoc(source, name, schedule string) Raw {
	return Raw{source, fmt.Appendf(nil, "apiVersion: %s\nkind: Report\nmetadata: {name: %s}\nspec: {schedule: %q, recipients: [a@b], from: a@b, smtp: {host: h, port: 25}}\n",
		APIVersion, name, schedule)}
}

// briefly is a set in one line: what may own objects or send mail, then what is bad.
func briefly(s Set) string {
	var all []string
	for _, g := range s.Governances {
		all = append(all, fmt.Sprintf("%s/%s%v", g.Name, g.Mode, g.Namespaces))
	}
	for _, v := range s.Servers {
		all = append(all, fmt.Sprintf("%s/%s", v.Name, v.Mode))
	}
	for _, r := range s.Reports {
		all = append(all, fmt.Sprintf("%s@%s", r.Name, r.Schedule))
	}
	for _, b := range s.Bad {
		all = append(all, fmt.Sprintf("bad %s %s %s(%v)", b.Source, b.Kind, b.Name, b.Kept))
	}
	return strings.Join(all, " ")
}

func TestCompileOwning(t *testing.T) {
	a, b := governanceDoc("cm/a", "a", "x, y", "q"), governanceDoc("cm/b", "b", "y, z", "q")
	badA := Raw{"cm/a", append([]byte(nil), strings.Replace(string(a.Data), "pods: 5", "limits.nvidia.com/gpu: 5", 1)...)}
	server, badServer := serverDoc("cm/s", "s", "online"), serverDoc("cm/s", "s", "odd")
	report, badReport := reportDoc("cm/r", "r", "0 8 * * 1"), reportDoc("cm/r", "r", "0 8 * *")
	for _, c := range []struct {
		name string
		raws []Raw
		last Set
		want string
	}{
		{"good", []Raw{report, server, a}, Set{}, "a/enforce[x y] s/enforce r@0 8 * * 1"},
		{"bad at first", []Raw{badReport, badServer, badA}, Set{}, "bad cm/a Governance a(false) bad cm/r Report r(false) bad cm/s InferenceServer s(false)"},
		{"bad later: objects are only looked at, mail is not sent", []Raw{badReport, badServer, badA}, compile([]Raw{report, server, a}, Set{}),
			"a/recommend[x y] s/recommend bad cm/a Governance a(true) bad cm/r Report r(false) bad cm/s InferenceServer s(true)"},
		{"one object of two documents", []Raw{a, b}, Set{}, "bad cm/a Governance a(false) bad cm/b Governance b(false)"},
		{"the same namespace, other objects", []Raw{a, governanceDoc("cm/b", "b", "y", "other")}, Set{}, "a/enforce[x y] b/enforce[y]"},
		{"one name twice", []Raw{a, governanceDoc("cm/c", "a", "c", "q")}, Set{}, "bad cm/a Governance a(false) bad cm/c Governance a(false)"},
		{"one server twice", []Raw{server, serverDoc("cm/s2", "s", "batch")}, Set{}, "bad cm/s InferenceServer s(false) bad cm/s2 InferenceServer s(false)"},
		{"one report twice", []Raw{report, reportDoc("cm/r2", "r", "0 9 * * *")}, Set{}, "bad cm/r Report r(false) bad cm/r2 Report r(false)"},
		{"what was kept yields to what is good", []Raw{badA, b}, compile([]Raw{a}, Set{}), "a/recommend[x] b/enforce[y z] bad cm/a Governance a(true)"},
		{"a server that was kept yields", []Raw{{"cm/s", []byte("kind: InferenceServer")}, serverDoc("cm/s2", "s", "batch")}, compile([]Raw{server}, Set{}),
			"s/enforce bad cm/s InferenceServer (true)"},
		{"what cannot be read has no kind", []Raw{{"cm/a", []byte("kind: [")}}, compile([]Raw{a}, Set{}), "a/recommend[x y] bad cm/a  (true)"},
	} {
		if got := briefly(compile(c.raws, c.last)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Both documents that keep one object name it, the other one and their own line.
func TestCompileNamesObjects(t *testing.T) {
	s := compile([]Raw{governanceDoc("cm/a", "a", "x, y", "q"), governanceDoc("cm/b", "b", "y", "q")}, Set{})
	want := [][]string{
		{"cm/a:7: spec.resourceQuota: keeps ResourceQuota y/q, which cm/b keeps too; name another or remove one"},
		{"cm/b:7: spec.resourceQuota: keeps ResourceQuota y/q, which cm/a keeps too; name another or remove one"},
	}
	if len(s.Bad) != 2 || !reflect.DeepEqual([][]string{s.Bad[0].Faults, s.Bad[1].Faults}, want) {
		t.Errorf("got %+v\nwant %v", s.Bad, want)
	}
}

func TestEffect(t *testing.T) {
	for want, b := range map[string]Bad{
		"its last good version stays in force, and only recommends":    {Kind: KindGovernance, Kept: true},
		"its report is not sent":                                       {Kind: KindReport},
		"what it may own is left as it is":                             {Kind: KindServer},
		"its prices are not known":                                     {Kind: KindPrices},
		"no good version is known: the workloads it may mean are held": {},
	} {
		if got := b.Effect(); got != want {
			t.Errorf("%+v: %q, want %q", b, got, want)
		}
	}
}
