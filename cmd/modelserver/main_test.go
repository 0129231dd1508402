package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/serving/router"
)

// TestMain lets the test binary be the program itself, for the tests with real processes.
func TestMain(m *testing.M) {
	if os.Getenv("MODELSERVER_TEST_AS_MAIN") == "1" {
		main()
	}
	os.Exit(m.Run())
}

func try(env map[string]string, args ...string) (code int, out, faults string) {
	var stdout, stderr bytes.Buffer
	p := program{env: func(k string) string { return env[k] }, stdout: &stdout, stderr: &stderr}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // longer than a test may hang
	defer cancel()
	code = p.run(ctx, args)
	return code, stdout.String(), stderr.String()
}

func TestVerbs(t *testing.T) {
	tests := []struct {
		args string
		code int
		out  string // in stdout when the code is 0, else in stderr
	}{
		{"version", 0, "modelserver "},
		{"help", 0, "verbs:"},
		{"help serve", 0, "--max-queue-delay"},
		{"serve --help", 0, "--max-queue-delay"},
		{"help load", 0, "--diurnal"},
		{"", 2, "no verb"},
		{"fly", 2, `no verb "fly"`},
		{"help fly", 2, `no flags of "fly"`},
		{"load", 2, "--target is missing"},
		{"load --rate x", 2, "not a number above 0, at most 100000\nmodelserver: --target is missing\n"},
		{"load --target ftp://x", 2, "is not a URL"},
		{"load --target http://x --diurnal 24h", 2, "is not PERIOD:DEPTH"},
		{"load --target http://x --diurnal 24h:1", 2, "is not PERIOD:DEPTH"},
		{"load --target http://x --rate 0", 2, "not a number above 0"},
		{"load --target http://x --rate NaN", 2, "not a number above 0"},
		{"serve --model nothing", 2, "is no file and none of the examples image"},
		{"serve --listen nowhere", 2, "not an address"},
		{"serve --listen 127.0.0.1:1 --port 2", 2, "both given"},
		{"serve --max-body 2000 --max-bodies 1000", 2, "max bodies is 1000 bytes; at least max body, 2000"},
		{"serve --name a/b", 2, "leave out the /"},
		{"serve --batch-size 64 --max-queue-rows 32", 2, "at least the batch size, 64"},
		{"serve --listen 256.0.0.1:99", 1, "listen on"},
	}
	for _, tt := range tests {
		code, out, faults := try(nil, strings.Fields(tt.args)...)
		if code == 0 {
			faults = out
		}
		if code != tt.code || !strings.Contains(faults, tt.out) {
			t.Errorf("%s: exit %d with %q, want %d and %q", tt.args, code, faults, tt.code, tt.out)
		}
	}
}

// TestNameOf: whoever reads a document, which may not import this program, has the same name for its model.
func TestNameOf(t *testing.T) {
	for model, want := range map[string]string{
		"valuation": "valuation", "fraud.onnx": "fraud", "fraud-v1.2.onnx": "fraud-v1.2", "m.d": "m", "mlp_2": "mlp_2",
	} {
		if got, read := nameOf(model), (policies.Server{Model: model}).ModelName(); got != want || read != want {
			t.Errorf("%s is served as %q and a document's is read as %q, want %q", model, got, read, want)
		}
	}
	if got := nameOf("/models/fraud.onnx"); got != "fraud" {
		t.Errorf("a path is served as %q", got)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	env := map[string]string{"BATCH_SIZE": "many", "MODEL_VERSION": "v2/1"}
	_, _, got := try(env, strings.Fields("serve --port x --bogus 3 extra --max-queue-delay -5ms --model")...)
	want := `modelserver: --bogus is not a flag of serve; try modelserver help serve
modelserver: "extra" is not a flag
modelserver: --model has no value
modelserver: --port: "x" is not a whole number from 1 to 65535
modelserver: BATCH_SIZE: "many" is not a whole number from 1 to 1048576
modelserver: --max-queue-delay: "-5ms" is not a duration of at least 0s, like 5ms or 10s
modelserver: --name and --model-version stand in paths; leave out the /
`
	if got != want {
		t.Errorf("faults are\n%s\nwant\n%s", got, want)
	}
}

// TestWrongTarget: a target that is none is not called missing as well.
func TestWrongTarget(t *testing.T) {
	for _, verb := range []string{"load", "bench --model m"} {
		_, _, got := try(map[string]string{"TARGET": "ftp://x"}, strings.Fields(verb+" --rate x")...)
		if !strings.Contains(got, `TARGET: "ftp://x" is not a URL`) || !strings.Contains(got, `--rate: "x"`) || strings.Contains(got, "missing") {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

// TestArticleEnvironment: the article's Deployment sets these two, and nothing else.
func TestArticleEnvironment(t *testing.T) {
	env := map[string]string{"MODEL_VERSION": "v2.1.0", "BATCH_SIZE": "32"}
	var o serveOptions
	if bad := o.parse(nil, func(k string) string { return env[k] }); len(bad) > 0 {
		t.Fatal(bad)
	}
	l := o.standing.Limits
	if o.cfg.Version != "v2.1.0" || l.MaxBatchSize != 32 || l.MaxQueueDelay != 5*time.Millisecond || l.MaxQueueRows != 16384 || o.listen != ":8080" {
		t.Errorf("the options are %+v", o)
	}
}

func TestFlagsBeforeEnvironment(t *testing.T) {
	env := map[string]string{"BATCH_SIZE": "32", "MAX_QUEUE_DELAY": "7ms", "MODEL": "image"}
	var o serveOptions
	bad := o.parse([]string{"--batch-size=8192", // 4 batches are 32768 rows
		"--port", "9"}, func(k string) string { return env[k] })
	l := o.standing.Limits
	if len(bad) > 0 || l.MaxBatchSize != 8192 || l.MaxQueueDelay != 7*time.Millisecond || o.cfg.Name != "image" || l.MaxQueueRows != 32768 || o.listen != ":9" {
		t.Errorf("the options are %+v, %v", o, bad)
	}
}

// TestRuntimeFlag: --runtime reaches the models of a folder and of the settings file.
func TestRuntimeFlag(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "a", "1")
	if err := errors.Join(os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, "model.onnx"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for text, args := range map[string][]string{
		`{}`:                {"--runtime", "onnx", "--models", dir},
		`{"generation": 1}`: {"--runtime", "onnx"},
		`{"models": [{"name": "a", "versions": [{"version": "1", "file": "f"}]}]}`: {"--runtime", "onnx"},
	} {
		var o serveOptions
		if bad := o.parse(args, func(string) string { return "" }); len(bad) > 0 {
			t.Fatal(bad)
		}
		standing, err := o.standingNow()
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := router.ParseConfig([]byte(text), standing)
		if err != nil || c.Models[0].Versions[0].Runtime != runtimeONNX {
			t.Errorf("%s with %s: %+v, %v", args, text, c.Models, err)
		}
	}
}

// TestAddress: two that say the same thing clash where neither goes before the other.
func TestAddress(t *testing.T) {
	for _, tt := range []struct{ args, port, listen, want string }{
		{"", "", "", ":8080"}, {"", "9", "", ":9"}, {"", "", "127.0.0.1:9", "127.0.0.1:9"}, {"", "9", "127.0.0.1:9", ""},
		{"--port 7", "9", "127.0.0.1:9", ":7"}, {"--port 7", "", "127.0.0.1:9", ":7"},
		{"--listen 127.0.0.1:7", "9", "", "127.0.0.1:7"}, {"--listen=127.0.0.1:7", "9", "127.0.0.1:9", "127.0.0.1:7"},
		{"--listen 127.0.0.1:7 --port 7", "", "", ""}, {"--listen 127.0.0.1:7 --port 7", "9", "127.0.0.1:9", ""},
	} {
		var o serveOptions
		env := map[string]string{"PORT": tt.port, "LISTEN": tt.listen}
		bad := o.parse(strings.Fields(tt.args), func(k string) string { return env[k] })
		if (len(bad) > 0) != (tt.want == "") || tt.want != "" && o.listen != tt.want {
			t.Errorf("%+v: %s %v", tt, o.listen, bad)
		}
	}
}
