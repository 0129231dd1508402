package main

import (
	"fmt"
	"os"
	"strings"

	"trimtab.dev/trimtab/serving/runtime/examples"
)

// exportOptions are the flags of export.
type exportOptions struct{ model, out string }

func (o *exportOptions) settings() *settings {
	s := &settings{verb: "export"}
	s.add("model", "", "", "example model: "+strings.Join(exampleNames(), ", "), oneOf(&o.model, exampleNames()...))
	s.add("out", "", "", "file to write, like model.onnx", text(&o.out))
	return s
}

// export writes an example model as ONNX, for this server or any other.
func (p program) export(args []string) error {
	var o exportOptions
	bad := o.settings().parse(args, p.env)
	if o.model == "" && len(bad) == 0 {
		bad = append(bad, "--model is missing")
	}
	if o.out == "" && len(bad) == 0 {
		bad = append(bad, "--out is missing")
	}
	if len(bad) > 0 {
		return bad
	}
	data, err := examples.Export(o.model)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, data, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %d bytes\n", o.out, len(data))
	return nil
}
