package cluster

import "strings"

// kernelSettings are what a kubelet wants of the whole machine. A level 3
// cluster shows it files with these values in place of the machine's own, so
// that the kubelet finds all as it should be and changes nothing.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// KernelFiles maps each file of the state directory to the setting it covers.
func (s Spec) KernelFiles() map[string]string {
	files := map[string]string{}
	for path := range kernelSettings {
		files[s.Path("sysctl", kernelFile(path))] = "/proc/sys/" + path
	}
	return files
}

func kernelFile(path string) string { return strings.ReplaceAll(path, "/", ".") }
