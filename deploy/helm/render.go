package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1/util"
)

// readValues joins values files as `helm install -f A -f B` does: a later one wins. The namespace is
// asked for, because kubectl makes none.
func readValues(files ...string) (common.Values, error) {
	all := common.Values{"createNamespace": true}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read values: %w", err)
		}
		one, err := common.ReadValues(text)
		if err != nil {
			return nil, fmt.Errorf("read values of %s: %w", file, err)
		}
		all = util.CoalesceTables(one, all)
	}
	return all, nil
}

// render gives the manifests of the chart in dir, in the order in which Helm installs their kinds.
// Values that the chart's schema does not know are an error.
func render(dir, namespace string, values common.Values) ([]byte, error) {
	chart, err := loader.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	options := common.ReleaseOptions{Name: "trimtab", Namespace: namespace, Revision: 1, IsInstall: true}
	scope, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("check values: %w", err)
	}
	files, err := engine.Engine{Strict: true}.Render(chart, scope)
	if err != nil {
		return nil, fmt.Errorf("render chart: %w", err)
	}
	for name := range files {
		if !strings.HasSuffix(name, ".yaml") {
			delete(files, name) // notes and definitions
		}
	}
	_, manifests, err := release.SortManifests(files, nil, release.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("sort manifests: %w", err)
	}
	return join(manifests), nil
}

func join(manifests []release.Manifest) []byte {
	var out bytes.Buffer
	for i, m := range manifests {
		if i > 0 {
			out.WriteString("---\n")
		}
		out.WriteString(strings.TrimSpace(m.Content) + "\n")
	}
	return out.Bytes()
}
