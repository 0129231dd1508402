package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/build"
)

// tool is a program of ours below bin/.
func (d *demo) tool(name string) string { return filepath.Join(d.root, "bin", name) }

func (d *demo) kubeconfig() string { return filepath.Join(d.out, "kubeconfig") }

// show runs a program whose lines the reader should see.
func show(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return nil
}

// ask runs a program for its output; what it said on standard error becomes part of the error.
func ask(ctx context.Context, stdin io.Reader, name string, args ...string) ([]byte, error) {
	var fault bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stderr = stdin, &fault
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(fault.String()))
	}
	return out, nil
}

// kubectl asks the demo's cluster.
func (d *demo) kubectl(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	args = append([]string{"kubectl", "--out", d.out}, args...)
	return ask(ctx, strings.NewReader(stdin), d.tool("localkube"), args...)
}

// objects reads a list from the cluster into items.
func (d *demo) objects(ctx context.Context, items any, args ...string) error {
	raw, err := d.kubectl(ctx, "", append(append([]string{"get"}, args...), "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, &struct {
		Items any `json:"items"`
	}{items})
}

// apply sends manifests of deploy/, each after edit.
func (d *demo) apply(ctx context.Context, edit func(string) string, names ...string) error {
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(d.root, "deploy", name))
		if err != nil {
			return fmt.Errorf("read manifest: %w", err)
		}
		if _, err := d.kubectl(ctx, edit(string(text)), "apply", "-f", "-"); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

func asIs(s string) string { return s }

// until repeats f until it is done, the deadline passes or it fails for good.
func until(ctx context.Context, limit, every time.Duration, what string, f func() (done bool, err error)) error {
	deadline := time.Now().Add(limit)
	var last error
	for {
		done, err := f()
		if done {
			return err
		}
		last = err
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not happen within %s (last: %v)", what, limit, last)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// findLevel asks the machine which level it carries, unless the reader chose one.
func (d *demo) findLevel(ctx context.Context) error {
	if d.context != "" {
		d.level, d.why = "cluster", "CLUSTER="+d.context+" was given"
		return nil
	}
	found, why := "1", runtime.GOOS+" is not Linux"
	if runtime.GOOS == "linux" {
		out, err := ask(ctx, nil, d.tool("localkube"), "level")
		if err != nil {
			return err
		}
		found, why, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	}
	if d.level == "" || d.level == found {
		d.level, d.why = found, why
		return nil
	}
	if d.level > found {
		return badInput(fmt.Sprintf("level %s is asked for, but this machine carries %s: %s", d.level, found, why))
	}
	d.why = "LEVEL=" + d.level + " was asked for; this machine carries " + found
	return nil
}

// near is a file of the output folder, as seen from here where that is shorter.
func (d *demo) near(name string) string {
	full := filepath.Join(d.out, name)
	wd, err := os.Getwd()
	if err != nil {
		return full
	}
	rel, err := filepath.Rel(wd, full)
	if err != nil || len(rel) > len(full) {
		return full
	}
	return rel
}

// simulate prints the simulated fleet and writes it as a page.
func (d *demo) simulate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, d.tool("simulate"), "--brief", "--html", d.near("simulated.html"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("simulate the fleet: %w", err)
	}
	return nil
}

// buildProduct compiles Trimtab and the model server, with progress.
func (d *demo) buildProduct(ctx context.Context) error {
	if d.noBuild {
		return nil
	}
	info, err := os.Stdout.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return build.Product(ctx, d.root, filepath.Join(d.root, "bin"), build.NewProgress(os.Stdout, terminal, time.Now))
}
