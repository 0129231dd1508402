package kube

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ErrKubeconfig marks a kubeconfig that names no cluster: a person's mistake, not a cluster's.
var ErrKubeconfig = errors.New("kubeconfig")

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
	file, err := rules.Load()
	if err != nil {
		return nil, cmp.Or(readable(kubeconfig), fmt.Errorf("%w: %w", ErrKubeconfig, err))
	}
	if _, ok := file.Contexts[context]; context != "" && !ok {
		return nil, fmt.Errorf("%w has no context %q; there are: %s", ErrKubeconfig, context,
			cmp.Or(strings.Join(slices.Sorted(maps.Keys(file.Contexts)), ", "), "none"))
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*file, context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, fmt.Errorf("%w: no cluster is configured; name a file with --kubeconfig or KUBECONFIG, or run inside a cluster", ErrKubeconfig)
	}
	return wrapped(cfg, err, "read kubeconfig")
}

// readable says in a few words what is wrong with a kubeconfig file that could not be read, and what to do, where the
// library does in many. Not before it was tried: a pipe gives its text once.
func readable(name string) error {
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%w %s cannot be read: %w; name a file with --kubeconfig or KUBECONFIG", ErrKubeconfig, name, path.Err)
	}
	_, err = clientcmd.Load(data)
	switch {
	case err == nil:
		return nil
	case runtime.IsNotRegisteredError(err):
		return fmt.Errorf("%w %s is something else: it has another kind than Config", ErrKubeconfig, name)
	}
	return fmt.Errorf("%w %s: %w", ErrKubeconfig, name, err)
}

func wrapped(cfg *rest.Config, err error, doing string) (*rest.Config, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return cfg, nil
}
