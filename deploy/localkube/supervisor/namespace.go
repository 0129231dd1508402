//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

// Isolation are the namespaces that a level 3 supervisor is started in. All
// that the cluster makes in them goes when its last process goes.
const Isolation = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID

// settle makes the fresh mount namespace fit for a cluster. Nothing here
// reaches the host: the first mount stops propagation.
func settle(s cluster.Spec) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := cover(s.State); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for file, setting := range s.KernelFiles() {
		if err := syscall.Mount(file, setting, "", syscall.MS_BIND, ""); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("cover %s: %w", setting, err)
		}
	}
	return nil
}

// cover gives the cluster directories of its own where the runtime writes
// whatever its configuration says. The host need not have them: a mount point
// that was made for one cluster and removed with it would tear the mount out
// of another.
func cover(state string) error {
	for _, dir := range []string{"/run", "/var/log"} {
		if strings.HasPrefix(state+"/", dir+"/") {
			return fmt.Errorf("the state directory %s lies in %s, which the cluster covers; set LOCALKUBE_STATE to another", state, dir)
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("cover %s: %w", dir, err)
		}
	}
	const upper, work = "/run/lib-upper", "/run/lib-work"
	for _, dir := range []string{cluster.Inside, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	if err := syscall.Mount(state, cluster.Inside, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("show the state directory as %s: %w", cluster.Inside, err)
	}
	layers := "lowerdir=/var/lib,upperdir=" + upper + ",workdir=" + work
	if err := syscall.Mount("overlay", "/var/lib", "overlay", 0, layers); err != nil {
		return fmt.Errorf("cover /var/lib: %w", err)
	}
	return nil
}

// connect gives the fresh network namespace loopback and one bridge a node.
func (s *supervisor) connect(ctx context.Context) error {
	ip, err := exec.LookPath("ip")
	if err != nil {
		return err
	}
	lines := []string{"link set lo up"}
	for _, n := range cluster.RealNodes {
		lines = append(lines,
			"link add "+n.Bridge+" type bridge",
			"address add "+n.Gateway+"/24 dev "+n.Bridge,
			"link set "+n.Bridge+" up")
	}
	// What runs beside the nodes calls services too: a packet needs some route
	// before kube-proxy gives it its true destination.
	lines = append(lines, "route add "+cluster.ServiceRange+" dev "+cluster.RealNodes[0].Bridge)
	batch := s.spec.Path("network")
	if err := os.WriteFile(batch, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("write network commands: %w", err)
	}
	if err := s.must(ctx, ip, "-batch", batch); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("let the nodes forward packets: %w", err)
	}
	return nil
}

func (s *supervisor) makeCgroups() error {
	for _, n := range cluster.RealNodes {
		if err := s.spec.Cgroups.Create(filepath.Clean(s.spec.CgroupRoot(n))); err != nil {
			return err
		}
	}
	return nil
}
