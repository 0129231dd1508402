// Command helm renders the chart of deploy/chart with Helm's own engine: what it prints is what
// `helm install` would send, and the namespace, so that people without Helm can apply it with kubectl.
//
//	go run . [-chart DIR] [-namespace NAME] [VALUES.yaml ...]
//
// The manifests that the repository keeps are rendered by `go test . -update`; without -update the
// test tells whether they still are what the chart gives. The chart lies outside this module, where the
// test cache does not look: test with -count=1. The go.mod is its own, since the product needs no Helm.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	chart := flag.String("chart", "../chart", "`folder` of the chart")
	namespace := flag.String("namespace", "trimtab", "`namespace` to install into")
	flag.Parse()
	text, err := run(*chart, *namespace, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(2)
	}
	os.Stdout.Write(text)
}

func run(chart, namespace string, files []string) ([]byte, error) {
	values, err := readValues(files...)
	if err != nil {
		return nil, err
	}
	return render(chart, namespace, values)
}
