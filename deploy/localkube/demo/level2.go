package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/proc"
)

// address is where the daemon's page answers on this machine.
func (d *demo) address() string { return "127.0.0.1:" + d.port }

// simulatedNodes is level 2: nothing here needs root. A keeper in the background plays the kubelet's
// part for the model servers: one process per pod, at the pod's own loopback address.
func (d *demo) simulatedNodes(ctx context.Context) error {
	say("")
	say("== A real control plane without root: etcd, API server, controllers, metrics-server; nodes simulated by kwok")
	if err := d.buildAll(ctx); err != nil {
		return err
	}
	up := time.Now()
	if err := show(ctx, d.tool("localkube"), "up", "--level", "2", "--out", d.out); err != nil {
		return err
	}
	d.times["cluster.up_s"] = time.Since(up).Seconds()
	ready := time.Now()
	if err := d.apply(ctx, asIs, "demo/trimtab-namespace.yaml", "demo/policy.yaml", "demo/namespace.yaml", "demo/workloads.yaml"); err != nil {
		return err
	}
	if err := d.startKeeper(); err != nil {
		return err
	}
	say("Trimtab and the model servers run as ordinary processes; their CPU and memory at this level are scripted")
	if err := d.watch(ctx, []string{"--server", "http://" + d.address()}, ready); err != nil {
		return err
	}
	d.farewell("http://"+d.address()+"/", "--server http://"+d.address())
	say("")
	say("Not shown at level 2: real containers and their measured CPU and memory, which need root.")
	return nil
}

func (d *demo) pidFile() string { return filepath.Join(d.out, "keeper.pid") }

// startKeeper starts `demo keep` detached from the terminal, unless one is at work.
func (d *demo) startKeeper() error {
	if d.keeperIdentity().Alive() {
		return nil
	}
	log, err := os.Create(filepath.Join(d.out, "keeper.log"))
	if err != nil {
		return fmt.Errorf("open the keeper's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0], "--root", d.root, "--out", d.out, "--port", d.port, "keep")
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the keeper of level 2: %w", err)
	}
	id, err := proc.Of(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("the keeper of level 2 ended at once, see %s: %w", log.Name(), err)
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return os.WriteFile(d.pidFile(), text, 0o644)
}

// keeperIdentity is the keeper of an earlier call; the zero value, which is never alive, without one.
func (d *demo) keeperIdentity() (id proc.Identity) {
	if text, err := os.ReadFile(d.pidFile()); err == nil {
		_ = json.Unmarshal(text, &id) // unreadable: as if there were none
	}
	return id
}

// pod is what the keeper reads of a pod.
type pod struct {
	Metadata struct {
		Name              string            `json:"name"`
		Labels            map[string]string `json:"labels"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Containers []struct {
			Args []string `json:"args"`
			Env  []struct{ Name, Value string }
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
		PodIP string `json:"podIP"`
	} `json:"status"`
}

// keeper holds the processes of level 2, by name.
type keeper struct {
	d       *demo
	running map[string]*exec.Cmd
}

// keep runs the daemon, and one model server per pod and one load per model, until it is told to stop.
func (d *demo) keep(ctx context.Context) error {
	runtime.LockOSThread() // children die with the thread that started them
	k := &keeper{d, map[string]*exec.Cmd{}}
	defer k.stopAll()
	k.start(ctx, "trimtab", d.tool("trimtab"), nil, "run", "--kubeconfig", d.kubeconfig(), "--namespace", "trimtab",
		"--listen", d.address(), "--store", filepath.Join(d.out, "store"), "--interval=5s", "--sample-every=5s", "--resolution=10s", "--settle=15s")
	for {
		if err := k.follow(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "keeper:", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

// follow makes processes and pods agree.
func (k *keeper) follow(ctx context.Context) error {
	var pods []pod
	if err := k.d.objects(ctx, &pods, "pods", "-n", "ml-production"); err != nil {
		return err
	}
	wanted, targets := map[string]bool{"trimtab": true}, map[string][]string{}
	for _, p := range pods {
		if p.Status.Phase != "Running" || p.Status.PodIP == "" || p.Metadata.DeletionTimestamp != "" {
			continue
		}
		c := p.Spec.Containers[0]
		var env []string
		for _, e := range c.Env {
			env = append(env, e.Name+"="+e.Value)
		}
		k.start(ctx, p.Metadata.Name, k.d.tool("modelserver"), env, append(c.Args, "--listen", p.Status.PodIP+":8080")...)
		wanted[p.Metadata.Name] = true
		model := strings.TrimPrefix(c.Args[len(c.Args)-1], "--model=")
		targets[model] = append(targets[model], "http://"+p.Status.PodIP+":8080")
	}
	for _, s := range streams {
		name := "load-" + s.model + " " + strings.Join(targets[s.model], " ")
		if len(targets[s.model]) == 0 {
			continue
		}
		wanted[name] = true
		args := []string{"load", "--model", s.model, "--rate", s.rate, "--rows", s.rows, "--duration=0"}
		for _, t := range targets[s.model] {
			args = append(args, "--target", t)
		}
		k.start(ctx, name, k.d.tool("modelserver"), nil, args...)
	}
	k.stopOthers(wanted)
	return nil
}

// start starts a process once; one that ended by itself is started again.
func (k *keeper) start(ctx context.Context, name, program string, env []string, args ...string) {
	if c, ok := k.running[name]; ok && !errors.Is(c.Process.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		return
	}
	file := strings.Fields(name)[0] + ".log"
	log, err := os.OpenFile(filepath.Join(k.d.out, file), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, "keeper:", err)
		return
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	diesWithParent(cmd)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "keeper: start "+name+":", err)
		return
	}
	k.running[name] = cmd
	go cmd.Wait()
}

func (k *keeper) stopOthers(wanted map[string]bool) {
	for name, cmd := range k.running {
		if !wanted[name] {
			cmd.Process.Signal(os.Interrupt)
			delete(k.running, name)
		}
	}
}

func (k *keeper) stopAll() {
	for _, cmd := range k.running {
		cmd.Process.Signal(os.Interrupt)
	}
	for deadline := time.Now().Add(8 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if !k.anyAlive() {
			return
		}
	}
	for _, cmd := range k.running {
		cmd.Process.Kill()
	}
}

func (k *keeper) anyAlive() bool {
	for _, cmd := range k.running {
		if !errors.Is(cmd.Process.Signal(syscall.Signal(0)), os.ErrProcessDone) {
			return true
		}
	}
	return false
}

// down ends what the demo started and nothing else.
func (d *demo) down(ctx context.Context) error {
	if id := d.keeperIdentity(); id.Alive() {
		if err := end(id); err != nil {
			return err
		}
	}
	os.Remove(d.pidFile())
	return show(ctx, d.tool("localkube"), "down", "--out", d.out)
}

// end asks the keeper to stop its processes and itself, and insists after ten seconds.
func end(id proc.Identity) error {
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return nil
	}
	defer p.Release()
	if err := p.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the keeper (process %d): %w", id.PID, err)
	}
	for limit := time.Now().Add(10 * time.Second); id.Alive() && time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
	}
	return id.Kill(2 * time.Second)
}
