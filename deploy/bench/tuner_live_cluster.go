package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// liveCluster is a localkube of this measurement's own.
type liveCluster struct {
	localkube, out string
	env            []string
	server         string // URL of its API
	http           *http.Client
}

// build compiles what is measured with the flags of the Makefile.
func (l *live) build(ctx context.Context) error {
	l.bin = l.binary
	if l.bin != "" {
		return nil
	}
	l.bin = l.file("bin")
	for _, of := range []struct {
		dir  string
		args []string
	}{{l.root, []string{"-ldflags", "-s -w", "./cmd/trimtab", "./cmd/modelserver"}}, {filepath.Join(l.root, "deploy", "localkube"), []string{"."}}} {
		cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-buildvcs=false", "-o", l.bin + "/"}, of.args...)...)
		cmd.Dir, cmd.Env = of.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %v in %s: %w: %s", of.args, of.dir, err, out)
		}
	}
	return nil
}

// clusterUp starts a cluster, gives it both images and installs the daemon.
func (l *live) clusterUp(ctx context.Context) (*liveCluster, error) {
	state := l.file("state")
	c := &liveCluster{localkube: filepath.Join(l.bin, "localkube"), out: l.file("out"), env: append(os.Environ(), "LOCALKUBE_STATE="+state)}
	level, err := c.run(ctx, "", "level")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(level, "3") {
		return nil, fmt.Errorf("real nodes are needed, and this machine carries level %s", strings.TrimSpace(level))
	}
	for _, args := range [][]string{
		{"build"},
		{"up", "--out", c.out},
		{"load", "--out", c.out, "localhost/trimtab/trimtab:dev=" + filepath.Join(l.bin, "trimtab"), "localhost/trimtab/modelserver:dev=" + filepath.Join(l.bin, "modelserver")},
	} {
		if _, err := c.run(ctx, "", args...); err != nil {
			return nil, errors.Join(err, c.down())
		}
	}
	if err := errors.Join(c.connect(state), l.install(ctx, c)); err != nil {
		return nil, errors.Join(err, c.down())
	}
	return c, nil
}

// install puts the daemon into the cluster, without a policy: it looks every 5 seconds.
func (l *live) install(ctx context.Context, c *liveCluster) error {
	text, err := os.ReadFile(filepath.Join(l.root, "deploy", "demo", "install.yaml"))
	if err != nil {
		return err
	}
	if err := c.apply(ctx, withFlags(string(text), l.daemon)); err != nil {
		return err
	}
	_, err = c.kubectl(ctx, "", "-n", "trimtab", "rollout", "status", "deployment/trimtab", "--timeout=120s")
	return err
}

// withFlags gives the daemon of a manifest flags, in place of those that have their names there.
func withFlags(manifest string, flags []string) string {
	for _, f := range flags {
		name, _, _ := strings.Cut(f, "=")
		there := regexp.MustCompile(`(?m)^ +- "?` + name + `(=.*)?\n`)
		manifest = there.ReplaceAllString(manifest, "")
		manifest = strings.Replace(manifest, "            - run\n", "            - run\n            - \""+f+"\"\n", 1)
	}
	return manifest
}

// down stops the cluster and removes it. It has its own time: it is called when the measurement's has ended.
func (c *liveCluster) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := c.run(ctx, "", "down", "--out", c.out)
	return err
}

// run runs localkube; what it printed is in the error.
func (c *liveCluster) run(ctx context.Context, stdin string, args ...string) (string, error) {
	var out, fault bytes.Buffer
	cmd := exec.CommandContext(ctx, c.localkube, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, strings.NewReader(stdin), &out, &fault
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has something to tidy
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("localkube %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(fault.String()))
	}
	return out.String(), nil
}

func (c *liveCluster) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return c.run(ctx, stdin, append([]string{"kubectl", "--out", c.out}, args...)...)
}

func (c *liveCluster) apply(ctx context.Context, text string) error {
	_, err := c.kubectl(ctx, text, "apply", "-f", "-")
	return err
}

var serverURL = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)

// connect prepares calls of the API without kubectl, which would use more CPU than what is measured.
func (c *liveCluster) connect(state string) error {
	config, err := os.ReadFile(filepath.Join(c.out, "kubeconfig"))
	if err != nil {
		return err
	}
	if c.server = serverURL.FindString(string(config)); c.server == "" {
		return fmt.Errorf("no server in %s/kubeconfig", c.out)
	}
	pki := filepath.Join(state, "pki")
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	config2 := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	c.http = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config2, MaxIdleConnsPerHost: 4}}
	return nil
}

// trimtab asks the daemon as a person would.
func (l *live) trimtab(ctx context.Context, args ...string) ([]byte, error) {
	args = append(args, "--kubeconfig", filepath.Join(l.cluster.out, "kubeconfig"))
	out, err := exec.CommandContext(ctx, filepath.Join(l.bin, "trimtab"), args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, lastLine(exit.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("trimtab %s: %w", args[0], err)
	}
	return out, nil
}

// get reads one answer of the API; into is a JSON target or *[]byte for the text as it is.
func (c *liveCluster) get(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodGet, path, "", into)
}

// patch sends a strategic merge patch.
func (c *liveCluster) patch(ctx context.Context, path, body string) error {
	return c.call(ctx, http.MethodPatch, path, body, nil)
}

func (c *liveCluster) call(ctx context.Context, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/strategic-merge-patch+json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, text)
	}
	switch to := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*to = text
		return nil
	}
	return json.Unmarshal(text, into)
}

// eventually waits until ok says so.
func eventually(ctx context.Context, what string, limit time.Duration, ok func() (bool, error)) error {
	end := time.Now().Add(limit)
	for {
		done, err := ok()
		if done {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("not within %s: %s", limit, what), err)
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
