package main

import (
	"flag"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// The manifests that deploy/helm renders.
const (
	plainManifest = "../../deploy/install.yaml"
	demoManifest  = "../../deploy/demo/install.yaml"
)

// installed is the daemon's Deployment in a manifest, with the settings that its arguments give.
func installed(t *testing.T, file string) (*appsv1.Deployment, settings) {
	t.Helper()
	for _, o := range objectsOf(t, file) {
		d, ok := o.(*appsv1.Deployment)
		if !ok {
			continue
		}
		var s settings
		fs := flag.NewFlagSet("run", flag.ContinueOnError)
		s.flags(fs)
		if err := fs.Parse(d.Spec.Template.Spec.Containers[0].Args[1:]); err != nil {
			t.Fatal(err)
		}
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		return d, s
	}
	t.Fatalf("%s has no Deployment", file)
	return nil, settings{}
}

// TestManifestFitsTheProgram: what the manifest grants is what the program takes.
func TestManifestFitsTheProgram(t *testing.T) {
	for file, enforce := range map[string]bool{plainManifest: false, demoManifest: true} {
		d, s := installed(t, file)
		if s.enforce != enforce {
			t.Errorf("%s: enforce %v, want %v", file, s.enforce, enforce)
		}
		fits(t, file, d, s)
	}
}

func fits(t *testing.T, file string, d *appsv1.Deployment, s settings) {
	t.Helper()
	pod := d.Spec.Template.Spec
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%s: %d replicas, %s: want one, and that the old pod saves before the new one reads", file, *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < s.stopWithin+10*time.Second {
		t.Errorf("%s: the pod is killed after %s, the daemon needs up to %s and time to close its store", file, grace, s.stopWithin)
	}
	volume := pod.Volumes[slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil })]
	if limit := volume.EmptyDir.SizeLimit.Value(); int64(s.storeMaxBytes)*4/3 > limit {
		t.Errorf("%s: the store grows to %s on a volume of %s, at which the pod is evicted", file, s.storeMaxBytes, size(limit))
	}
	limit := pod.Containers[0].Resources.Limits.Memory().Value()
	if share := float64(memoryLimit(t, pod.Containers[0])) / float64(limit); math.Abs(share-0.9) > 0.03 {
		t.Errorf("%s: GOMEMLIMIT is %.0f %% of the memory limit", file, 100*share)
	}
}

// memoryLimit is GOMEMLIMIT in bytes, which Go writes as MiB where Kubernetes writes Mi.
func memoryLimit(t *testing.T, c corev1.Container) int64 {
	t.Helper()
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
	var n size
	if err := n.Set(strings.TrimSuffix(c.Env[i].Value, "B")); err != nil {
		t.Fatal(err)
	}
	return int64(n)
}

// TestManifestWritesOnlyAtHome: the daemon's ClusterRole reads; its Role writes these and no more.
func TestManifestWritesOnlyAtHome(t *testing.T) {
	home := []string{}
	for _, o := range objectsOf(t, plainManifest) {
		switch role := o.(type) {
		case *rbacv1.ClusterRole:
			for _, v := range writing(role.Rules) {
				t.Errorf("ClusterRole %s may %s", role.Name, v)
			}
		case *rbacv1.Role:
			if role.Name == "trimtab" { // the others are for people
				home = writing(role.Rules)
			}
		}
	}
	want := "configmaps create, configmaps delete, configmaps patch, configmaps update, events create, events patch, leases create, leases update"
	slices.Sort(home)
	if got := strings.Join(home, ", "); got != want {
		t.Errorf("in its own namespace it may %s, want %s", got, want)
	}
}

func writing(rules []rbacv1.PolicyRule) (out []string) {
	for _, r := range rules {
		for _, verb := range r.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) {
				out = append(out, strings.Join(r.Resources, "+")+" "+verb)
			}
		}
	}
	return out
}
