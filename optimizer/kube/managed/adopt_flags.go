package managed

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// place is where a pod's model server has its settings.
type place struct {
	container, configMap, key string
}

// takeSettings finds the container that serves and the ConfigMap that its --config is in.
func takeSettings(pod corev1.PodSpec) (place, error) {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		file, ok := given(c, "config", "CONFIG")
		if !slices.Contains(started(c), "serve") || !ok {
			continue
		}
		if port := portOf(c); port != serverPort {
			return place{}, fmt.Errorf("container %s listens on port %d, and its metrics are read at %d; let it listen there first", c.Name, port, serverPort)
		}
		return mounted(pod, c, file)
	}
	return place{}, errors.New("none of its containers runs modelserver serve with --config on a ConfigMap volume; give it one, such as --config=/etc/model-config/model_config.json")
}

// mounted finds the ConfigMap that a file of a container comes from.
func mounted(pod corev1.PodSpec, c *corev1.Container, file string) (place, error) {
	for _, m := range c.VolumeMounts {
		name, in := strings.CutPrefix(path.Clean(file), path.Clean(m.MountPath)+"/")
		if !in {
			continue
		}
		if m.SubPath != "" || m.SubPathExpr != "" {
			return place{}, fmt.Errorf("its --config %s is mounted by subPath, which never sees a change; mount the whole volume", file)
		}
		for _, v := range pod.Volumes {
			if v.Name == m.Name && v.ConfigMap != nil {
				return keyed(v.ConfigMap, c.Name, name)
			}
		}
	}
	return place{}, fmt.Errorf("its --config %s is not on a ConfigMap volume; put it on one", file)
}

func keyed(v *corev1.ConfigMapVolumeSource, in, file string) (place, error) {
	if len(v.Items) == 0 {
		return place{in, v.Name, file}, nil
	}
	i := slices.IndexFunc(v.Items, func(k corev1.KeyToPath) bool { return path.Clean(k.Path) == file })
	if i < 0 {
		return place{}, fmt.Errorf("its volume of ConfigMap %s has no item %s; add it", v.Name, file)
	}
	return place{in, v.Name, v.Items[i].Key}, nil
}

// portOf is the port that a model server listens on.
func portOf(c *corev1.Container) int {
	text, ok := given(c, "port", "PORT")
	if address, listens := given(c, "listen", "LISTEN"); listens && !ok {
		_, text, _ = net.SplitHostPort(address)
		ok = true
	}
	if !ok {
		return serverPort
	}
	n, _ := strconv.Atoi(text) // what is no number is no port
	return n
}

// started is all that a container is started with.
func started(c *corev1.Container) []string { return slices.Concat(c.Command, c.Args) }

// given is what a container's flag or else its environment says.
func given(c *corev1.Container, flag, env string) (string, bool) {
	if at := spot(c, flag); at != nil {
		_, value, joined := strings.Cut(*at, "=")
		if !joined {
			value = *at
		}
		return value, true
	}
	for _, e := range c.Env {
		if e.Name == env && e.ValueFrom == nil {
			return e.Value, true
		}
	}
	return "", false
}

// give lets a container's flag or else its environment say value, where one of them says something: a
// server whose settings name its models is told nothing.
func give(c *corev1.Container, flag, env, value string) {
	if at := spot(c, flag); at != nil {
		if before, _, joined := strings.Cut(*at, "="); joined {
			value = before + "=" + value
		}
		*at = value
		return
	}
	for i := range c.Env {
		if c.Env[i].Name == env && c.Env[i].ValueFrom == nil {
			c.Env[i].Value = value
		}
	}
}

// spot is the word of a container's command line that has a flag's value, "--flag=value" or "value" after
// "--flag"; nil: the flag is not given. The last one counts.
func spot(c *corev1.Container, flag string) (at *string) {
	for _, list := range [][]string{c.Command, c.Args} {
		for i, word := range list {
			name := strings.TrimLeft(word, "-")
			switch {
			case len(name) == len(word):
			case strings.HasPrefix(name, flag+"="):
				at = &list[i]
			case name == flag && i+1 < len(list):
				at = &list[i+1]
			}
		}
	}
	return at
}

// askFor is list with other CPU and memory; zero: none. A quantity that is as asked keeps its spelling.
func askFor(list corev1.ResourceList, milliCPU, bytes int64) corev1.ResourceList {
	for name, q := range map[corev1.ResourceName]*resource.Quantity{
		corev1.ResourceCPU: resource.NewMilliQuantity(milliCPU, resource.DecimalSI), corev1.ResourceMemory: resource.NewQuantity(bytes, resource.BinarySI),
	} {
		switch now, has := list[name]; {
		case q.IsZero():
			delete(list, name)
		case has && now.Cmp(*q) == 0:
		default:
			if list == nil {
				list = corev1.ResourceList{}
			}
			list[name] = *q
		}
	}
	return list
}
