package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

// objects renders the chart with values in YAML and reads every object, strictly: a field that
// Kubernetes does not know is an error.
func objects(t *testing.T, values string) []runtime.Object {
	t.Helper()
	text, err := rendered(t, values)
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var out []runtime.Object
	for _, one := range strings.Split(string(text), "\n---\n") {
		o, _, err := decoder.Decode([]byte(one), nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, one)
		}
		out = append(out, o)
	}
	return out
}

func rendered(t *testing.T, values string) ([]byte, error) {
	t.Helper()
	v, err := common.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	return render("../chart", "costs", v)
}

// only gives the one object of its type in the chart.
func only[T runtime.Object](t *testing.T, all []runtime.Object) T {
	t.Helper()
	var found []T
	for _, o := range all {
		if one, ok := o.(T); ok {
			found = append(found, one)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T, want one", len(found), *new(T))
	}
	return found[0]
}

func TestFaultyValuesAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, values, want string }{
		{"a name that is not there", "enforec: true", "'enforec' not allowed"},
		{"one level down", "persistence: {sise: 2Gi}", "'sise' not allowed"},
		{"text for a number", `replicas: "two"`, "replicas"},
		{"text for a switch", `enforce: "yes"`, "enforce"},
		{"an unknown strategy", "strategy: Rolling", "strategy"},
		{"an argument that is no flag", "extraArgs: [interval=5s]", "extraArgs/0"},
		{"a size that cannot be split", "persistence: {size: 2G}", "persistence/size"},
		{"a limit that cannot be split", "resources: {limits: {memory: 512M}}", "resources/limits/memory"},
		{"a Secret that is no name", "mailSecrets: ['*']", "mailSecrets/0"},
		{"a volume for two", "{replicas: 2, persistence: {enabled: true}}", "a store belongs to one pod"},
		{"a volume that is rolled", "{strategy: RollingUpdate, persistence: {enabled: true}}", "use Recreate"},
	} {
		if text, err := rendered(t, tt.values); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q; rendered %d bytes", tt.name, err, tt.want, len(text))
		}
	}
}

// rights are what a role's rules allow, one "resource verb" each, with the names they are limited to.
func rights(rules []rbacv1.PolicyRule) (out []string) {
	for _, r := range rules {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				out = append(out, strings.TrimSpace(resource+" "+verb+" "+strings.Join(r.ResourceNames, ",")))
			}
		}
	}
	slices.Sort(out)
	return out
}

func reads(right string) bool {
	return slices.Contains([]string{"get", "list", "watch"}, strings.Fields(right)[1])
}

// TestNothingIsWrittenElsewhereUnlessAsked: the first of the two switches is a right, not a promise.
func TestNothingIsWrittenElsewhereUnlessAsked(t *testing.T) {
	for _, enforce := range []bool{false, true} {
		bound, wide := map[string]bool{}, map[string][]string{}
		for _, o := range objects(t, fmt.Sprintf("enforce: %v", enforce)) {
			switch r := o.(type) {
			case *rbacv1.ClusterRole:
				wide[r.Name] = slices.DeleteFunc(rights(r.Rules), reads)
			case *rbacv1.ClusterRoleBinding:
				bound[r.RoleRef.Name] = r.Subjects[0].Name == "trimtab" && r.Subjects[0].Namespace == "costs"
			}
		}
		if len(wide["trimtab-reader"]) > 0 || !bound["trimtab-reader"] {
			t.Errorf("enforce %v: the reader may %v, bound %v", enforce, wide["trimtab-reader"], bound["trimtab-reader"])
		}
		if got := slices.Contains(wide["trimtab-enforcer"], "pods/resize patch"); got != enforce || bound["trimtab-enforcer"] != enforce || len(wide) != len(bound) {
			t.Errorf("enforce %v: writes %v, bound %v", enforce, wide, bound)
		}
		for _, right := range wide["trimtab-enforcer"] {
			if strings.Contains(right, "*") || strings.HasPrefix(right, "secrets") || strings.HasPrefix(right, "nodes") {
				t.Errorf("the enforcer may %s", right)
			}
		}
	}
}

func TestRightsAtHome(t *testing.T) {
	roles := map[string][]string{}
	for _, o := range objects(t, "mailSecrets: [smtp, other]") {
		if r, ok := o.(*rbacv1.Role); ok {
			roles[r.Name] = rights(r.Rules)
		}
	}
	const proxy = "services/proxy get trimtab:http,http:trimtab:http"
	for name, want := range map[string][]string{
		"trimtab": {
			"configmaps create", "configmaps delete", "configmaps get", "configmaps list", "configmaps patch", "configmaps update", "configmaps watch",
			"events create", "events patch", "leases create", "leases get", "leases update", "secrets get smtp,other",
		},
		"trimtab-viewer":   {proxy},
		"trimtab-approver": {"configmaps get trimtab-orders", "configmaps patch trimtab-orders", proxy},
	} {
		if !slices.Equal(roles[name], want) {
			t.Errorf("%s may\n%s\nwant\n%s", name, strings.Join(roles[name], "\n"), strings.Join(want, "\n"))
		}
	}
	for _, o := range objects(t, "") {
		if r, ok := o.(*rbacv1.Role); ok && slices.ContainsFunc(rights(r.Rules), func(s string) bool { return strings.HasPrefix(s, "secrets") }) {
			t.Errorf("%s may read Secrets that nobody named", r.Name)
		}
	}
}

// TestStoreAndMemoryFollowTheValues: the numbers that depend on others are computed, three quarters of
// the volume and nine tenths of the limit.
func TestStoreAndMemoryFollowTheValues(t *testing.T) {
	for _, tt := range []struct{ values, store, memory string }{
		{"", "1536Mi", "460MiB"},
		{"{persistence: {size: 10Gi}, resources: {limits: {memory: 1Gi}}}", "7680Mi", "921MiB"},
		{"{persistence: {size: 500Mi}, resources: {limits: {memory: null}}}", "375Mi", ""},
	} {
		c := only[*appsv1.Deployment](t, objects(t, tt.values)).Spec.Template.Spec.Containers[0]
		if !slices.Contains(c.Args, "--store-max-bytes="+tt.store) {
			t.Errorf("%s: args %v, want a store of %s", tt.values, c.Args, tt.store)
		}
		got := ""
		for _, e := range c.Env {
			if e.Name == "GOMEMLIMIT" {
				got = e.Value
			}
		}
		if got != tt.memory {
			t.Errorf("%s: GOMEMLIMIT %q, want %q", tt.values, got, tt.memory)
		}
	}
}

func TestDeploymentFollowsTheValues(t *testing.T) {
	d := only[*appsv1.Deployment](t, objects(t, "{image: r/t:1, enforce: true, replicas: 2, strategy: RollingUpdate, extraArgs: [--interval=30s]}"))
	c := d.Spec.Template.Spec.Containers[0]
	want := []string{"run", "--store=/var/lib/trimtab", "--store-max-bytes=1536Mi", "--enforce", "--interval=30s"}
	if !slices.Equal(c.Args, want) || c.Image != "r/t:1" || *d.Spec.Replicas != 2 || d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		t.Errorf("args %v, image %s, %d replicas, %s", c.Args, c.Image, *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	off := only[*appsv1.Deployment](t, objects(t, ""))
	if slices.Contains(off.Spec.Template.Spec.Containers[0].Args, "--enforce") {
		t.Error("it enforces though nobody asked")
	}
}

func TestVolume(t *testing.T) {
	all := objects(t, "{persistence: {enabled: true, size: 3Gi, storageClass: fast}}")
	claim := only[*corev1.PersistentVolumeClaim](t, all)
	volume := only[*appsv1.Deployment](t, all).Spec.Template.Spec.Volumes[0]
	if volume.PersistentVolumeClaim == nil || volume.PersistentVolumeClaim.ClaimName != claim.Name ||
		*claim.Spec.StorageClassName != "fast" || claim.Spec.Resources.Requests.Storage().String() != "3Gi" {
		t.Errorf("claim %+v, volume %+v", claim.Spec, volume)
	}
	if e := only[*appsv1.Deployment](t, objects(t, "")).Spec.Template.Spec.Volumes[0].EmptyDir; e == nil || e.SizeLimit.String() != "2Gi" {
		t.Errorf("without persistence: %+v", e)
	}
}

// TestOrdersSurviveUpgrades: an upgrade writes what the chart gives, so the chart must not give data.
func TestOrdersSurviveUpgrades(t *testing.T) {
	text, err := rendered(t, "")
	if err != nil {
		t.Fatal(err)
	}
	_, orders, _ := strings.Cut(string(text), "kind: ConfigMap\n")
	orders, _, _ = strings.Cut(orders, "\n---\n")
	if !strings.Contains(orders, "name: trimtab-orders\n") || !strings.Contains(orders, "helm.sh/resource-policy: keep") || strings.Contains(orders, "\ndata:") {
		t.Errorf("the orders ConfigMap is\n%s", orders)
	}
}

// TestNamespaces: everything that has a namespace is in the release's, and only what asks for the
// namespace itself gets it, first.
func TestNamespaces(t *testing.T) {
	for _, create := range []bool{false, true} {
		all := objects(t, fmt.Sprintf("createNamespace: %v", create))
		if first, ok := all[0].(*corev1.Namespace); ok != create || ok && first.Name != "costs" {
			t.Errorf("createNamespace %v: the first object is %T", create, all[0])
		}
		for _, o := range all {
			at, err := meta.Accessor(o)
			if err != nil {
				t.Fatal(err)
			}
			_, isRole := o.(*rbacv1.ClusterRole)
			_, isBinding := o.(*rbacv1.ClusterRoleBinding)
			_, isSpace := o.(*corev1.Namespace)
			if wide := isRole || isBinding || isSpace; !wide && at.GetNamespace() != "costs" {
				t.Errorf("%T %s is in namespace %q", o, at.GetName(), at.GetNamespace())
			}
		}
	}
}

func TestLaterValuesWin(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "{replicas: 2, persistence: {size: 4Gi}}", "b": "{replicas: 3}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := run("../chart", "trimtab", []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"replicas: 3\n", "sizeLimit: 4Gi\n", "kind: Namespace\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %q", want)
		}
	}
	if _, err := run("../chart", "trimtab", []string{filepath.Join(dir, "c")}); err == nil {
		t.Error("a file that is not there was read")
	}
}
