package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"trimtab.dev/trimtab/deploy/localkube/build"
	"trimtab.dev/trimtab/deploy/localkube/machine"
)

// source is what the binaries are built from. It is embedded, so that the
// driver works from any directory.
//
//go:embed go.mod go.sum kube/main.go pause/main.go
var source embed.FS

const usage = `localkube runs a real Kubernetes on this machine, without a registry.

  localkube level                       which level this machine can carry, and why
  localkube deps                        install the Debian packages of level 3
  localkube build                       build the binaries, once
  localkube up [flags]                  start the cluster, or say that it is up
  localkube status                      what runs
  localkube load REF=BINARY|IMAGE.tar   pack a binary and give it to the nodes; REF=BINARY,LIBRARY...
                                        adds libraries that it opens when it runs
  localkube kubectl ARGS...             kubectl on the cluster
  localkube exec PROGRAM ARGS...        run a program in the cluster's namespaces
  localkube down                        stop it and remove all of it

up -h and load -h list flags. The verbs after up take --out DIR first, to make sure that they
mean the cluster that was started with it. LOCALKUBE_STATE moves the state directory.
`

// Exit statuses.
const (
	exitFault  = 1
	exitRemedy = 2 // something is missing or was asked wrongly; the message says what to do
)

// remedy is an error that the person at the keyboard can lift.
type remedy struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, os.Args[1:])
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "localkube:", err)
	if errors.As(err, new(remedy)) {
		os.Exit(exitRemedy)
	}
	os.Exit(exitFault)
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Print(usage)
		return remedy{errors.New("no verb; start with: localkube up")}
	}
	verb, rest := args[0], args[1:]
	switch verb {
	case "level":
		level, reason := machine.Level(isBuilt())
		fmt.Printf("%d %s\n", level, reason)
		return nil
	case "deps":
		return machine.InstallPackages(say)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	return clusterVerb(ctx, verb, rest)
}

func say(format string, a ...any) { fmt.Printf(format, a...) }

// isBuilt is true if the binaries are in the cache.
func isBuilt() bool {
	cache, err := cacheDir()
	if err != nil {
		return false
	}
	dir, err := build.Source{Files: source}.Dir(cache)
	return err == nil && build.Present(dir)
}
