package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// ServiceProxy reads path, which may have a query, from a Service through the API server, with the
// caller's own rights. Port is a number or a name.
func ServiceProxy(ctx context.Context, cfg *rest.Config, namespace, service, port, path string) ([]byte, error) {
	ref, err := url.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("read service %s/%s: %w", namespace, service, err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("read service %s/%s: %w", namespace, service, err)
	}
	params := map[string]string{}
	for key := range ref.Query() {
		params[key] = ref.Query().Get(key)
	}
	body, err := client.CoreV1().Services(namespace).ProxyGet("http", service, port, ref.Path, params).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s of service %s/%s through the API server: %w", path, namespace, service, proxyFault(err, body, cfg.Host, namespace, service))
	}
	return body, nil
}

// proxyFault says what to do about a failed call. The API server's own refusals come as a Status
// object; any other body was written by what runs behind the Service.
func proxyFault(err error, body []byte, host, namespace, service string) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return unanswered(err, host)
	}
	code := answer.Status().Code
	var status metav1.Status
	if json.Unmarshal(body, &status) != nil || status.Kind != "Status" {
		if len(bytes.TrimSpace(body)) == 0 {
			return err
		}
		return fmt.Errorf("it answered %d: %s", code, bytes.TrimSpace(body))
	}
	switch code {
	case http.StatusForbidden:
		return fmt.Errorf("RBAC does not allow it; you need the verb \"get\" on resource \"services/proxy\" in namespace %s: %s", namespace, status.Message)
	case http.StatusUnauthorized:
		return fmt.Errorf("the API server does not know you; renew the login of your kubeconfig: %s", status.Message)
	case http.StatusNotFound:
		return fmt.Errorf("there is no service %s in namespace %s; is the daemon installed there? %s", service, namespace, status.Message)
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusInternalServerError:
		return fmt.Errorf("no pod answers for service %s; is the daemon running and ready? %s", service, status.Message)
	}
	return errors.New(status.Message)
}

// unanswered is a call that got no answer. Whoever ended it needs no advice.
func unanswered(err error, host string) error {
	var unreached *url.Error
	if errors.As(err, &unreached) {
		err = unreached.Err // its long address says no more than the host
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w; is the cluster up, and is it the one that the kubeconfig names?", host, err)
}
