package managed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// touchAnnotation on a pod makes its kubelet look at it at once, and so at its ConfigMap: otherwise new
// settings may take a minute or more to reach the container.
const touchAnnotation = "trimtab.dev/config-generation"

// atOnce is how many pods are read at the same time.
const atOnce = 16

// pod is one live pod of a server.
type pod struct {
	name, ip, node, uid string
	ready               bool
	life                string // another one after every restart of its container
	death               capacity.Death
	resizer             string // who resized it last, beside us
	size
}

// listPods gives the server's live pods, sorted by name.
func (j *job) listPods(ctx context.Context) ([]pod, error) {
	list, err := j.client.CoreV1().Pods(j.server.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(selects(j.server, j.adopted)).String()})
	if err != nil {
		return nil, fmt.Errorf("list its pods: %w", err)
	}
	var out []pod
	for i := range list.Items {
		p := &list.Items[i]
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			out = append(out, readPod(p, j.adopted.container()))
		}
	}
	slices.SortFunc(out, func(a, b pod) int { return cmp.Compare(a.name, b.name) })
	return out, nil
}

func readPod(p *corev1.Pod, container string) pod {
	restarts := int32(0)
	for _, c := range p.Status.ContainerStatuses {
		restarts += c.RestartCount
	}
	return pod{
		name: p.Name, ip: p.Status.PodIP, node: p.Spec.NodeName, uid: string(p.UID), life: string(p.UID) + "/" + strconv.Itoa(int(restarts)),
		size: sizeOf(p, container), death: deathOf(p, container), resizer: resizerOf(p.ManagedFields),
		ready: slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}),
	}
}

// deathOf is how the model server's process in a pod ended last, if it ever did.
func deathOf(p *corev1.Pod, container string) capacity.Death {
	for _, c := range p.Status.ContainerStatuses {
		end := cmp.Or(c.State.Terminated, c.LastTerminationState.Terminated)
		if c.Name != container || end == nil {
			continue
		}
		return capacity.Death{
			At: end.FinishedAt.Time, Born: p.CreationTimestamp.Time, Starved: end.Reason == "OOMKilled",
			Why: fmt.Sprintf("the server in pod %s ended meanwhile: %s, exit code %d", p.Name, cmp.Or(end.Reason, "Error"), end.ExitCode),
		}
	}
	return capacity.Death{}
}

// lives names the pods and their containers' lives.
func lives(pods []pod) string {
	var all []string
	for _, p := range pods {
		all = append(all, p.life)
	}
	return digest(all)
}

// readAll reads every pod's metrics, a few at once; the answers are in the order of the pods.
func (k *Keeper) readAll(ctx context.Context, pods []pod) ([]shown, error) {
	all, errs := make([]shown, len(pods)), make([]error, len(pods))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, p := range pods {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if all[i], errs[i] = scrape(ctx, k.scraper, k.url(p.ip)); errs[i] != nil {
				errs[i] = fmt.Errorf("read pod %s: %w", p.name, errs[i])
			}
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// together adds up what the pods of one server had counted at a moment.
func together(all []shown, pods []pod, now time.Time) (base, error) {
	sum, most := base{Pods: lives(pods)}, int64(0)
	sum.At, sum.Replicas = now, len(all)
	for _, s := range all {
		var err error
		if sum.Latency, err = plus(sum.Latency, s.Latency); err != nil {
			return base{}, err
		}
		sum.Answered, sum.Errors, sum.Came = sum.Answered+s.Answered, sum.Errors+s.Errors, sum.Came+s.Came
		sum.Rows, sum.Batches = sum.Rows+s.Rows, sum.Batches+s.Batches
		sum.Busy, sum.Compute = sum.Busy+s.Busy, sum.Compute+s.Compute
		sum.CPUSeconds, most = sum.CPUSeconds+s.CPUSeconds, max(most, s.Memory)
	}
	sum.Memory = most * int64(len(all))
	return sum, nil
}

// touch annotates pods, each time otherwise. That one cannot be is no fault: its kubelet looks by itself
// after a while.
func (k *Keeper) touch(ctx context.Context, s policies.Server, pods []pod, generation int64, now time.Time) {
	value := fmt.Sprintf("%d at %s", generation, now.UTC().Format(time.RFC3339))
	text, err := json.Marshal(tree{"metadata": tree{"annotations": tree{touchAnnotation: value}}})
	if err != nil {
		panic(err) // unreachable unless bug: strings only
	}
	for _, p := range pods {
		_, err := k.client.CoreV1().Pods(s.Namespace).Patch(ctx, p.name, types.MergePatchType, text, metav1.PatchOptions{FieldManager: Manager})
		if err != nil {
			k.log.Warn("its settings may take a minute to reach a pod", "workload", ref(s).String(), "pod", p.name, "err", err)
		}
	}
}

// names lists pods for people.
func names(pods []pod) string {
	var all []string
	for _, p := range pods {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}
