package kube

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// losesNothing tells whether a new pod template can be rolled out so that of replicas pods at least one
// takes requests all the while; the error says which field stands against it.
func losesNothing(d *appsv1.Deployment, replicas int32) error {
	if d.Spec.Paused {
		return errors.New("its rollouts are paused, so a new pod template would not be rolled out: set spec.paused: false")
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return errors.New("its strategy is Recreate, which stops every pod before it starts a new one, and requests would be lost: " +
			"set spec.strategy.type: RollingUpdate")
	}
	if down := mayBeDown(d, replicas); replicas > 0 && down >= replicas {
		return fmt.Errorf("spec.strategy.rollingUpdate.maxUnavailable lets a rollout stop %d of %d pods at once, and requests would be lost: "+
			"set it to 0, with maxSurge: 1", down, replicas)
	}
	return nil
}

// mayBeDown is how many of replicas pods a rolling update may stop before new ones take their place, as the
// Deployment controller works it out: 25 % unless set, shares rounded down, and one where neither
// maxUnavailable nor maxSurge would let it begin.
func mayBeDown(d *appsv1.Deployment, replicas int32) int32 {
	down, surge := intstr.FromString("25%"), intstr.FromString("25%")
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		if r.MaxUnavailable != nil {
			down = *r.MaxUnavailable
		}
		if r.MaxSurge != nil {
			surge = *r.MaxSurge
		}
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&down, int(replicas), false)
	more, err2 := intstr.GetScaledValueFromIntOrPercent(&surge, int(replicas), true)
	if err != nil || err2 != nil || n == 0 && more == 0 {
		return 1
	}
	return int32(min(n, int(replicas)))
}
