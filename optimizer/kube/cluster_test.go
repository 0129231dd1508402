package kube

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/policies"
)

// objects reads every object of a YAML file.
func objects(t *testing.T, file string) []runtime.Object {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []runtime.Object
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		var raw runtime.RawExtension
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw.Raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
}

// start runs a Cluster on client until the test ends. In a synctest bubble it has read everything
// that it can when start returns.
func start(t *testing.T, client *fake.Clientset) *Cluster {
	t.Helper()
	c := New(client, "trimtab", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	c.Start(ctx)
	t.Cleanup(func() {
		cancel()
		c.Wait()
	})
	synctest.Wait()
	return c
}

// refuse makes every call of verb on resource fail with err while on is true.
func refuse(client *fake.Clientset, verb, resource string, on *atomic.Bool, err error) {
	fail := func() (bool, error) { return on.Load(), err }
	if verb == "watch" {
		client.PrependWatchReactor(resource, func(k8stesting.Action) (bool, watch.Interface, error) {
			refused, err := fail()
			return refused, nil, err
		})
		return
	}
	client.PrependReactor(verb, resource, func(k8stesting.Action) (bool, runtime.Object, error) {
		refused, err := fail()
		return refused, nil, err
	})
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(group("apps", resource), "", errors.New(`User "system:serviceaccount:trimtab:trimtab" cannot do that`))
}

func always() *atomic.Bool {
	var on atomic.Bool
	on.Store(true)
	return &on
}

// contains fails unless err's text has every part.
func contains(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

func TestNothingBeforeSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(fake.NewClientset(), "trimtab", slog.New(slog.DiscardHandler))
		if c.Synced() {
			t.Error("synced before it was started")
		}
		_, err := c.Observe(t.Context())
		contains(t, err, "list deployments.apps: no answer yet", "list pods: no answer yet")
		_, err = c.Policies(t.Context())
		contains(t, err, "read policies", "configmaps")
		_, err = c.Endpoints(t.Context())
		contains(t, err, "list pods")
	})
}

func TestForbiddenListIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		refuse(client, "list", "deployments", always(), forbidden("deployments"))
		c := start(t, client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := c.WaitSynced(ctx)
		contains(t, err, `the verb "list" on resource "deployments" of apiGroup "apps"`, "system:serviceaccount:trimtab:trimtab")
		if strings.Contains(err.Error(), "pods") {
			t.Errorf("%v: pods were read", err)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !apierrors.IsForbidden(err) {
			t.Errorf("%v hides its causes", err)
		}
	})
}

func TestForbiddenRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, on := fake.NewClientset(), always()
		refuse(client, "list", "deployments", on, forbidden("deployments"))
		c := start(t, client)
		on.Store(false)
		if err := c.WaitSynced(t.Context()); err != nil { // at client-go's next try, under a minute
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := c.Observe(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Without watch the first list would be all that is ever seen.
func TestForbiddenWatchFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		refuse(client, "watch", "deployments", always(), forbidden("deployments"))
		c := start(t, client)
		if err := c.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := c.Observe(t.Context())
		contains(t, err, "observe the cluster", `the verb "watch" on resource "deployments"`)
	})
}

func TestBrokenWatchFailsAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		var down atomic.Bool
		stream := watch.NewFake()
		client.PrependWatchReactor("pods", k8stesting.DefaultWatchReactor(stream, nil))
		refuse(client, "watch", "pods", &down, errors.New("no route to host"))
		refuse(client, "list", "pods", &down, errors.New("no route to host"))
		c := start(t, client)

		down.Store(true)
		stream.Stop()
		time.Sleep(4 * time.Minute)
		if _, err := c.Observe(t.Context()); err != nil {
			t.Errorf("after four minutes: %v", err)
		}
		time.Sleep(2 * time.Minute)
		_, err := c.Observe(t.Context())
		contains(t, err, "not read for 5m", "list pods: no route to host")
		if !c.Synced() {
			t.Error("synced means read once, and it was")
		}
	})
}

func TestDeletedPodGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(objects(t, "testdata/article.yaml")...)
		c := start(t, client)
		pods := client.CoreV1().Pods("ml-production")
		if err := pods.Delete(t.Context(), "recommendation-model-7d9-b", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s, err := c.Observe(t.Context())
		if err != nil || len(s.Workloads) != 1 || len(s.Workloads[0].Pods) != 1 {
			t.Errorf("%v, %+v: want one pod left", err, s.Workloads)
		}
	})
}

func TestPolicies(t *testing.T) {
	document := func(ns, name string, labels, data map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels}, Data: data}
	}
	yes := map[string]string{policies.PolicyLabel: ""}
	odd := document("trimtab", "a", yes, map[string]string{"z.yaml": "4", "b.yaml": "1"})
	odd.BinaryData = map[string][]byte{"latin1.yaml": {0xe9}}
	synctest.Test(t, func(t *testing.T) {
		c := start(t, fake.NewClientset(
			document("trimtab", "b", yes, map[string]string{"a.yaml": "5"}),
			odd,
			document("trimtab", "unlabelled", nil, map[string]string{"a.yaml": "no"}),
			document("elsewhere", "a", yes, map[string]string{"a.yaml": "no"}),
		))
		raw, err := c.Policies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range raw {
			got = append(got, r.Source+"="+string(r.Data))
		}
		if want := "a/b.yaml=1 a/latin1.yaml=\xe9 a/z.yaml=4 b/a.yaml=5"; strings.Join(got, " ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
