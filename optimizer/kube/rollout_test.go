package kube

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestLosesNothing(t *testing.T) {
	const none = ""
	for _, row := range []struct {
		down, surge string // none: not set
		replicas    int32
		want        int32 // that may be down
		fine        bool
	}{
		{none, none, 1, 0, true}, // 25 % of 1 is 0; one pod more is made first
		{none, none, 3, 0, true},
		{none, none, 4, 1, true}, // 25 % of 4
		{none, none, 0, 1, true}, // of none
		{"0", "1", 1, 0, true},
		{"1", "0", 1, 1, false},
		{"1", "0", 2, 1, true},
		{"2", "1", 2, 2, false},
		{"50%", none, 1, 0, true}, // rounded down
		{"50%", none, 2, 1, true},
		{"100%", none, 3, 3, false},
		{"5", none, 3, 3, false},
		{"0", "0%", 1, 1, false}, // neither: the controller takes one
		{"10%", "0", 1, 1, false},
		{"x", none, 1, 1, false}, // unreadable: the careful side
	} {
		d := deployment(row.replicas)
		d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		for text, field := range map[string]**intstr.IntOrString{"d" + row.down: &d.Spec.Strategy.RollingUpdate.MaxUnavailable, "s" + row.surge: &d.Spec.Strategy.RollingUpdate.MaxSurge} {
			if value := intstr.Parse(text[1:]); len(text) > 1 {
				*field = &value
			}
		}
		if got := mayBeDown(d, row.replicas); got != row.want {
			t.Errorf("%+v: %d may be down", row, got)
		}
		err := losesNothing(d, row.replicas)
		if (err == nil) != row.fine || err != nil && !strings.Contains(err.Error(), "set it to 0, with maxSurge: 1") {
			t.Errorf("%+v: %v", row, err)
		}
	}
	d := deployment(1)
	if err := losesNothing(d, 1); err != nil { // no rollingUpdate at all
		t.Error(err)
	}
}
