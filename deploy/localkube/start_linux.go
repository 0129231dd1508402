package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/image"
	"trimtab.dev/trimtab/deploy/localkube/supervisor"
)

const superviseVerb = "supervise"

// prepare writes the state directory: specification, keys, configuration.
func prepare(s cluster.Spec) error {
	if err := writeState(s, markFile, []byte("localkube removes this directory\n")); err != nil {
		return err
	}
	for _, dir := range []string{"log", "tmp", "etcd", "pki", "sysctl"} {
		if err := os.MkdirAll(filepath.Join(s.State, dir), 0o700); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode cluster: %w", err)
	}
	if err := writeState(s, supervisor.SpecFile, text); err != nil {
		return err
	}
	keys, err := s.NewKeys(time.Now())
	if err != nil {
		return err
	}
	for name, text := range keys {
		if err := writeState(s, "pki/"+name, text); err != nil {
			return err
		}
	}
	for name, text := range s.Files() {
		if err := writeState(s, name, text); err != nil {
			return err
		}
	}
	if s.Level == 3 {
		return packPause(s)
	}
	return nil
}

// packPause makes the sandbox image of the real nodes.
func packPause(s cluster.Spec) error {
	binary, err := os.ReadFile(filepath.Join(s.Bin, "pause"))
	if err != nil {
		return fmt.Errorf("read pause: %w; localkube build makes it", err)
	}
	var archive bytes.Buffer
	if err := image.Pack(&archive, image.Spec{Ref: cluster.PauseImage, Name: "pause", Binary: binary}); err != nil {
		return err
	}
	return writeState(s, "pause.tar", archive.Bytes())
}

func writeState(s cluster.Spec, name string, text []byte) error {
	path := filepath.Join(s.State, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// spawn starts the supervisor and follows it until the cluster is ready. If
// this process dies before, the supervisor lets go of everything.
func spawn(ctx context.Context, s cluster.Spec, listeners []*net.TCPListener) error {
	progressOut, progressIn, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err)
	}
	defer progressOut.Close()
	leashOut, leashIn, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err)
	}
	defer leashIn.Close()
	stop := context.AfterFunc(ctx, func() { leashIn.Close() })
	defer stop()
	if err := launch(s, listeners, progressIn, leashOut); err != nil {
		return err
	}
	if err := follow(progressOut); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	_, err = leashIn.Write([]byte{1})
	return err
}

func launch(s cluster.Spec, listeners []*net.TCPListener, progress, leash *os.File) error {
	log, err := os.Create(filepath.Join(s.State, "log", "supervisor.log"))
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", superviseVerb, s.State)
	cmd.Args[0] = "localkube"
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.State
	cmd.ExtraFiles = []*os.File{progress, leash}
	defer progress.Close()
	defer leash.Close()
	for _, l := range listeners {
		f, err := l.File()
		if err != nil {
			return fmt.Errorf("hand over %s: %w", l.Addr(), err)
		}
		defer f.Close()
		defer l.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if s.Level == 3 {
		cmd.SysProcAttr.Cloneflags = supervisor.Isolation
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	go cmd.Wait()
	return nil
}

// follow prints the supervisor's progress until it says how it ended.
func follow(progress *os.File) error {
	var fault []string
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		line := lines.Text()
		if line == supervisor.ReadyLine {
			return nil
		}
		if rest, ok := strings.CutPrefix(line, "fault: "); ok || fault != nil {
			fault = append(fault, rest)
			continue
		}
		say("%s\n", line)
	}
	if fault == nil {
		return errors.New("the supervisor ended without a word")
	}
	return errors.New(strings.Join(fault, "\n"))
}

// addNodes hands a manifest of fake nodes to kubectl.
func addNodes(ctx context.Context, s cluster.Spec) error {
	if s.Nodes == "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "kubectl"), "--kubeconfig", publicKubeconfig(s.State), "apply", "-f", s.Nodes)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+kubectlCache(s.State))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("add the nodes of %s: %w; the cluster is up without them", s.Nodes, err)
	}
	return nil
}
