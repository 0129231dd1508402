package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"trimtab.dev/trimtab/optimizer/kube"
)

// version is set at link time.
var version = "dev"

// errUsage marks bad input: exit code 2, and nothing was changed.
var errUsage = errors.New("usage")

// verb is one thing the program can do.
type verb struct {
	name, args, about string
	run               func(ctx context.Context, args []string, out io.Writer) error
}

func verbs() []verb {
	return []verb{
		{"run", "[flags]", "the daemon: observe, recommend, act where it may, report", runDaemon},
		{"plan", "[--prometheus URL]", "what the daemon's last pass would do, and why; with --prometheus: made here", planVerb},
		{"explain", "NAMESPACE/NAME", "how one workload's recommendation came about", explainVerb},
		{"tune", "[NAMESPACE/NAME]", "how a model server is tuned: its curve, its plan, what-ifs", tuneVerb},
		{"history", "[NAMESPACE/NAME]", "what was changed, how it went, and how to undo it", historyVerb},
		{"apply", "ID", "approve one proposed change of the plan", applyVerb},
		{"revert", "ID", "take one change of the history back", revertVerb},
		{"report", "[flags]", "the cost report: as text, as files, or mailed now", reportVerb},
		{"replay", "FILE | DIR | NAMESPACE/NAME", "how other request rules would have sized recorded use, scored alike", replayVerb},
		{"validate", "FILE...", "check policy files, - for standard input: every fault with its line", validateVerb},
		{"simulate", "[flags]", "a simulated fleet in seconds, without a cluster", simulateVerb},
		{"reference", "", "every field of every kind of document, with type, default and meaning", referenceVerb},
		{"version", "", "the version of this program", versionVerb},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(exit(err, os.Stderr))
}

// exit writes err and gives the exit code: 0, 2 for bad input, 1 for anything else.
func exit(err error, w io.Writer) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(w, err)
		return 2
	case errors.Is(err, kube.ErrKubeconfig):
		fmt.Fprintln(w, "trimtab:", err)
		return 2
	}
	fmt.Fprintln(w, "trimtab:", err)
	return 1
}

func dispatch(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return help(out)
	}
	switch {
	case args[0] == "help" && len(args) > 1:
		args = []string{args[1], "--help"}
	case args[0] == "help", args[0] == "-h", args[0] == "--help":
		return help(out)
	case args[0] == "--version":
		args = []string{"version"}
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(ctx, args[1:], out)
		}
	}
	return badInput("trimtab: no verb %q; `trimtab help` lists them", args[0])
}

// badInput is an error of the person's, not the program's.
func badInput(format string, args ...any) error {
	return usageError(fmt.Sprintf(format, args...))
}

type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == errUsage }

func help(out io.Writer) error {
	fmt.Fprint(out, "Trimtab trims what model servers on Kubernetes cost.\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(out, "  trimtab %-34s  %s\n", v.name+" "+v.args, v.about)
	}
	_, err := fmt.Fprint(out, "\n`trimtab help VERB` lists a verb's flags.\n")
	return err
}

func versionVerb(_ context.Context, args []string, out io.Writer) error {
	_, done, err := parse(flag.NewFlagSet("version", flag.ContinueOnError), args, 0, "version", out)
	if done {
		return err
	}
	_, err = fmt.Fprintln(out, "trimtab", version)
	return err
}
