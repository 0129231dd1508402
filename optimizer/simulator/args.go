package simulator

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"trimtab.dev/trimtab/optimizer/cost"
)

// ErrUsage marks a command line that was refused; the words are on its way to the person already.
var ErrUsage = errors.New("usage of simulate")

// Args is the command line of a simulation, the same in every program that offers one.
type Args struct {
	Fleet string // a file; empty: the built-in fleet
	Page  string // a file for the web page; empty: none
	Weeks int    // 0: as the fleet file says
	JSON  bool
	Brief bool // without a word on what to do next
}

// ParseArgs reads a command line. What is wrong with it, and help, is written to diag; the error is
// then ErrUsage or flag.ErrHelp.
func ParseArgs(args []string, diag io.Writer) (Args, error) {
	var a Args
	var format string
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(diag)
	flags.StringVar(&a.Fleet, "fleet", "", "a fleet `file`; empty: the built-in fleet of twelve models")
	flags.StringVar(&a.Page, "html", "", "write the result as a page to this `file`")
	flags.IntVar(&a.Weeks, "weeks", 0, "how many `weeks` to observe; 0: as the fleet file says")
	flags.BoolVar(&a.Brief, "brief", false, "without a word on what to do next")
	flags.StringVar(&format, "o", "text", "`format`: text or json")
	err := flags.Parse(args)
	a.JSON = format == "json"
	switch {
	case errors.Is(err, flag.ErrHelp):
		return a, err
	case err != nil:
		return a, ErrUsage
	case flags.NArg() > 0 || format != "text" && format != "json":
		fmt.Fprintln(diag, "give flags only, and -o text or json")
		flags.Usage()
		return a, ErrUsage
	case a.Weeks < 0 || a.Weeks > mostWeeks:
		fmt.Fprintf(diag, "--weeks %d: give 1 to %d, or leave it out for what the fleet file says\n", a.Weeks, mostWeeks)
		return a, ErrUsage
	}
	return a, nil
}

// Run simulates what the command line asks for. The error is Faults where the fleet file is at fault.
func (a Args) Run(ctx context.Context, prices cost.Prices) (Result, error) {
	file := Builtin()
	if a.Fleet != "" {
		var err error
		if file, err = os.ReadFile(a.Fleet); err != nil {
			return Result{}, Faults{fmt.Sprintf("%s: cannot be read: %v", a.Fleet, errors.Unwrap(err))}
		}
	}
	r, err := Run(ctx, file, Options{Weeks: a.Weeks, Prices: prices})
	var faults Faults
	if errors.As(err, &faults) && a.Fleet != "" {
		for i, fault := range faults {
			faults[i] = a.Fleet + ": " + fault
		}
		return r, faults
	}
	return r, err
}
