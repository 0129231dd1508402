package kube

import (
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Client is how to reach a cluster: inside one, by the pod's own account, unless a kubeconfig file
// or a context of one is named; elsewhere by the kubeconfig that kubectl would use. Version is that
// of the program, for the API server's logs.
func Client(kubeconfig, context, version string) (*rest.Config, error) {
	cfg, err := connection(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = "trimtab/" + version
	cfg.QPS, cfg.Burst = 50, 100 // the first lists of a big cluster, and a report's proxy calls; watches cost none
	return cfg, nil
}

func connection(kubeconfig, context string) (*rest.Config, error) {
	if kubeconfig == "" && context == "" {
		cfg, err := rest.InClusterConfig()
		if !errors.Is(err, rest.ErrNotInCluster) {
			return wrapped(cfg, err, "use the pod's service account")
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no cluster is configured: give a kubeconfig file, or run inside a cluster")
	}
	return wrapped(cfg, err, "read kubeconfig")
}

func wrapped(cfg *rest.Config, err error, doing string) (*rest.Config, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return cfg, nil
}
