//go:build !linux

package machine

import "errors"

func probeNamespaces() error { return errors.New("namespaces need Linux") }
