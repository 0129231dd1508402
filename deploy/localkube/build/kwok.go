package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// KwokFiles are the behaviours of fake nodes and pods that the kwok module
// ships: they are taken out of the module, so that they fit its version.
var KwokFiles = []string{
	"stage/node/fast/node-initialize.yaml",
	"stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
	"stage/pod/fast/pod-ready.yaml",
	"stage/pod/fast/pod-complete.yaml",
	"stage/pod/fast/pod-delete.yaml",
	"metrics/resource/metrics-resource.yaml",
	"metrics/usage/usage-from-annotation.yaml",
}

func copyKwokFiles(ctx context.Context, src, to string) error {
	dirs, err := goLines(ctx, src, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil || len(dirs) != 1 {
		return fmt.Errorf("find the kwok module: %w", err)
	}
	var all bytes.Buffer
	for _, name := range KwokFiles {
		text, err := os.ReadFile(filepath.Join(dirs[0], "kustomize", name))
		if err != nil {
			return fmt.Errorf("read kwok configuration: %w", err)
		}
		fmt.Fprintf(&all, "---\n%s\n", text)
	}
	if err := os.WriteFile(to, all.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write kwok configuration: %w", err)
	}
	return nil
}
