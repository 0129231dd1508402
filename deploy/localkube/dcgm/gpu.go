package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// gpu is one that does not exist.
type gpu struct {
	node        string
	index       int
	utilization float64 // 0 to 1
	used        int     // MiB of its memory
	owner       *owner  // nil: no container has it
}

// owner is the container that a GPU is given to.
type owner struct{ namespace, pod, container string }

// pod is a running one.
type pod struct {
	namespace, name, node string
	containers            []container
}

// container is one with GPUs.
type container struct {
	name string
	gpus int
}

// parseGPU reads NODE/INDEX=UTILIZATION[,USED].
func parseGPU(text string) (gpu, error) {
	name, figures, ok := strings.Cut(text, "=")
	node, index, ok2 := strings.Cut(name, "/")
	if !ok || !ok2 || node == "" {
		return gpu{}, fmt.Errorf("write NODE/INDEX=UTILIZATION, such as gpu-1/0=0.55")
	}
	g := gpu{node: node}
	var err error
	if g.index, err = strconv.Atoi(index); err != nil || g.index < 0 {
		return gpu{}, fmt.Errorf("index %q: write a number from 0", index)
	}
	share, used, _ := strings.Cut(figures, ",")
	if g.utilization, err = strconv.ParseFloat(share, 64); err != nil || !(g.utilization >= 0 && g.utilization <= 1) {
		return gpu{}, fmt.Errorf("utilization %q: write a number from 0 to 1", share)
	}
	if g.used, err = strconv.Atoi(cmp.Or(used, "0")); err != nil || g.used < 0 {
		return gpu{}, fmt.Errorf("memory used %q: write MiB", used)
	}
	return g, nil
}

// attribute gives the GPUs of each node, by index, to the containers there, by name of their pods. A
// container that asks for more than are left gets those.
func attribute(gpus []gpu, pods []pod) []gpu {
	gpus, pods = slices.Clone(gpus), slices.Clone(pods)
	slices.SortStableFunc(gpus, func(a, b gpu) int { return cmp.Or(cmp.Compare(a.node, b.node), a.index-b.index) })
	slices.SortFunc(pods, func(a, b pod) int { return cmp.Compare(a.name, b.name) })
	for _, p := range pods {
		for _, c := range p.containers {
			gpus = give(gpus, c.gpus, p.node, &owner{p.namespace, p.name, c.name})
		}
	}
	return gpus
}

// give hands n free GPUs of node to o.
func give(gpus []gpu, n int, node string, o *owner) []gpu {
	for i := range gpus {
		if n > 0 && gpus[i].node == node && gpus[i].owner == nil {
			gpus[i].owner = o
			n--
		}
	}
	return gpus
}
