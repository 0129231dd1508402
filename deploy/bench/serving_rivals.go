package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// rivals are the programs of others, with what they call themselves.
type rivals struct {
	agent, agentVersion string // KServe's
	node, nodeVersion   string // folder of the Node server; empty: it cannot be had here
	wrk, wrkVersion     string
}

// prepare builds and fetches all that is run. The first time takes minutes, for KServe's agent is large.
func (t *trial) prepare() error {
	build := []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o"}
	if t.binary == "" {
		t.say("building modelserver")
		t.binary = filepath.Join(t.root, "bin", "modelserver")
		if err := t.do(t.root, append(build, t.binary, "./cmd/modelserver")...); err != nil {
			return err
		}
	}
	if err := t.findWrk(); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "trimtab", "rivals")
	folder := filepath.Join(t.root, "deploy", "rivals")
	t.say("building KServe's agent (minutes the first time)")
	t.rivals.agent = filepath.Join(cache, "kserve-agent")
	if err := t.do(folder, append(build, t.rivals.agent, "github.com/kserve/kserve/cmd/agent")...); err != nil {
		return err
	}
	version, err := exec.Command("go", "-C", folder, "list", "-m", "-f", "{{.Version}}", "github.com/kserve/kserve").Output()
	if err != nil {
		return fmt.Errorf("version of KServe: %w", err)
	}
	t.rivals.agentVersion = strings.TrimSpace(string(version))
	if err := t.fetchNode(folder, filepath.Join(cache, "node")); err != nil {
		t.say("no Node rival: %s", err)
		t.rivals.node, t.rivals.nodeVersion = "", "no Node rival here"
	}
	return nil
}

// do runs a program in a folder; its output is shown only if it fails.
func (t *trial) do(dir string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, lastLine(out))
	}
	return nil
}

// findWrk installs wrk where it is missing and reads its version.
func (t *trial) findWrk() error {
	path, err := exec.LookPath("wrk")
	if err != nil {
		t.say("installing Debian package: wrk")
		install := []string{"apt-get", "install", "-y", "--no-install-recommends", "wrk"}
		if t.do(t.dir, install...) != nil {
			if err := t.do(t.dir, "apt-get", "update"); err != nil {
				return err
			}
			if err := t.do(t.dir, install...); err != nil {
				return fmt.Errorf("%w; install wrk with your own package manager", err)
			}
		}
		if path, err = exec.LookPath("wrk"); err != nil {
			return err
		}
	}
	out, _ := exec.Command(path, "-v").CombinedOutput() // it prints its usage too and exits 1
	t.rivals.wrk, t.rivals.wrkVersion = path, strings.Join(strings.Fields(strings.SplitN(string(out), "[", 2)[0]), " ")
	return nil
}

// fetchNode installs ONNX Runtime for Node beside a copy of the rival's script. Install scripts are not
// run: they fetch what only GPUs need.
func (t *trial) fetchNode(folder, to string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	fresh := true
	for _, name := range []string{"package.json", "package-lock.json", "server.js"} {
		want, err := os.ReadFile(filepath.Join(folder, "node", name))
		if err != nil {
			return err
		}
		have, err := os.ReadFile(filepath.Join(to, name))
		fresh = fresh && err == nil && string(have) == string(want)
		if err := os.WriteFile(filepath.Join(to, name), want, 0o644); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(to, "node_modules", "onnxruntime-node")); err != nil || !fresh {
		t.say("fetching onnxruntime-node from npm (86 MB)")
		if err := t.do(to, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
			return err
		}
	}
	version, err := exec.Command("node", "-p", `"onnxruntime-node " + require("`+to+`/node_modules/onnxruntime-node/package.json").version + " behind node:http, node " + process.version`).Output()
	if err != nil {
		return fmt.Errorf("run node: %w", err)
	}
	t.rivals.node, t.rivals.nodeVersion = to, strings.TrimSpace(string(version))
	return nil
}

// kserve starts KServe's agent as a batching sidecar in front of a server that computes its batches. What
// the two use is summed.
func (t *trial) kserve(behind *server) (*server, error) {
	port, err := t.freePort()
	if err != nil {
		return nil, err
	}
	_, back, _ := strings.Cut(strings.TrimPrefix(behind.url, "http://"), ":")
	s, err := t.await("KServe agent", port, func() (*exec.Cmd, error) {
		return t.launch("KServe agent", t.rivals.agent, "--port", strconv.Itoa(port), "--component-port", back,
			"--enable-batcher", "--max-batchsize", "32", "--max-latency", "2")
	})
	if err == nil {
		s.parts = append(s.parts, behind.parts...)
	}
	return s, err
}

// nodeServer starts the Node rival with a model.
func (t *trial) nodeServer(model string) (*server, error) {
	port, err := t.freePort()
	if err != nil {
		return nil, err
	}
	return t.await("node ORT", port, func() (*exec.Cmd, error) {
		return t.launch("node ORT", "node", filepath.Join(t.rivals.node, "server.js"), model, "m", strconv.Itoa(port))
	})
}
