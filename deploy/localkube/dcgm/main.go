// Command dcgm plays a dcgm-exporter for GPUs that do not exist: the demo's GPU nodes are simulated by
// kwok, and so is what their GPUs do. Everything that it answers says SIMULATED.
//
//	dcgm --namespace ml-production --gpu NODE/0=0.55 --gpu OTHER/0=0.03
//
// The figures are told by flag; which pod has which GPU is not: as a real exporter learns it from the
// kubelet, this one asks the API server, as its service account, and hands the GPUs of a node out in the
// order of the pods' names. So the answer follows pods that come and go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	listen, namespace, server, account string
	board                              board
	gpus                               []gpu
}

// board is what all the GPUs are.
type board struct {
	model  string
	memory int // MiB
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dcgm:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	pods, err := newPods(s.server, s.account, s.namespace)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Printf("dcgm answers for %d SIMULATED GPUs on http://%s/metrics\n", len(s.gpus), l.Addr())
	server := &http.Server{Handler: s.handler(pods.running), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// parse reads the flags; the error has every fault.
func parse(args []string) (settings, error) {
	var s settings
	var faults []error
	inside := "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT"), "443"))
	fs := flag.NewFlagSet("dcgm", flag.ExitOnError)
	fs.StringVar(&s.listen, "listen", ":9400", "`address` to answer on")
	fs.StringVar(&s.namespace, "namespace", "", "`namespace` whose pods have the GPUs")
	fs.StringVar(&s.server, "server", inside, "`URL` of the API server")
	fs.StringVar(&s.account, "account", "/var/run/secrets/kubernetes.io/serviceaccount", "`folder` with token and ca.crt")
	fs.StringVar(&s.board.model, "model", "Tesla V100-SXM2-16GB", "`name` of the GPUs")
	fs.IntVar(&s.board.memory, "memory", 16160, "`MiB` of each GPU")
	fs.Func("gpu", "`NODE/INDEX=UTILIZATION[,USED]` with utilization from 0 to 1 and memory used in MiB; repeated", func(text string) error {
		g, err := parseGPU(text)
		s.gpus = append(s.gpus, g)
		return err
	})
	fs.Parse(args)
	if fs.NArg() > 0 {
		faults = append(faults, fmt.Errorf("%q is no flag", fs.Arg(0)))
	}
	if s.namespace == "" {
		faults = append(faults, errors.New("--namespace is missing"))
	}
	if len(s.gpus) == 0 {
		faults = append(faults, errors.New("--gpu is missing: write --gpu NODE/0=0.55"))
	}
	return s, errors.Join(faults...)
}

// handler answers /metrics; when the pods cannot be read it fails, as a scrape then should.
func (s settings) handler(pods func(context.Context) ([]pod, error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		all, err := pods(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		write(w, s.board, attribute(s.gpus, all))
	})
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	return mux
}
