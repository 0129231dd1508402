package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// upstream measures how often policies/admission answers as Kubernetes' own code does. The known
// difference is left out of the share of its test and has a figure of its own.
func upstream(b bench) error {
	cmd := exec.Command("go", "test", "-json", "-count=1", "-trimpath", "-buildvcs=false", "-vet=off", "-run", "^(TestLimitRange|TestQuota)$", ".")
	cmd.Dir = filepath.Join(b.root, "deploy", "upstream")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, failed := cmd.Output()
	if failed != nil {
		failed = fmt.Errorf("tests of deploy/upstream: %w", failed)
	}
	counts, err := countsOf(bytes.NewReader(out), os.Stderr)
	if err != nil {
		return errors.Join(failed, err)
	}
	ranges, quotas := counts["TestLimitRange"], counts["TestQuota"]
	return errors.Join(failed,
		b.agreement("upstream.limitrange_agree_share", "kubernetes v1.36.3 LimitRanger", ranges),
		b.agreement("upstream.quota_agree_share", "kubernetes v1.36.3 quota CheckRequest", quotas),
		b.record("upstream.quota_known_differences", float64(quotas.excepted), fmt.Sprintf("of %d cases", quotas.cases), upstreamCommand),
	)
}

const upstreamCommand = "make bench BENCH=upstream"

// agreement is what one differential test counted.
type agreement struct{ cases, agree, excepted int }

// share is the part of the cases, less the known difference, in which both sides say the same.
func (a agreement) share() (float64, bool) {
	if a.cases == 0 || a.cases == a.excepted {
		return 0, false
	}
	return float64(a.agree) / float64(a.cases-a.excepted), true
}

// agreement records a share beside the 1 of the rival, which always agrees with itself.
func (b bench) agreement(name, rival string, a agreement) error {
	share, ok := a.share()
	if !ok {
		return fmt.Errorf("%s: its test counted nothing", name)
	}
	one := 1.0
	return b.write(line{
		Name: name, Value: share, Unit: fmt.Sprintf("share of %d cases", a.cases-a.excepted),
		Rival: rival, RivalValue: &one, Command: upstreamCommand,
	})
}

// countsOf reads the counts from the attributes in the output of go test -json, by test. What the tests
// and the compiler print is passed on to show.
func countsOf(events io.Reader, show io.Writer) (map[string]agreement, error) {
	counts := map[string]agreement{}
	for d := json.NewDecoder(events); d.More(); {
		var e struct{ Action, Test, Key, Value, Output string }
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("output of go test: %w", err)
		}
		io.WriteString(show, e.Output)
		if e.Action != "attr" {
			continue
		}
		a, err := counts[e.Test].with(e.Key, e.Value)
		if err != nil {
			return nil, fmt.Errorf("attribute %s of %s: %w", e.Key, e.Test, err)
		}
		counts[e.Test] = a
	}
	return counts, nil
}

func (a agreement) with(key, value string) (agreement, error) {
	n, err := strconv.Atoi(value)
	switch key {
	case "cases":
		a.cases = n
	case "agree":
		a.agree = n
	case "excepted":
		a.excepted = n
	}
	return a, err
}
