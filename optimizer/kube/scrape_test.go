package kube

import (
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer/fleet"
)

type notes = map[string]string

// annotated are prometheus.io annotations from pairs of key and value.
func annotated(pairs ...string) notes {
	n := notes{}
	for i := 0; i < len(pairs); i += 2 {
		n["prometheus.io/"+pairs[i]] = pairs[i+1]
	}
	return n
}

func TestScrapeURL(t *testing.T) {
	yes := annotated("scrape", "true")
	declared := []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}}
	for _, row := range []struct {
		name     string
		pod      notes
		ports    []corev1.ContainerPort
		service  notes
		target   intstr.IntOrString
		ip, want string
	}{
		{"nothing said", nil, declared, nil, intstr.IntOrString{}, "10.0.0.1", ""},
		{"the article's Service", nil, nil, yes, intstr.FromInt32(8080), "10.0.0.1", "http://10.0.0.1:8080/metrics"},
		{"Service with a path", nil, nil, annotated("scrape", "true", "path", "/stats"), intstr.FromInt32(8080), "10.0.0.1", "http://10.0.0.1:8080/stats"},
		{"Service with a port", nil, nil, annotated("scrape", "true", "port", "9100"), intstr.FromInt32(8080), "10.0.0.1", "http://10.0.0.1:9100/metrics"},
		{"Service to a named port", nil, declared, yes, intstr.FromString("metrics"), "10.0.0.1", "http://10.0.0.1:9090/metrics"},
		{"Service to a name no container has", nil, declared, yes, intstr.FromString("grpc"), "10.0.0.1", ""},
		{"Service without a target port", nil, nil, yes, intstr.IntOrString{}, "10.0.0.1", "http://10.0.0.1:80/metrics"},
		{"Service that says no", nil, declared, annotated("scrape", "false"), intstr.FromInt32(8080), "10.0.0.1", ""},
		{"pod with a port", annotated("scrape", "true", "port", "9091"), declared, nil, intstr.IntOrString{}, "10.0.0.1", "http://10.0.0.1:9091/metrics"},
		{"pod with a port by name", annotated("scrape", "true", "port", "metrics"), declared, nil, intstr.IntOrString{}, "10.0.0.1", "http://10.0.0.1:9090/metrics"},
		{"pod without a port: the first declared", yes, declared, nil, intstr.IntOrString{}, "10.0.0.1", "http://10.0.0.1:8080/metrics"},
		{"pod without any port", yes, nil, nil, intstr.IntOrString{}, "10.0.0.1", ""},
		{"all of it", annotated("scrape", "True", "port", "8443", "path", "m?format=text", "scheme", "https"), nil, nil, intstr.IntOrString{}, "10.0.0.1", "https://10.0.0.1:8443/m?format=text"},
		{"the pod's own word first", annotated("scrape", "true", "port", "1"), nil, yes, intstr.FromInt32(2), "10.0.0.1", "http://10.0.0.1:1/metrics"},
		{"also when it is no", annotated("scrape", "false"), declared, yes, intstr.FromInt32(2), "10.0.0.1", ""},
		{"no address yet", yes, declared, yes, intstr.FromInt32(2), "", ""},
		{"IPv6", yes, declared, nil, intstr.IntOrString{}, "fd00::1", "http://[fd00::1]:8080/metrics"},
		{"a port that is none", annotated("scrape", "true", "port", "99999"), declared, nil, intstr.IntOrString{}, "10.0.0.1", ""},
		{"port zero", annotated("scrape", "true", "port", "0"), declared, nil, intstr.IntOrString{}, "10.0.0.1", ""},
		{"a scheme that is none", annotated("scrape", "true", "scheme", "file"), declared, nil, intstr.IntOrString{}, "10.0.0.1", ""},
		{"a path that names a host", annotated("scrape", "true", "path", "//evil.example/x"), declared, nil, intstr.IntOrString{}, "10.0.0.1", "http://10.0.0.1:8080/evil.example/x"},
		{"a path that is none", annotated("scrape", "true", "path", "%zz"), declared, nil, intstr.IntOrString{}, "10.0.0.1", ""},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Labels: notes{"app": "m"}, Annotations: row.pod}}
		p.Spec.Containers = []corev1.Container{{Ports: row.ports}}
		p.Status.PodIP = row.ip
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Annotations: row.service}}
		s.Spec = corev1.ServiceSpec{Selector: notes{"app": "m"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: row.target}}}
		if got := readPod(p).scrapeURL([]*service{readService(s)}); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestServiceMustSelect(t *testing.T) {
	p := &pod{ip: "10.0.0.1"}
	p.Namespace, p.Labels = "ml", notes{"app": "m"}
	selecting := func(ns string, selector notes) *service {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Annotations: annotated("scrape", "true", "port", "1")}}
		s.Spec.Selector = selector
		return readService(s)
	}
	for _, row := range []struct {
		name string
		s    *service
		want bool
	}{
		{"selects", selecting("ml", notes{"app": "m"}), true},
		{"another label", selecting("ml", notes{"app": "other"}), false},
		{"another namespace", selecting("dev", notes{"app": "m"}), false},
		{"selects by hand", selecting("ml", nil), false},
	} {
		if got := p.scrapeURL([]*service{row.s}) != ""; got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := start(t, fake.NewClientset(objects(t, "testdata/article.yaml")...)).Endpoints(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ref := fleet.Deployment("ml-production", "recommendation-model")
		images := map[string]string{"model-server": "proptechusa/recommendation-model:v2.1.0"}
		same(t, "endpoints", got, []Endpoint{
			{Ref: ref, Name: "recommendation-model-7d9-a", UID: "pod-a", IP: "10.0.0.1", Images: images, ScrapeURL: "http://10.0.0.1:8080/metrics"},
			{Ref: ref, Name: "recommendation-model-7d9-b", UID: "pod-b", IP: "10.0.0.2", Ready: true, Images: images, ScrapeURL: "http://10.0.0.2:8080/metrics"},
		})
	})
}
