package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// liveManifest is the server without Trimtab: the same pod, Service and settings as Trimtab makes them, so
// that the arms differ in what they are about.
const liveManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: SERVER-model-config, namespace: NAMESPACE}
data:
  model_config.json: '{"batch_size": BATCH, "max_delay": "DELAY", "generation": GENERATION}'
---
apiVersion: v1
kind: Service
metadata: {name: SERVER, namespace: NAMESPACE}
spec:
  selector: {app: SERVER}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: SERVER, namespace: NAMESPACE}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: SERVER}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: SERVER}}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 2000, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: model-server
          image: localhost/trimtab/modelserver:dev
          imagePullPolicy: IfNotPresent
          args: [serve, --model=MODEL, --model-version=v1, --port=8080, --config=/etc/model-config/model_config.json,
            --batch-size=BATCH, --max-queue-delay=DELAY, --drain-delay=5s, --drain-timeout=20s]
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /v2/health/ready, port: http}, periodSeconds: 2}
          livenessProbe: {httpGet: {path: /v2/health/live, port: http}, periodSeconds: 10}
          resources: {requests: {cpu: CPUm, memory: 128Mi}, limits: {cpu: "1", memory: 256Mi}}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: model-config, mountPath: /etc/model-config, readOnly: true}]
      volumes: [{name: model-config, configMap: {name: SERVER-model-config}}]
`

// liveDocument asks Trimtab for the same server, with room to tune it.
const liveDocument = `
apiVersion: v1
kind: ConfigMap
metadata: {name: live, namespace: trimtab, labels: {trimtab.dev/policy: ""}}
data:
  live.yaml: |
    apiVersion: trimtab.dev/v1alpha1
    kind: InferenceServer
    metadata: {name: SERVER}
    spec:
      mode: enforce
      namespace: NAMESPACE
      image: localhost/trimtab/modelserver:dev
      model: MODEL
      version: v1
      class: online
      slo: {latency: SLO, percentile: TAIL}
      replicas: REPLICAS
      requests: {cpu: CPUm, memory: 128Mi}
      limits: {cpu: "1", memory: 256Mi}
      batch: {size: BATCH, maxDelay: DELAY, sizes: [1, 4, 16, 64], trial: TRIAL}
      tune:
        maxDelay: LONGEST
        replicas: {min: 1, max: REPLICAS}
        cpu: {min: 25m, max: CPUm}
        margin: MARGIN
        changesPerDay: 6
`

// filled puts a setting into a manifest of the tuner's server.
func filled(text string, s liveSetting, generation int) string {
	return filledFor(liveServer, text, s, generation)
}

// filledFor puts a setting into the manifest of any server.
func filledFor(server, text string, s liveSetting, generation int) string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	return strings.NewReplacer("SERVER", server, "NAMESPACE", liveNamespace, "MODEL", liveModel,
		"BATCH", strconv.Itoa(s.batch), "DELAY", s.delay.String(), "GENERATION", strconv.Itoa(generation),
		"REPLICAS", strconv.Itoa(s.replicas), "CPU", strconv.FormatInt(s.milli, 10),
		"SLO", liveSLO.String(), "TAIL", number(liveTail), "MARGIN", number(liveMargin), "LONGEST", (liveSLO / 2).String(), "TRIAL", "20s",
	).Replace(text)
}

// deploy puts the server up without Trimtab and waits for it.
func (l *live) deploy(ctx context.Context, s liveSetting) error {
	if err := l.cluster.apply(ctx, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+liveNamespace+"}\n---"+filled(liveManifest, s, 1)); err != nil {
		return err
	}
	return l.serving(ctx)
}

// serving waits until the server's replicas are all there.
func (l *live) serving(ctx context.Context) error {
	err := eventually(ctx, "a Deployment of the server", 2*time.Minute, func() (bool, error) {
		_, err := l.cluster.kubectl(ctx, "", "-n", liveNamespace, "get", "deployment", liveServer)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	_, err = l.cluster.kubectl(ctx, "", "-n", liveNamespace, "rollout", "status", "deployment/"+liveServer, "--timeout=120s")
	return err
}

// clear removes all that an arm has made. The document goes first: Trimtab would make its server again.
func (l *live) clear(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil // the cluster goes
	}
	_, err := l.cluster.kubectl(ctx, "", "-n", "trimtab", "delete", "configmap", "live", "--ignore-not-found")
	_, err2 := l.cluster.kubectl(ctx, "", "delete", "namespace", liveNamespace, "--ignore-not-found", "--wait", "--timeout=120s")
	return errors.Join(err, err2)
}

// livePod is a pod of the server as far as it is read here.
type livePod struct {
	Metadata struct {
		Name              string
		DeletionTimestamp string
	}
	Spec struct {
		NodeName   string
		Containers []struct {
			Name      string
			Resources struct{ Requests map[string]string }
		}
	}
	Status struct {
		Phase             string
		ContainerStatuses []struct {
			Ready     bool
			Resources struct{ Requests map[string]string } // in force, as its node says
		}
	}
}

func (p livePod) ready() bool {
	c := p.Status.ContainerStatuses
	return p.Metadata.DeletionTimestamp == "" && len(c) == 1 && c[0].Ready
}

const livePodsPath = "/api/v1/namespaces/" + liveNamespace + "/pods"

// podsNow are the server's pods; nothing else runs in the namespace.
func (l *live) podsNow(ctx context.Context) ([]livePod, error) {
	var list struct{ Items []livePod }
	err := l.cluster.get(ctx, livePodsPath, &list)
	return list.Items, err
}

// put brings another setting into force and waits until every pod has it. Pods are replaced only where
// their requests change.
func (l *live) put(ctx context.Context, s liveSetting, generation int) error {
	if err := l.cluster.apply(ctx, filled(liveManifest, s, generation)); err != nil {
		return err
	}
	if _, err := l.cluster.kubectl(ctx, "", "-n", liveNamespace, "rollout", "status", "deployment/"+liveServer, "--timeout=120s"); err != nil {
		return err
	}
	var pods []livePod
	err := eventually(ctx, fmt.Sprintf("%d pods are ready and no others there", s.replicas), 2*time.Minute, func() (done bool, err error) {
		pods, err = l.podsNow(ctx)
		return err == nil && len(pods) == s.replicas && !slices.ContainsFunc(pods, func(p livePod) bool { return !p.ready() }), err
	})
	for _, p := range pods {
		// A kubelet looks at once at a pod that changes, and so at its ConfigMap.
		note := fmt.Sprintf(`{"metadata":{"annotations":{"bench/generation":"%d"}}}`, generation)
		err = cmp.Or(err, l.cluster.patch(ctx, livePodsPath+"/"+p.Metadata.Name, note))
	}
	if err != nil {
		return err
	}
	return eventually(ctx, fmt.Sprintf("every pod has %s", s), 3*time.Minute, func() (bool, error) {
		for _, p := range pods {
			if got, err := l.metric(ctx, p, "modelserver_config_generation"); err != nil || int(got) != generation {
				return false, err
			}
		}
		return true, nil
	})
}

// metric reads a metric of one series from a pod.
func (l *live) metric(ctx context.Context, p livePod, name string) (float64, error) {
	var text []byte
	if err := l.cluster.get(ctx, livePodsPath+"/"+p.Metadata.Name+":8080/proxy/metrics", &text); err != nil {
		return 0, err
	}
	return metricOf(string(text), name)
}

// metricOf finds the first series of a metric.
func metricOf(text, name string) (float64, error) {
	m := regexp.MustCompile(`(?m)^` + name + `(?:\{[^}]*\})? (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return strconv.ParseFloat(m[1], 64)
}

// usedByPods is the CPU seconds that each pod of the server has used.
func (l *live) usedByPods(ctx context.Context) (map[string]float64, error) {
	pods, err := l.podsNow(ctx)
	if err != nil {
		return nil, err
	}
	used, faults := map[string]float64{}, make([]error, len(pods))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() {
			v, err := l.metric(ctx, p, "process_cpu_seconds_total")
			mu.Lock()
			defer mu.Unlock()
			used[p.Metadata.Name], faults[i] = v, err
		})
	}
	wg.Wait()
	return used, errors.Join(faults...)
}
