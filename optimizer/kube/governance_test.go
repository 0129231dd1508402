package kube

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// governanceRig is one keeper on a fake cluster with the namespace ml. Use it in a synctest bubble.
type governanceRig struct {
	*testing.T
	client  *fake.Clientset
	cluster *Cluster
	keeper  *Governance
	now     time.Time
	writes  []string // of the last pass
}

func newGovernanceRig(t *testing.T, objects ...runtime.Object) *governanceRig {
	client := fake.NewClientset(append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}})...)
	c := start(t, client)
	return &governanceRig{T: t, client: client, cluster: c, keeper: NewGovernance(client, c), now: time.Unix(1_800_000_000, 0)}
}

// asked is a document of the namespace ml that enforces.
func asked(change ...func(*policies.Governance)) policies.Governance {
	d := policies.Governance{
		Name: "ml-models", Mode: policies.Enforce, Namespaces: []string{"ml"}, QuotaName: "q", LimitName: "l",
		Quota: []policies.Amount{{Name: "requests.cpu", Quantity: "50"}, {Name: "requests.nvidia.com/gpu", Quantity: "10"}},
		Limits: []policies.LimitItem{{Type: "Container", Default: []policies.Amount{{Name: "cpu", Quantity: "1"}},
			DefaultRequest: []policies.Amount{{Name: "cpu", Quantity: "500m"}}}},
	}
	for _, c := range change {
		c(&d)
	}
	return d
}

func quotaOf(pairs ...string) func(*policies.Governance) {
	return func(d *policies.Governance) {
		d.Quota = nil
		for i := 0; i < len(pairs); i += 2 {
			d.Quota = append(d.Quota, policies.Amount{Name: pairs[i], Quantity: pairs[i+1]})
		}
	}
}

func quotaOnly(d *policies.Governance) { d.Limits = nil }

func recommending(d *policies.Governance) { d.Mode = policies.Recommend }

// pass is what one pass a minute later keeps, one object a line.
func (r *governanceRig) pass(write bool, set policies.Set) string {
	r.Helper()
	r.now = r.now.Add(time.Minute)
	seen, err := r.cluster.Observe(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	r.client.ClearActions()
	kept, err := r.keeper.Keep(r.Context(), set, seen, write, r.now)
	if err != nil {
		r.Fatal(err)
	}
	r.writes = nil
	for _, a := range r.client.Actions() {
		if !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()) {
			r.writes = append(r.writes, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	synctest.Wait() // the caches hear of it
	var lines []string
	for _, k := range kept {
		lines = append(lines, fmt.Sprintf("%s %s/%s %s: %s", k.Kind, k.Namespace, k.Name, k.State, k.Detail))
	}
	return strings.Join(lines, "\n")
}

// keeps runs a pass that may write and compares what it kept and wrote.
func (r *governanceRig) keeps(what string, set policies.Set, want string, writes ...string) {
	r.Helper()
	if got := r.pass(true, set); got != want {
		r.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
	if !slices.Equal(r.writes, writes) {
		r.Errorf("%s: writes %v, want %v", what, r.writes, writes)
	}
}

func documents(d ...policies.Governance) policies.Set { return policies.Set{Governances: d} }

func (r *governanceRig) quota() *corev1.ResourceQuota {
	r.Helper()
	q, err := r.client.CoreV1().ResourceQuotas("ml").Get(r.Context(), "q", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return q
}

// edit changes the quota as another field manager does.
func (r *governanceRig) edit(manager string, change func(*corev1.ResourceQuota)) {
	r.Helper()
	q := r.quota()
	change(q)
	if _, err := r.client.CoreV1().ResourceQuotas("ml").Update(r.Context(), q, metav1.UpdateOptions{FieldManager: manager}); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
}

func hard(pairs ...string) func(*corev1.ResourceQuota) {
	return func(q *corev1.ResourceQuota) {
		for name, v := range list(pairs...) {
			q.Spec.Hard[name] = v
		}
	}
}

const (
	asAsked = "LimitRange ml/l as-asked: \nResourceQuota ml/q as-asked: "
	created = "LimitRange ml/l created: Container default.cpu 1, Container defaultRequest.cpu 500m\n" +
		"ResourceQuota ml/q created: requests.cpu 50, requests.nvidia.com/gpu 10"
)

func TestGovernanceCreates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		r.keeps("first", documents(asked()), created, "patch limitranges", "patch resourcequotas")
		q := r.quota()
		if q.Labels[policies.GovernanceLabel] != "ml-models" || len(q.ManagedFields) != 1 || q.ManagedFields[0].Manager != governanceManager {
			t.Errorf("%+v", q.ObjectMeta)
		}
		same(t, "hard", q.Spec.Hard, list("requests.cpu", "50", "requests.nvidia.com/gpu", "10"))
		l, err := r.client.CoreV1().LimitRanges("ml").Get(t.Context(), "l", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "limits", l.Spec.Limits, []corev1.LimitRangeItem{{Type: "Container", Default: list("cpu", "1"), DefaultRequest: list("cpu", "500m")}})
		r.keeps("again", documents(asked()), asAsked)
		r.keeps("as the API server writes it", documents(asked(quotaOf("requests.cpu", "50000m", "requests.nvidia.com/gpu", "10"))), asAsked)
	})
}

// Neither a document that recommends nor a daemon that may not write changes anything.
func TestGovernanceOnlyShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		would := "LimitRange ml/l differs: would create LimitRange l: Container default.cpu 1, Container defaultRequest.cpu 500m\n" +
			"ResourceQuota ml/q differs: would create ResourceQuota q: requests.cpu 50, requests.nvidia.com/gpu 10"
		r.keeps("recommends", documents(asked(recommending)), would)
		if got := r.pass(false, documents(asked())); got != would || len(r.writes) > 0 {
			t.Errorf("may not write: %s %v", got, r.writes)
		}
		r.keeps("made", documents(asked()), created, "patch limitranges", "patch resourcequotas")
		r.edit("kubectl-edit", func(q *corev1.ResourceQuota) {
			hard("requests.cpu", "40", "pods", "5")(q) // pods is theirs
			delete(q.Spec.Hard, "requests.nvidia.com/gpu")
		})
		differs := "LimitRange ml/l as-asked: \n" +
			"ResourceQuota ml/q differs: requests.cpu is 40 (by kubectl-edit), the document asks 50; requests.nvidia.com/gpu is not set, the document asks 10"
		r.keeps("recommends again", documents(asked(recommending)), differs)
		if got := r.pass(false, documents(asked())); got != differs || len(r.writes) > 0 {
			t.Errorf("may not write: %s %v", got, r.writes)
		}
		r.pass(true, documents(asked()))
		r.keeps("a line dropped", documents(asked(recommending, quotaOf("requests.cpu", "50"))),
			"LimitRange ml/l as-asked: \nResourceQuota ml/q differs: requests.nvidia.com/gpu is 10, the document asks none")
	})
}

func TestGovernanceRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		r.pass(true, documents(asked()))
		r.edit("kubectl-edit", hard("requests.cpu", "40", "pods", "5"))
		r.keeps("drift", documents(asked()), "LimitRange ml/l as-asked: \nResourceQuota ml/q repaired: requests.cpu was 40 (by kubectl-edit), is 50", "patch resourcequotas")
		same(t, "hard", r.quota().Spec.Hard, list("requests.cpu", "50", "requests.nvidia.com/gpu", "10", "pods", "5"))
		r.keeps("quiet", documents(asked()), asAsked)

		r.keeps("the document changed", documents(asked(quotaOf("requests.cpu", "60"))),
			"LimitRange ml/l as-asked: \nResourceQuota ml/q repaired: requests.cpu was 50, is 60; requests.nvidia.com/gpu was 10, is not set", "patch resourcequotas")
		same(t, "hard", r.quota().Spec.Hard, list("requests.cpu", "60", "pods", "5"))

		l, _ := r.client.CoreV1().LimitRanges("ml").Get(t.Context(), "l", metav1.GetOptions{})
		l.Spec.Limits = append(l.Spec.Limits, corev1.LimitRangeItem{Type: "Pod", Max: list("cpu", "2")})
		l.Spec.Limits[0].Default = list("cpu", "2")
		if _, err := r.client.CoreV1().LimitRanges("ml").Update(t.Context(), l, metav1.UpdateOptions{FieldManager: "dashboard"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.keeps("a LimitRange is written whole", documents(asked(quotaOf("requests.cpu", "60"))),
			"LimitRange ml/l repaired: Container default.cpu was 2 (by dashboard), is 1; Pod max.cpu was 2 (by dashboard), is not set\nResourceQuota ml/q as-asked: ", "patch limitranges")
		r.keeps("quiet at the end", documents(asked(quotaOf("requests.cpu", "60"))), asAsked)
	})
}

// What the API server fills into a LimitRange by itself is no difference; anything else is.
func TestGovernanceImplied(t *testing.T) {
	item := policies.LimitItem{Type: "Container", Max: []policies.Amount{{Name: "cpu", Quantity: "4"}}, Min: []policies.Amount{{Name: "memory", Quantity: "1Gi"}},
		Default: []policies.Amount{{Name: "memory", Quantity: "2Gi"}}}
	w, _ := wantedRange(policies.Governance{Name: "d", LimitName: "l", Limits: []policies.LimitItem{item}}, "ml")
	live := func(defaults, requests corev1.ResourceList) governed {
		return governedRange(&corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{policies.GovernanceLabel: "d"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: governanceManager}}},
			Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: "Container", Max: list("cpu", "4"), Min: list("memory", "1Gi"), Default: defaults, DefaultRequest: requests}}},
		})
	}
	for _, c := range []struct {
		name string
		live governed
		want string
	}{
		{"as written", live(list("memory", "2Gi"), nil), ""},
		{"filled in: default from max, requests from the defaults", live(list("cpu", "4", "memory", "2Gi"), list("cpu", "4", "memory", "2Gi")), ""},
		{"another request", live(list("cpu", "4", "memory", "2Gi"), list("cpu", "4", "memory", "1Gi")), "Container defaultRequest.memory is 1Gi, the document asks none"},
		{"another default", live(list("cpu", "3", "memory", "2Gi"), nil), "Container default.cpu is 3, the document asks none"},
	} {
		if got := say(w.differences(c.live), difference.pending); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestGovernanceBelowUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		r.pass(true, documents(asked(quotaOnly)))
		q := r.quota()
		q.Status.Used = list("requests.cpu", "45", "requests.nvidia.com/gpu", "10")
		if _, err := r.client.CoreV1().ResourceQuotas("ml").UpdateStatus(t.Context(), q, metav1.UpdateOptions{FieldManager: "kube-controller-manager"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lower := func(cpu string) policies.Governance {
			return asked(quotaOnly, quotaOf("requests.cpu", cpu, "requests.nvidia.com/gpu", "10"))
		}
		refusal := "ResourceQuota ml/q refused: requests.cpu: 45 is in use and the document asks 40, which would block new pods, " +
			"those of the next failed node too; free some, ask more, or set allowBelowUsed"
		r.keeps("below", documents(lower("40")), refusal)
		r.keeps("at what is used", documents(lower("45")), "ResourceQuota ml/q repaired: requests.cpu was 50, is 45", "patch resourcequotas")
		allowed := lower("40")
		allowed.AllowBelowUsed = true
		r.keeps("allowed", documents(allowed), "ResourceQuota ml/q repaired: requests.cpu was 45, is 40", "patch resourcequotas")
		r.keeps("raised, still below", documents(lower("42")), "ResourceQuota ml/q repaired: requests.cpu was 40, is 42", "patch resourcequotas")
		r.keeps("as asked, though below", documents(lower("42")), "ResourceQuota ml/q as-asked: ")
	})
}

func TestGovernanceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		d := asked(quotaOnly)
		d.Namespaces = []string{"nowhere"}
		r.keeps("no namespace", documents(d), "ResourceQuota nowhere/q refused: namespace nowhere does not exist; create it, or remove it from the document")

		var on atomic.Bool
		on.Store(true)
		refuse(r.client, "patch", "limitranges", &on, forbidden("limitranges"))
		first := r.pass(true, documents(asked()))
		if !strings.HasPrefix(first, "LimitRange ml/l refused: write LimitRange ml/l: ") || !strings.Contains(first, "forbidden") ||
			!strings.HasSuffix(first, "\nResourceQuota ml/q refused: waits for LimitRange ml/l, without whose defaults it would refuse pods") ||
			!slices.Equal(r.writes, []string{"patch limitranges"}) {
			t.Errorf("%s\n%v", first, r.writes)
		}
		on.Store(false)
		r.keeps("allowed again", documents(asked()), created, "patch limitranges", "patch resourcequotas")
	})
}

// An object of the same name that somebody made is taken over, and left where no document asks for it any more.
func TestGovernanceTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		mine := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q", Namespace: "ml"}, Spec: corev1.ResourceQuotaSpec{Hard: list("requests.cpu", "50", "requests.nvidia.com/gpu", "10")}}
		if _, err := r.client.CoreV1().ResourceQuotas("ml").Create(t.Context(), mine, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.keeps("only shown", documents(asked(quotaOnly, recommending)), "ResourceQuota ml/q differs: is as asked, and not kept by the document yet (by kubectl-create)")
		r.keeps("taken over", documents(asked(quotaOnly)), "ResourceQuota ml/q repaired: taken over as it is (by kubectl-create)", "patch resourcequotas")
		r.keeps("kept", documents(asked(quotaOnly)), "ResourceQuota ml/q as-asked: ")
		renamed := asked(quotaOnly)
		renamed.Name = "other"
		for range 3 { // no fight
			r.keeps("another document", documents(renamed), "ResourceQuota ml/q repaired: taken over as it is (by kubectl-create)", "patch resourcequotas")
			r.keeps("and back", documents(asked(quotaOnly)), "ResourceQuota ml/q repaired: taken over as it is (by kubectl-create)", "patch resourcequotas")
		}
		r.keeps("not asked for", policies.Set{}, "ResourceQuota ml/q differs: no document asks for it any more; it stays, for kubectl-create wrote to it too: delete it by hand")
	})
}

// Where the quota stays, so do the defaults without which it would refuse pods.
func TestGovernanceDeletesQuotaFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		r.pass(true, documents(asked()))
		r.edit("kubectl-label", func(q *corev1.ResourceQuota) { q.Labels["team"] = "a" })
		r.keeps("the quota is shared", policies.Set{},
			"LimitRange ml/l differs: no document asks for it any more; it stays with ResourceQuota q, which may refuse pods without its defaults\n"+
				"ResourceQuota ml/q differs: no document asks for it any more; it stays, for kubectl-label wrote to it too: delete it by hand")
		if err := r.client.CoreV1().ResourceQuotas("ml").Delete(t.Context(), "q", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.keeps("deleted by hand", policies.Set{}, "LimitRange ml/l deleted: no document asks for it any more", "delete limitranges")
	})
}

// The label alone does not make an object ours: it is copied with its manifest.
func TestGovernanceLabelAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t, &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "q", Namespace: "ml", Labels: map[string]string{policies.GovernanceLabel: "ml-models"}},
			Spec:       corev1.ResourceQuotaSpec{Hard: list("requests.cpu", "50", "requests.nvidia.com/gpu", "10")},
		})
		r.keeps("taken over", documents(asked(quotaOnly)), "ResourceQuota ml/q repaired: taken over as it is", "patch resourcequotas")
	})
}

// Caches that are behind what this keeper wrote itself make no second write, and no fight.
func TestGovernanceStaleCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		set := documents(asked(quotaOnly))
		r.pass(true, set)
		behind := r.quota()
		hard("requests.cpu", "40")(behind)
		for range 3 {
			if err := r.cluster.quotas.GetStore().Update(readQuota(behind)); err != nil {
				t.Fatal(err)
			}
			r.keeps("behind", set, "ResourceQuota ml/q as-asked: ")
		}
	})
}

func TestGovernanceDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "copy", Namespace: "ml", Labels: map[string]string{policies.GovernanceLabel: "ml-models"}}}
		r := newGovernanceRig(t, foreign)
		r.pass(true, documents(asked()))
		const stays = "LimitRange ml/l differs: no document asks for it any more; %[1]s\nResourceQuota ml/q differs: no document asks for it any more; %[1]s"
		if got := r.pass(false, policies.Set{}); got != fmt.Sprintf(stays, "would delete it") || len(r.writes) > 0 {
			t.Errorf("may not write: %s %v", got, r.writes)
		}
		for _, kind := range []string{"Governance", "", "Governence"} {
			r.keeps("a document with faults of kind "+kind, policies.Set{Bad: []policies.Bad{{Source: "cm/g", Kind: kind}}},
				fmt.Sprintf(stays, "it stays while cm/g has faults, which may be its document"))
		}
		elsewhere := asked(recommending, func(d *policies.Governance) { d.Namespaces = nil })
		r.keeps("the document recommends", documents(elsewhere), fmt.Sprintf(stays, "its document only recommends, so it stays"))
		r.keeps("a Policy has faults", policies.Set{Bad: []policies.Bad{{Source: "cm/p", Kind: "Policy"}}},
			"LimitRange ml/l deleted: no document asks for it any more\nResourceQuota ml/q deleted: no document asks for it any more",
			"delete resourcequotas", "delete limitranges")
		r.keeps("quiet; the copy is not ours", policies.Set{}, "")
		if _, err := r.client.CoreV1().ResourceQuotas("ml").Get(t.Context(), "copy", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// A document that asks for less in enforce mode deletes what it no longer asks for.
func TestGovernanceDeletesPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		r.pass(true, documents(asked()))
		r.keeps("the quota alone", documents(asked(quotaOnly)), "LimitRange ml/l deleted: no document asks for it any more\nResourceQuota ml/q as-asked: ", "delete limitranges")
	})
}

// A deletion is conditional on the object that was read.
func TestGovernanceDeletesOnlyWhatItRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		r.pass(true, documents(asked(quotaOnly)))
		var got *metav1.Preconditions
		r.client.PrependReactor("delete", "resourcequotas", func(a k8stesting.Action) (bool, runtime.Object, error) {
			got = a.(k8stesting.DeleteAction).GetDeleteOptions().Preconditions
			return false, nil, nil
		})
		live := r.keeper.kinds[1].cached("ml", "q")
		r.pass(true, policies.Set{})
		if got == nil || got.UID == nil || string(*got.UID) != live.uid || got.ResourceVersion == nil || *got.ResourceVersion != live.version {
			t.Errorf("preconditions %+v of %+v", got, live)
		}
	})
}

// Who takes a line back twice within an hour is left alone with it for as long; others are not confused with it.
func TestGovernanceQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		set := documents(asked(quotaOnly))
		const repairs = "ResourceQuota ml/q repaired: requests.cpu was 40 (by %s), is 50"
		r.pass(true, set)
		r.edit("kubectl-edit", hard("requests.cpu", "40"))
		r.keeps("a person, once", set, fmt.Sprintf(repairs, "kubectl-edit"), "patch resourcequotas")
		r.edit("kustomize-controller", hard("requests.cpu", "40"))
		r.keeps("another party, once", set, fmt.Sprintf(repairs, "kustomize-controller"), "patch resourcequotas")
		r.edit("kustomize-controller", hard("requests.cpu", "40"))
		// The passes are a minute apart from 08:01; the first of its reverts was seen in the third.
		left := "ResourceQuota ml/q refused: requests.cpu is left alone: kustomize-controller took it back 2 times within an hour; " +
			"agree on one owner, or change it there. Tried again at 09:03 UTC"
		r.keeps("twice", set, left)
		for range 3 {
			r.keeps("still", set, left)
		}
		r.now = r.now.Add(time.Hour)
		r.keeps("an hour later", set, fmt.Sprintf(repairs, "kustomize-controller"), "patch resourcequotas")
		r.keeps("quiet", set, "ResourceQuota ml/q as-asked: ")
	})
}

// Reverts further apart than an hour are no fight.
func TestGovernanceSlowDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		set := documents(asked(quotaOnly))
		r.pass(true, set)
		for range 4 {
			r.edit("kubectl-edit", hard("requests.cpu", "40"))
			r.keeps("drift", set, "ResourceQuota ml/q repaired: requests.cpu was 40 (by kubectl-edit), is 50", "patch resourcequotas")
			r.now = r.now.Add(time.Hour)
		}
	})
}

// A document that changes often is no fight; a line that another party removes again and again is one.
func TestGovernanceFightsOnlyFights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		for i := range 5 {
			cpu := fmt.Sprint(50 + i)
			r.pass(true, documents(asked(quotaOnly, quotaOf("requests.cpu", cpu))))
			if got := r.quota().Spec.Hard["requests.cpu"]; got.String() != cpu {
				t.Errorf("change %d: %s", i, got.String())
			}
		}
		set := documents(asked(quotaOnly, quotaOf("requests.cpu", "54", "pods", "5")))
		r.pass(true, set)
		remove := func(q *corev1.ResourceQuota) {
			delete(q.Spec.Hard, "pods")
			q.Annotations = map[string]string{"a": "b"}
		}
		r.edit("argocd", remove)
		r.keeps("removed", set, "ResourceQuota ml/q repaired: pods was not set, is 5", "patch resourcequotas")
		r.edit("argocd", remove)
		if got := r.pass(true, set); !strings.HasPrefix(got, "ResourceQuota ml/q refused: pods is left alone: argocd took it back 2 times") || len(r.writes) > 0 {
			t.Errorf("removed twice: %s %v", got, r.writes)
		}
	})
}

func TestGovernanceDeletedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		set := documents(asked(quotaOnly))
		made := "ResourceQuota ml/q created: requests.cpu 50, requests.nvidia.com/gpu 10"
		r.keeps("made", set, made, "patch resourcequotas")
		for _, want := range []string{made, "ResourceQuota ml/q refused: it is left deleted: another party took it back 2 times within an hour; agree on one owner, or change it there. Tried again at 09:02 UTC"} {
			if err := r.client.CoreV1().ResourceQuotas("ml").Delete(t.Context(), "q", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := r.pass(true, set); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		}
	})
}

// A webhook that changes what is written is said, and not written against for ever.
func TestGovernanceWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGovernanceRig(t)
		set := documents(asked(quotaOnly, quotaOf("requests.cpu", "50")))
		r.client.PrependReactor("patch", "resourcequotas", func(a k8stesting.Action) (bool, runtime.Object, error) {
			p := a.(k8stesting.PatchActionImpl)
			p.Patch = []byte(strings.Replace(string(p.Patch), `"requests.cpu":"50"`, `"requests.cpu":"40"`, 1))
			return k8stesting.ObjectReaction(r.client.Tracker())(p)
		})
		const changed = "ResourceQuota ml/q refused: it was written, and a mutating admission webhook changed it at once: requests.cpu is 40, the document asks 50"
		r.keeps("first", set, changed, "patch resourcequotas")
		r.keeps("second", set, changed, "patch resourcequotas")
		if got := r.pass(true, set); !strings.HasPrefix(got, "ResourceQuota ml/q refused: requests.cpu is left alone: a mutating admission webhook took it back 2 times") || len(r.writes) > 0 {
			t.Errorf("%s %v", got, r.writes)
		}
	})
}

// The quota controller writes every quota's status, and is no other party.
func TestGovernedWriters(t *testing.T) {
	g := governed{managers: []metav1.ManagedFieldsEntry{
		{Manager: governanceManager, Operation: "Apply"}, {Manager: "kubectl-label", Operation: "Update"},
		{Manager: "kube-controller-manager", Operation: "Update", Subresource: "status"}, {Manager: "argocd", Operation: "Apply"}, {Manager: "argocd", Operation: "Update"},
	}}
	same(t, "writers", g.writers(), []string{"argocd", "kubectl-label"})
}

// Nothing is compared with caches that may be wrong.
func TestGovernanceNotReady(t *testing.T) {
	client := fake.NewClientset()
	c := New(client, "trimtab", nil)
	_, err := NewGovernance(client, c).Keep(t.Context(), documents(asked()), fleet.Snapshot{}, true, time.Now())
	contains(t, err, "compare quotas and limits", "not everything was read yet")
}

var _ optimizer.Keeper = (*Governance)(nil)
