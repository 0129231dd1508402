package managed

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// ConfigSuffix is put after a server's name to name its ConfigMap; its volume is called model-config.
const ConfigSuffix = "-model-config"

// What the server is told, and how it is reached.
const (
	configKey  = "model_config.json"
	configDir  = "/etc/model-config"
	configName = "model-config"
	serverPort = 8080
	container  = "model-server"

	// After SIGTERM the server serves on while its endpoint is removed everywhere, then finishes what it
	// has: no preStop hook is needed, and the image has no shell for one. The kubelet waits a little longer.
	drainDelay, drainTimeout, grace = "5s", "20s", 30
)

// settings are the keys of model_config.json; the server's own contract has the names.
type settings struct {
	BatchSize  int    `json:"batch_size"`
	MaxDelay   string `json:"max_delay"`
	Generation int64  `json:"generation"`
}

// labelsOf are on every object of a server, and on its pods.
func labelsOf(s policies.Server) map[string]string {
	return map[string]string{
		policies.ServerLabel: s.Name, policies.ClassLabel: string(s.Class),
		"app.kubernetes.io/name": s.Name, "app.kubernetes.io/version": s.Version, "app.kubernetes.io/managed-by": "trimtab",
	}
}

// selects is how a server's pods are found. It can never change, so nothing that may is in it; one that was
// adopted has its own.
func selects(s policies.Server, a *adopted) map[string]string {
	if a.has(kindDeployment) {
		return a.Selector
	}
	return map[string]string{policies.ServerLabel: s.Name}
}

// meta is the metadata of a server's object. One that was adopted gets no more labels than Trimtab needs:
// others may find theirs by the usual ones.
func meta(s policies.Server, a *adopted, kind string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: s.Namespace, Name: nameOf(s, a, kind), Labels: labelsOf(s)}
	if a.has(kind) {
		m.Labels = map[string]string{policies.ServerLabel: s.Name, policies.ClassLabel: string(s.Class)}
	}
	if s.OnDelete == policies.OnDeleteKeep {
		note(&m, onDeleteAnnotation, string(s.OnDelete))
	}
	if a != nil && (kind == kindDeployment || kind == kindService) {
		note(&m, adoptedAnnotation, string(raw(a)))
	}
	return m
}

// nameOf is the name of a server's object.
func nameOf(s policies.Server, a *adopted, kind string) string {
	switch {
	case kind != kindConfigMap:
		return s.Name
	case a != nil && a.ConfigMap != "":
		return a.ConfigMap
	}
	return s.Name + ConfigSuffix
}

func kindOf(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

// configMap holds the settings and, as an annotation, how far their tuning has come.
func configMap(s policies.Server, r record) *corev1.ConfigMap {
	key := configKey
	if r.Adopted.has(kindConfigMap) {
		key = r.Adopted.Key
	}
	m := &corev1.ConfigMap{TypeMeta: kindOf("v1", kindConfigMap), ObjectMeta: meta(s, r.Adopted, kindConfigMap)}
	note(&m.ObjectMeta, recordAnnotation, r.text())
	m.Data = map[string]string{key: r.Adopted.text(r.settings(s))}
	return m
}

// note annotates an object that is being made.
func note(m *metav1.ObjectMeta, key, value string) {
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[key] = value
}

func service(s policies.Server, a *adopted) *corev1.Service {
	out := &corev1.Service{TypeMeta: kindOf("v1", kindService), ObjectMeta: meta(s, a, kindService)}
	if a.has(kindService) {
		found(a.Service, &out.Spec)
		return out
	}
	out.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: selects(s, a),
		Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromString("http")}},
	}
	if a.has(kindDeployment) {
		out.Spec.Ports[0].TargetPort = intstr.FromInt32(serverPort) // its name is whatever it was
	}
	return out
}

// budget lets a drain take one pod at a time. With one replica it lets that one go: a budget that
// forbade it would block the drain of a node for good.
func budget(s policies.Server, a *adopted) *policyv1.PodDisruptionBudget {
	out := &policyv1.PodDisruptionBudget{TypeMeta: kindOf("policy/v1", kindBudget), ObjectMeta: meta(s, a, kindBudget)}
	if a.has(kindBudget) {
		found(a.Budget, &out.Spec)
		return out
	}
	one := intstr.FromInt32(1)
	out.Spec = policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: selects(s, a)}}
	return out
}

// deployment never goes below its replicas while it replaces pods.
func deployment(s policies.Server, a *adopted, replicas int32) *appsv1.Deployment {
	none, one := intstr.FromInt32(0), intstr.FromInt32(1)
	return &appsv1.Deployment{
		TypeMeta: kindOf("apps/v1", kindDeployment), ObjectMeta: meta(s, a, kindDeployment),
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: selects(s, a)},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &one},
			},
			Template: podTemplate(s, a),
		},
	}
}

func podTemplate(s policies.Server, a *adopted) corev1.PodTemplateSpec {
	if a.has(kindDeployment) {
		return a.template(s)
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(s), Annotations: map[string]string{
			"prometheus.io/scrape": "true", "prometheus.io/port": strconv.Itoa(serverPort), "prometheus.io/path": "/metrics",
		}},
		Spec: podSpec(s),
	}
}

func podSpec(s policies.Server) corev1.PodSpec {
	no, yes, user, group, seconds := false, true, int64(1000), int64(2000), int64(grace)
	return corev1.PodSpec{
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		TerminationGracePeriodSeconds: &seconds,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user, FSGroup: &group,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			spread(s, "topology.kubernetes.io/zone"), spread(s, "kubernetes.io/hostname"),
		},
		Containers: []corev1.Container{modelServer(s)},
		Volumes: []corev1.Volume{{Name: configName, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: s.Name + ConfigSuffix}},
		}}},
	}
}

func spread(s policies.Server, over string) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: over, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: selects(s, nil)},
	}
}

// modelServer is the only container. The batch flags are those of the document: what a pod begins with
// should its settings ever be unreadable.
func modelServer(s policies.Server) corev1.Container {
	no, yes := false, true
	return corev1.Container{
		Name: container, Image: s.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Args: []string{
			"serve", "--model=" + s.Model, "--model-version=" + s.Version, "--port=" + strconv.Itoa(serverPort),
			"--config=" + configDir + "/" + configKey,
			"--batch-size=" + strconv.Itoa(s.Batch.Size), "--max-queue-delay=" + s.Batch.MaxDelay.String(),
			"--drain-delay=" + drainDelay, "--drain-timeout=" + drainTimeout,
		},
		Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: serverPort, Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{Requests: quantities(s.Requests), Limits: quantities(s.Limits)},
		// It answers before its model is loaded, so that no startup probe is needed.
		ReadinessProbe: probe("/v2/health/ready", 2), LivenessProbe: probe("/v2/health/live", 10),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: configName, MountPath: configDir, ReadOnly: true}},
	}
}

func probe(path string, every int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}},
		PeriodSeconds: every,
	}
}

// quantities is r as Kubernetes writes it; what is zero is not set.
func quantities(r fleet.Resources) corev1.ResourceList {
	list := corev1.ResourceList{}
	if r.MilliCPU > 0 {
		list[corev1.ResourceCPU] = *resource.NewMilliQuantity(r.MilliCPU, resource.DecimalSI)
	}
	if r.Memory > 0 {
		list[corev1.ResourceMemory] = *resource.NewQuantity(r.Memory, resource.BinarySI)
	}
	for _, e := range r.Extended {
		list[corev1.ResourceName(e.Name)] = *resource.NewQuantity(e.Count, resource.DecimalSI)
	}
	return list
}

// ref names a server's Deployment.
func ref(s policies.Server) fleet.Ref { return fleet.Deployment(s.Namespace, s.Name) }

// document names a server's document for people.
func document(name string) string { return policies.KindServer + " " + name }
