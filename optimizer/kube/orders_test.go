package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

var teatime = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)

// board is a store with the orders ConfigMap, with data.
func board(data map[string]string) *store {
	return &store{tracker: fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: OrdersName}, Data: data}).Tracker()}
}

// taker is the daemon's side at teatime.
func taker(client kubernetes.Interface) *Orders {
	o := NewOrders(client, "trimtab")
	o.now = func() time.Time { return teatime }
	return o
}

func orderText(o optimizer.Order) string {
	o.Key = OrderKey(o.Verb, o.ID)
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func dataOf(t *testing.T, client kubernetes.Interface) map[string]string {
	t.Helper()
	m, err := client.CoreV1().ConfigMaps("trimtab").Get(t.Context(), OrdersName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Data
}

func mustPending(t *testing.T, o *Orders) []optimizer.Order {
	t.Helper()
	orders, err := o.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return orders
}

func TestOrdersPending(t *testing.T) {
	give := func(verb optimizer.Verb, id string, ago time.Duration) optimizer.Order {
		return optimizer.Order{Key: OrderKey(verb, id), Verb: verb, ID: id, By: "ann", At: teatime.Add(-ago)}
	}
	newer, older, mail := give(optimizer.Approve, "6277a818", time.Minute), give(optimizer.Revert, "20261121t113845-3f9a2c", time.Hour), give(optimizer.Send, "weekly", 2*time.Minute)
	newer.Seen = fleet.Target{Replicas: 2, Requests: []fleet.ContainerRequests{{Container: "s", Requests: fleet.Resources{MilliCPU: 20}}}}
	client := board(map[string]string{newer.Key: orderText(newer), older.Key: orderText(older), mail.Key: orderText(mail), "answer.apply.x": "{}"}).client()
	same(t, "pending", mustPending(t, taker(client)), []optimizer.Order{older, mail, newer})
	if n := writes(client); n != 0 {
		t.Errorf("%d writes for orders without faults", n)
	}
}

// TestOrdersFaults: what cannot be carried out is answered in words and out of the way.
func TestOrdersFaults(t *testing.T) {
	good := optimizer.Order{Verb: optimizer.Approve, ID: "good", By: "ann", At: teatime}
	late := optimizer.Order{Verb: optimizer.Approve, ID: "late", By: "ann", At: teatime.Add(-time.Hour - time.Second)}
	ahead := optimizer.Order{Verb: optimizer.Approve, ID: "ahead", By: "ann", At: teatime.Add(2 * time.Hour)}
	timeless := optimizer.Order{Verb: optimizer.Approve, ID: "timeless"}
	long := strings.Repeat("x", 253)
	client := board(map[string]string{
		"apply.good": orderText(good), "apply.late": orderText(late), "apply.ahead": orderText(ahead), "apply.timeless": orderText(timeless),
		"apply.other": orderText(good), "apply.": orderText(optimizer.Order{Verb: optimizer.Approve, At: teatime}), "apply.broken": "{", "apply.twice": orderText(good) + "{}",
		"apply.later": `{"patience":3}`, "stop": "now", long: "",
	}).client()
	if got := mustPending(t, taker(client)); len(got) != 1 || got[0].ID != "good" {
		t.Errorf("pending %+v", got)
	}
	data := dataOf(t, client)
	for key, want := range map[string]string{
		"apply.late":     "not done: it was given at 2026-11-21T14:59:59Z, and here it is 2026-11-21T16:00:00Z",
		"apply.ahead":    "not done: it was given at 2026-11-21T18:00:00Z",
		"apply.timeless": "not done: it does not say when it was given",
		"apply.other":    "not done: the key is apply.other, the order in it is for apply.good",
		"apply.":         "not done: the key is apply., the order",
		"apply.broken":   "not done: it cannot be read: unexpected EOF; are the daemon and your program of one version?",
		"apply.twice":    "not done: it cannot be read: something follows the order",
		"apply.later":    `unknown field \"patience\"`,
		"stop":           "not done: stop is no order; their keys are apply.ID, revert.ID and send.NAME",
		long[:246]:       "is no order",
	} {
		if !strings.Contains(data["answer."+key], want) {
			t.Errorf("%s is answered %q, want %q", key, data["answer."+key], want)
		}
		if _, there := data[key]; there {
			t.Errorf("%s is still there", key)
		}
	}
	if len(data) != 1+10 || data["apply.good"] == "" {
		t.Errorf("%d keys: %v", len(data), data)
	}
}

func TestOrdersBy(t *testing.T) {
	for by, want := range map[string]string{"": "unknown", " \n": "unknown", "ann\x1b[31m\nbob": "ann [31m bob", "Zoë": "Zoë", strings.Repeat("é", 100): strings.Repeat("é", 62) + "..."} {
		o := optimizer.Order{Verb: optimizer.Approve, ID: "a", By: by, At: teatime}
		got, err := readOrder("apply.a", orderText(o))
		if err != nil || got.By != want {
			t.Errorf("%q is read as %q, %v", by, got.By, err)
		}
	}
}

func TestOrdersNoConfigMap(t *testing.T) {
	client := versioned()
	if got := mustPending(t, taker(client)); got != nil || writes(client) != 0 {
		t.Errorf("%v, %d writes", got, writes(client))
	}
	contains(t, taker(client).Answer(t.Context(), optimizer.Order{Key: "apply.a"}, "x"), "answer in ConfigMap trimtab/trimtab-orders", "not found")
}

// TestOrdersAnswer: the order goes and its answer comes in one write; answers of the day before yesterday go, a newer
// order of the same key stays.
func TestOrdersAnswer(t *testing.T) {
	first := optimizer.Order{Key: "apply.a", Verb: optimizer.Approve, ID: "a", By: "ann", At: teatime.Add(-time.Minute)}
	second := first
	second.At = teatime
	old := answerText{At: teatime.Add(-answerStays - time.Second), Text: "old"}
	fresh := answerText{At: teatime.Add(-answerStays), Text: "fresh"}
	client := board(map[string]string{"apply.a": orderText(first), "answer.apply.b": old.String(), "answer.apply.c": fresh.String(), "answer.apply.d": "?"}).client()
	if err := taker(client).Answer(t.Context(), first, "begun\nas x"); err != nil {
		t.Fatal(err)
	}
	same(t, "data", dataOf(t, client), map[string]string{
		"answer.apply.a": `{"at":"2026-11-21T16:00:00Z","ordered":"2026-11-21T15:59:00Z","text":"begun as x"}`, "answer.apply.c": fresh.String(),
	})
	if n := writes(client); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}

	s := board(map[string]string{"apply.a": orderText(first)})
	client = s.client()
	once(client, func() { // a person orders anew while the first order is being answered
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: OrdersName, ResourceVersion: ""}, Data: map[string]string{"apply.a": orderText(second)}}
		if _, err := s.client().CoreV1().ConfigMaps("trimtab").Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Error(err)
		}
	})
	if err := taker(client).Answer(t.Context(), first, "begun"); err != nil {
		t.Fatal(err)
	}
	if data := dataOf(t, client); data["apply.a"] != orderText(second) || !strings.Contains(data["answer.apply.a"], "begun") {
		t.Errorf("%v", data)
	}
	refuse(client, "update", "configmaps", always(), apierrors.NewConflict(group("", "configmaps"), OrdersName, errors.New("modified")))
	contains(t, taker(client).Answer(t.Context(), second, "x"), "answer in ConfigMap trimtab/trimtab-orders", "modified")
}

// TestDesk: what a person orders the daemon reads as it was meant, and the person reads the daemon's answer.
func TestDesk(t *testing.T) {
	s := board(nil)
	client := s.client()
	client.PrependReactor("create", "selfsubjectreviews", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "ann@example.com"}}}, nil
	})
	desk, orders := NewDesk(client, "trimtab"), taker(s.client())
	desk.every = time.Millisecond
	target := fleet.Target{Capacity: fleet.Spot}
	for _, text := range []string{"begun as x", "not done"} { // the second time there is an old answer
		given, err := desk.Give(t.Context(), optimizer.Order{Verb: optimizer.Approve, ID: "6277a818", Seen: target}, teatime)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err = desk.Await(short, given)
		cancel()
		contains(t, err, "no answer to apply.6277a818 yet", "does a replica of the daemon lead?", "key answer.apply.6277a818")
		got := mustPending(t, orders)
		same(t, "pending", got, []optimizer.Order{{Key: "apply.6277a818", Verb: optimizer.Approve, ID: "6277a818", By: "ann@example.com", At: teatime, Seen: target}})
		if err := orders.Answer(t.Context(), got[0], text); err != nil {
			t.Fatal(err)
		}
		if answer, err := desk.Await(t.Context(), given); err != nil || answer != text {
			t.Errorf("answer %q, %v", answer, err)
		}
	}
}

// TestDeskWaitsForItsOwnAnswer: one to an older order of the same key is not it.
func TestDeskWaitsForItsOwnAnswer(t *testing.T) {
	stale := answerText{At: teatime, Ordered: teatime.Add(-time.Minute), Text: "to somebody else"}
	client := board(map[string]string{"answer.revert.x": stale.String()}).client()
	desk := NewDesk(client, "trimtab")
	desk.every = time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := desk.Await(ctx, optimizer.Order{Key: "revert.x", Verb: optimizer.Revert, ID: "x", At: teatime})
	contains(t, err, "no answer to revert.x yet")
}

func TestDeskFaults(t *testing.T) {
	order := optimizer.Order{Key: "revert.x", Verb: optimizer.Revert, ID: "x"}
	client := versioned()
	desk := NewDesk(client, "trimtab")
	_, err := desk.Give(t.Context(), order, teatime)
	contains(t, err, "order revert.x", "has no ConfigMap trimtab-orders, which comes with the daemon: install or upgrade it")
	if _, err := client.CoreV1().ConfigMaps("trimtab").Get(t.Context(), OrdersName, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("an order made the ConfigMap: %v", err)
	}
	client = board(nil).client()
	refuse(client, "patch", "configmaps", always(), apierrors.NewForbidden(group("", "configmaps"), OrdersName, errors.New("no")))
	_, err = NewDesk(client, "trimtab").Give(t.Context(), order, teatime)
	contains(t, err, "RBAC does not allow it; you need the Role trimtab-approver in namespace trimtab")

	client = board(map[string]string{"answer.revert.x": answerText{At: teatime, Text: "done"}.String()}).client()
	calls := 0
	client.PrependReactor("get", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		calls++
		return calls < 3, nil, errors.New("connection refused")
	})
	desk = NewDesk(client, "trimtab")
	desk.every = time.Millisecond
	if text, err := desk.Await(t.Context(), order); err != nil || text != "done" {
		t.Errorf("after an API server that did not answer: %q, %v", text, err)
	}
	refuse(client, "get", "configmaps", always(), apierrors.NewForbidden(group("", "configmaps"), OrdersName, errors.New("no")))
	_, err = desk.Await(t.Context(), order)
	contains(t, err, "wait for the answer to revert.x", "trimtab-approver")
}

// FuzzOrders: whatever the ConfigMap holds, each key is an order, answered with why it is none, or an answer; and what
// is answered can be stored.
func FuzzOrders(f *testing.F) {
	f.Add("apply.a", orderText(optimizer.Order{Verb: optimizer.Approve, ID: "a", By: "x", At: teatime}))
	f.Add("revert.", "{}")
	f.Add("answer.apply.a", answerText{At: teatime, Text: "\xff"}.String())
	f.Fuzz(func(t *testing.T, key, text string) {
		good, bad := readOrders(map[string]string{key: text}, teatime)
		if isAnswer(key) != (len(good)+len(bad) == 0) {
			t.Fatalf("%d orders, %d faults", len(good), len(bad))
		}
		o := &Orders{now: func() time.Time { return teatime }}
		m := &corev1.ConfigMap{Data: map[string]string{key: text}}
		for _, g := range good {
			if g.By == "" || g.ID == "" || g.Key != key {
				t.Fatalf("%+v", g)
			}
			o.end(m, g, text)
		}
		for _, b := range bad {
			o.end(m, b.order, b.why)
		}
		if a, ok := readAnswer(m.Data[answerKey(key)]); !isAnswer(key) && (!ok || len(m.Data) != 1 || len(answerKey(key)) > maxKey || len(a.Text) > maxAnswer) {
			t.Fatalf("%v", m.Data)
		}
	})
}

// TestOrdersOnRealServer: a person with the rights of the Role trimtab-approver and no others orders, and is answered.
func TestOrdersOnRealServer(t *testing.T) {
	client := realServer(t)
	maps := client.CoreV1().ConfigMaps("trimtab")
	_ = maps.Delete(t.Context(), OrdersName, metav1.DeleteOptions{})
	desk, orders := NewDesk(client, "trimtab"), NewOrders(client, "trimtab")
	desk.every = 10 * time.Millisecond
	_, err := desk.Give(t.Context(), optimizer.Order{Verb: optimizer.Revert, ID: "x"}, time.Now())
	contains(t, err, "install or upgrade it")
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: OrdersName}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		given, err := desk.Give(t.Context(), optimizer.Order{Verb: optimizer.Revert, ID: "x", Seen: fleet.Target{Replicas: 2}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pending := mustPending(t, orders)
		same(t, "pending", pending, []optimizer.Order{given})
		if err := orders.Answer(t.Context(), pending[0], fmt.Sprintf("answer %d", n)); err != nil {
			t.Fatal(err)
		}
		text, err := desk.Await(t.Context(), given)
		if err != nil || text != fmt.Sprintf("answer %d", n) || given.By == "unknown" {
			t.Errorf("%q by %s, %v", text, given.By, err)
		}
	}
	if err := maps.Delete(t.Context(), OrdersName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}
