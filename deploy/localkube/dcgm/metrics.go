package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// family is one metric of dcgm-exporter.
type family struct {
	name, help string
	value      func(board, gpu) string
}

// families are the four that a reader of GPU use asks for, in the exporter's units.
var families = []family{
	{"DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %).", func(_ board, g gpu) string { return strconv.Itoa(int(100*g.utilization + 0.5)) }},
	{"DCGM_FI_DEV_FB_FREE", "Frame buffer memory free (in MiB).", func(b board, g gpu) string { return strconv.Itoa(max(0, b.memory-g.used)) }},
	{"DCGM_FI_DEV_FB_USED", "Frame buffer memory used (in MiB).", func(_ board, g gpu) string { return strconv.Itoa(g.used) }},
	{"DCGM_FI_PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active.", func(_ board, g gpu) string { return fmt.Sprintf("%.6f", g.utilization) }},
}

// write prints every family for every GPU, in Prometheus' text format.
func write(w io.Writer, b board, gpus []gpu) {
	fmt.Fprintln(w, "# SIMULATED: there are no such GPUs; these figures are scripted.")
	for _, f := range families {
		fmt.Fprintf(w, "# HELP %s SIMULATED: %s\n# TYPE %s gauge\n", f.name, f.help, f.name)
		for _, g := range gpus {
			fmt.Fprintf(w, "%s{%s} %s\n", f.name, labels(b, g), f.value(b, g))
		}
	}
}

// labels are what the exporter puts on every sample, those of the container last and only where there is one.
func labels(b board, g gpu) string {
	pairs := []string{
		"gpu", strconv.Itoa(g.index),
		"UUID", uuid(g),
		"pci_bus_id", fmt.Sprintf("00000000:00:%02X.0", 0x1b+g.index),
		"device", fmt.Sprintf("nvidia%d", g.index),
		"modelName", b.model + " (SIMULATED)",
		"Hostname", g.node,
	}
	if o := g.owner; o != nil {
		pairs = append(pairs, "container", o.container, "namespace", o.namespace, "pod", o.pod)
	}
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, fmt.Sprintf("%s=%q", pairs[i], pairs[i+1]))
	}
	return strings.Join(out, ",")
}

// uuid is the same for the same GPU in every run.
func uuid(g gpu) string {
	s := sha256.Sum256([]byte(g.node + "/" + strconv.Itoa(g.index)))
	return fmt.Sprintf("GPU-%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}
