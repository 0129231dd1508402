// Package machine judges the computer: which level of cluster it can carry,
// what is missing for it, and how to get that.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"trimtab.dev/trimtab/deploy/localkube/cgroup"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

// Packages are the Debian packages that a level 3 cluster needs.
var Packages = []string{"containerd", "runc", "containernetworking-plugins", "nftables", "iproute2"}

// Level is the highest level that this machine can carry, and why no higher.
// built is true if the binaries are there, so that no Go is needed.
func Level(built bool) (int, string) {
	if runtime.GOOS != "linux" {
		return 1, "this is " + runtime.GOOS + ", clusters need Linux"
	}
	if _, err := exec.LookPath("go"); err != nil && !built {
		return 1, "no go command on PATH to build with"
	}
	if os.Geteuid() != 0 {
		return 2, "not root, so no namespaces and containers"
	}
	if _, err := cgroup.Detect(cgroup.Mount); err != nil {
		return 2, err.Error()
	}
	if err := probeNamespaces(); err != nil {
		return 2, err.Error()
	}
	if _, missing := Tools(); len(missing) > 0 {
		if _, err := exec.LookPath("apt-get"); err != nil {
			return 2, missing[0]
		}
		return 3, "root on Linux, once localkube deps has installed Debian packages"
	}
	return 3, "root on Linux with namespaces, control groups and a container runtime"
}

// cniDirs are where distributions put the network plugins.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/containernetworking"}

// Tools finds the programs of a level 3 cluster. Each missing one is a line
// that ends with the remedy.
func Tools() (cluster.Tools, []string) {
	var missing []string
	find := func(name, pkg string) string {
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
			path := filepath.Join(dir, name)
			if s, err := os.Stat(path); err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0 {
				return path
			}
		}
		missing = append(missing, lack(name, pkg))
		return ""
	}
	t := cluster.Tools{Containerd: find("containerd", "containerd"), Ctr: find("ctr", "containerd"), Runc: find("runc", "runc")}
	find("containerd-shim-runc-v2", "containerd")
	find("nft", "nftables")
	find("ip", "iproute2")
	if t.CNI = findCNI(); t.CNI == "" {
		missing = append(missing, lack("CNI plugins bridge, host-local and loopback", "containernetworking-plugins"))
	}
	return t, missing
}

func findCNI() string {
	for _, dir := range cniDirs {
		complete := true
		for _, name := range []string{"bridge", "host-local", "loopback"} {
			_, err := os.Stat(filepath.Join(dir, name))
			complete = complete && err == nil
		}
		if complete {
			return dir
		}
	}
	return ""
}

func lack(what, pkg string) string {
	return fmt.Sprintf("%s not found; localkube deps installs the Debian package %s", what, pkg)
}

// Missing lists everything that stands against a cluster of this level.
func Missing(level int) []string {
	var missing []string
	if runtime.GOOS != "linux" {
		return []string{"this is " + runtime.GOOS + "; clusters need Linux, use a virtual machine or make demo, which does without"}
	}
	if level != 3 {
		return nil
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "not root; use sudo, or --level 2 which needs no rights")
	}
	if _, err := cgroup.Detect(cgroup.Mount); err != nil {
		missing = append(missing, err.Error())
	}
	if !overlayKnown() {
		missing = append(missing, "the kernel has no overlay file system; try modprobe overlay, or use --level 2")
	}
	_, tools := Tools()
	missing = append(missing, tools...)
	if len(missing) == 0 {
		if err := probeNamespaces(); err != nil {
			missing = append(missing, err.Error()+"; use --level 2")
		}
	}
	return missing
}

func overlayKnown() bool {
	text, err := os.ReadFile("/proc/filesystems")
	if err != nil || strings.Contains(string(text), "\toverlay\n") {
		return true // unknown counts as there: the probe is the start itself
	}
	return exec.Command("modprobe", "overlay").Run() == nil
}

// Size reads how big the computer is.
func Size() cluster.Machine {
	m := cluster.Machine{CPUs: runtime.NumCPU()}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m
	}
	var kib int64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
		m.Memory = kib << 10
	}
	return m
}

// InstallPackages lets apt install what is missing, in one go.
func InstallPackages(say func(format string, a ...any)) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("no apt-get here; install with your own package manager: %s", strings.Join(Packages, " "))
	}
	if _, missing := Tools(); len(missing) == 0 {
		say("Debian packages: nothing to install\n")
		return nil
	}
	say("installing Debian packages: %s\n", strings.Join(Packages, " "))
	install := append([]string{"install", "-y", "--no-install-recommends"}, Packages...)
	if err := run(apt, install...); err == nil {
		return nil
	}
	if err := run(apt, "update"); err != nil {
		return fmt.Errorf("refresh package lists: %w; are you root and is the mirror reachable?", err)
	}
	if err := run(apt, install...); err != nil {
		return fmt.Errorf("install packages: %w; are you root?", err)
	}
	return nil
}

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}
