package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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
		{"load --target ftp://x", 2, "is not a URL"},
		{"load --target http://x --diurnal 24h", 2, "is not PERIOD:DEPTH"},
		{"load --target http://x --diurnal 24h:1", 2, "is not PERIOD:DEPTH"},
		{"load --target http://x --rate 0", 2, "not a number above 0"},
		{"load --target http://x --rate NaN", 2, "not a number above 0"},
		{"serve --model nothing", 2, "is no file and none of the examples image"},
		{"serve --listen nowhere", 2, "not an address"},
		{"serve --listen 127.0.0.1:1 --port 2", 2, "both given"},
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
