//go:build !crashpoints

package main

import "k8s.io/client-go/rest"

// instrument does nothing in a real build; the end-to-end test builds with the tag crashpoints.
func instrument(*rest.Config) {}
