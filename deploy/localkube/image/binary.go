package image

import "strings"

// FullRef completes a short name: server becomes localhost/trimtab/server:dev.
// The tag is never latest, which would make the kubelet ask a registry.
func FullRef(name string) string {
	if !strings.Contains(name, "/") {
		name = "localhost/trimtab/" + name
	}
	if !strings.Contains(name[strings.LastIndexByte(name, '/'):], ":") {
		name += ":dev"
	}
	return name
}
