package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/policies"
)

// daemonManager is the daemon's own field manager: an Actuator writes as it, and it is never reported as another party.
const daemonManager = "trimtab"

// maxBroken is how long a watch may be down before Observe, Policies and Endpoints fail.
const maxBroken = 5 * time.Minute

// Cluster reads one cluster. It implements optimizer.Cluster.
type Cluster struct {
	sources []source // sorted by resource
	running sync.WaitGroup

	deployments  feed[*workload]
	statefulSets feed[*workload]
	replicaSets  feed[*replicaSet]
	pods         feed[*pod]
	nodes        feed[*node]
	namespaces   feed[*namespace]
	autoscalers  feed[*autoscaler]
	disruptions  feed[*disruption]
	limitRanges  feed[*limitRange]
	quotas       feed[*quota]
	services     feed[*service]
	documents    feed[*document]
}

// New is the Cluster behind client for a daemon in namespace. It reads nothing before Start.
func New(client kubernetes.Interface, namespace string, log *slog.Logger) *Cluster {
	c := &Cluster{}
	c.watchWorkloads(client, log)
	c.watchPlaces(client, log)
	documents := labelled[*corev1.ConfigMapList]{client.CoreV1().ConfigMaps(namespace), policies.PolicyLabel}
	c.documents = add(c, watchAll(log, client, core("configmaps"), documents, readDocument))
	slices.SortFunc(c.sources, func(a, b source) int {
		return cmp.Compare(a.link.resource.String(), b.link.resource.String())
	})
	return c
}

// watchWorkloads sets up what runs and who scales it.
func (c *Cluster) watchWorkloads(client kubernetes.Interface, log *slog.Logger) {
	const every = metav1.NamespaceAll
	apps := client.AppsV1()
	c.deployments = add(c, watchAll(log, client, group("apps", "deployments"), apps.Deployments(every), readDeployment))
	c.statefulSets = add(c, watchAll(log, client, group("apps", "statefulsets"), apps.StatefulSets(every), readStatefulSet))
	c.replicaSets = add(c, watchAll(log, client, group("apps", "replicasets"), apps.ReplicaSets(every), readReplicaSet))
	c.pods = add(c, watchAll(log, client, core("pods"), client.CoreV1().Pods(every), readPod))
	c.services = add(c, watchAll(log, client, core("services"), client.CoreV1().Services(every), readService))
	hpas := api[*autoscalingv2.HorizontalPodAutoscalerList](client.AutoscalingV2().HorizontalPodAutoscalers(every))
	c.autoscalers = add(c, watchAll(log, client, group("autoscaling", "horizontalpodautoscalers"), hpas, readAutoscaler))
	budgets := api[*policyv1.PodDisruptionBudgetList](client.PolicyV1().PodDisruptionBudgets(every))
	c.disruptions = add(c, watchAll(log, client, group("policy", "poddisruptionbudgets"), budgets, readDisruption))
}

// watchPlaces sets up where it runs and what is allowed there.
func (c *Cluster) watchPlaces(client kubernetes.Interface, log *slog.Logger) {
	const every = metav1.NamespaceAll
	c.nodes = add(c, watchAll(log, client, core("nodes"), client.CoreV1().Nodes(), readNode))
	c.namespaces = add(c, watchAll(log, client, core("namespaces"), client.CoreV1().Namespaces(), readNamespace))
	c.limitRanges = add(c, watchAll(log, client, core("limitranges"), client.CoreV1().LimitRanges(every), readLimitRange))
	c.quotas = add(c, watchAll(log, client, core("resourcequotas"), client.CoreV1().ResourceQuotas(every), readQuota))
}

func add[R metav1.Object](c *Cluster, f feed[R]) feed[R] {
	c.sources = append(c.sources, f.source)
	return f
}

func core(resource string) schema.GroupResource { return group("", resource) }

func group(group, resource string) schema.GroupResource {
	return schema.GroupResource{Group: group, Resource: resource}
}

// Start begins to read, until ctx ends. Call it once; Wait waits for the end.
func (c *Cluster) Start(ctx context.Context) {
	for _, s := range c.sources {
		c.running.Go(func() { s.RunWithContext(ctx) })
	}
}

// Wait returns when everything that Start began has ended.
func (c *Cluster) Wait() { c.running.Wait() }

// Synced tells whether every resource was read at least once.
func (c *Cluster) Synced() bool { return c.unsynced() == nil }

// WaitSynced returns when every resource was read once. If ctx ends before, the error names each
// resource that is missing, with the last answer that the API server gave for it.
func (c *Cluster) WaitSynced(ctx context.Context) error {
	for _, s := range c.sources {
		select {
		case <-s.HasSyncedChecker().Done():
		case <-ctx.Done():
			return fmt.Errorf("read the cluster: %w: %w", ctx.Err(), c.unsynced())
		}
	}
	return nil
}

func (c *Cluster) unsynced() error {
	var missing []error
	for _, s := range c.sources {
		if s.HasSynced() {
			continue
		}
		missing = append(missing, cmp.Or(s.link.last(), fmt.Errorf("list %s: no answer yet", s.link.resource)))
	}
	return errors.Join(missing...)
}

// ready is nil if what the caches hold may be acted on.
func (c *Cluster) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.unsynced(); err != nil {
		return fmt.Errorf("not everything was read yet: %w", err)
	}
	var faults []error
	for _, s := range c.sources {
		faults = append(faults, s.link.fault(maxBroken))
	}
	return errors.Join(faults...)
}

// document is one ConfigMap of policy documents.
type document struct {
	metav1.ObjectMeta
	raw []policies.Raw
}

// readDocument takes every key, text or not: one that cannot be parsed must be reported, not passed over.
func readDocument(m *corev1.ConfigMap) *document {
	d := &document{ObjectMeta: identity(m)}
	for key, text := range m.Data {
		d.raw = append(d.raw, policies.Raw{Source: m.Name + "/" + key, Data: []byte(text)})
	}
	for key, data := range m.BinaryData {
		d.raw = append(d.raw, policies.Raw{Source: m.Name + "/" + key, Data: data})
	}
	return d
}

// Policies gives every policy document of the daemon's namespace, sorted by source.
func (c *Cluster) Policies(ctx context.Context) ([]policies.Raw, error) {
	if err := c.ready(ctx); err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	var raw []policies.Raw
	for _, d := range c.documents.all() {
		raw = append(raw, d.raw...)
	}
	slices.SortFunc(raw, func(a, b policies.Raw) int { return cmp.Compare(a.Source, b.Source) })
	return raw, nil
}
