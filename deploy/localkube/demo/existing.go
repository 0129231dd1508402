package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// existing shows a cluster of the reader's own: Trimtab runs here as a process with the reader's
// rights, reads, and writes nothing there. The namespaces labelled trimtab.dev/policy, and those that
// policies in namespace trimtab select, are judged.
func (d *demo) existing(ctx context.Context) error {
	say("")
	say("== Your cluster %s: Trimtab reads it from here for a minute and writes nothing to it", d.context)
	if err := d.buildProduct(ctx); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.out, "trimtab.log"))
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	ctx, stop := context.WithCancelCause(ctx)
	cmd := exec.CommandContext(ctx, d.tool("trimtab"), "run", "--context", d.context, "--listen", address, "--leader-elect=false",
		"--checkpoint-every=0", "--interval=5s", "--sample-every=5s", "--resolution=10s", "--settle=15s")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		stop(nil)
		return fmt.Errorf("start trimtab: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop(fmt.Errorf("trimtab ended (%v)", cmd.Wait()))
	}()
	defer func() { stop(nil); <-ended }()
	if err := d.firstPlan(ctx, address); err != nil {
		return fmt.Errorf("%w: %s; its log is %s", cmp.Or(context.Cause(ctx), err), lastLine(log.Name()), log.Name())
	}
	say("")
	say("A minute of measurements: a policy with the default minHistory of 24h holds everything until the daemon has run a day.")
	say("No namespace in it? kubectl label namespace NAME trimtab.dev/policy=recommend")
	return nil
}

// lastLine is what a log ends with, which says why its program did.
func lastLine(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// freeAddress is a loopback address that nothing listens on: a demo that is still up has the usual one.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// firstPlan waits until measurements have arrived or a minute is over, and prints what is known then.
func (d *demo) firstPlan(ctx context.Context, address string) error {
	server := []string{"--server", "http://" + address}
	var text []byte
	err := until(ctx, 30*time.Second, time.Second, "a first pass", func() (done bool, err error) {
		text, err = d.trimtab(ctx, append([]string{"plan"}, server...)...)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	waiting := func() bool {
		return strings.Contains(string(text), "no-metrics") || strings.Contains(string(text), "too-little-history")
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && waiting() && ctx.Err() == nil; time.Sleep(5 * time.Second) {
		if newer, err := d.trimtab(ctx, append([]string{"plan"}, server...)...); err == nil {
			text = newer
		}
	}
	say("$ trimtab plan")
	say("%s", strings.TrimRight(string(text), "\n"))
	return nil
}
