package cgroup

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Limits
		fault string
	}{
		{"no control groups", nil, Limits{}, ""},
		{"version 2 in a container", map[string]string{"sys/fs/cgroup/cpu.max": "150000 100000\n", "sys/fs/cgroup/memory.max": "268435456\n"}, Limits{1.5, 256 << 20}, ""},
		{"version 2 without limits", map[string]string{"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"}, Limits{}, ""},
		{"version 1 in a container", map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000", "sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728"}, Limits{.5, 128 << 20}, ""},
		{"version 1 without limits", map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, Limits{}, ""},
		{"a stricter parent", map[string]string{"proc/self/cgroup": "0::/pods/a\n", "sys/fs/cgroup/pods/cpu.max": "100000 100000", "sys/fs/cgroup/pods/a/cpu.max": "300000 100000"}, Limits{CPU: 1}, ""},
		{"a group of version 1 below the root", map[string]string{"proc/self/cgroup": "4:cpu,cpuacct:/pods/a\n", "sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_period_us": "100000"}, Limits{CPU: 2}, ""},
		{"no number", map[string]string{"sys/fs/cgroup/cpu.max": "many 100000", "sys/fs/cgroup/memory.max": "256Mi"}, Limits{}, `"many 100000" is no CPU quota`},
		{"no number", map[string]string{"sys/fs/cgroup/cpu.max": "50000", "sys/fs/cgroup/memory.max": "256Mi"}, Limits{}, `"256Mi" is no memory limit`},
	} {
		root := fstest.MapFS{}
		for name, text := range tt.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		got, err := Read(root)
		if got != tt.want || (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %+v, %v; want %+v, %q", tt.name, got, err, tt.want, tt.fault)
		}
	}
}

// denied is a file system one of whose files may not be read.
type denied struct {
	fs.FS
	name string
}

func (d denied) Open(name string) (fs.File, error) {
	if name == d.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.FS.Open(name)
}

// TestUnreadable: a limit that may not be read is a fault, not "no limit".
func TestUnreadable(t *testing.T) {
	root := fstest.MapFS{}
	for name, text := range map[string]string{"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "1000"} {
		root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	for _, name := range []string{"sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "sys/fs/cgroup/cpu/cpu.cfs_period_us",
		"sys/fs/cgroup/memory/memory.limit_in_bytes", "proc/self/cgroup"} {
		if got, err := Read(denied{root, name}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s may not be read: %+v, %v", name, got, err)
		}
	}
	if got, err := Read(denied{root, "elsewhere"}); err != nil || got != (Limits{.5, 1000}) {
		t.Errorf("all may be read: %+v, %v", got, err)
	}
}
