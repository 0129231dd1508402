package proc

import (
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"
	for _, name := range []string{"sh", "a b", "a) S (b"} {
		s, err := parseStat("17 (" + name + ")" + rest)
		if err != nil || s.PID != 17 || s.Start != 4242 || s.state != 'S' {
			t.Errorf("%q: %+v, %v", name, s, err)
		}
	}
	for _, bad := range []string{"", "17", "17 (sh) S 1", "x (sh)" + rest} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestKillSparesStrangers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are told apart by Linux' /proc")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go cmd.Wait()
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stranger := Identity{PID: id.PID, Start: id.Start + 1} // an earlier process had this number
	if stranger.Alive() {
		t.Error("a stranger counts as alive")
	}
	if err := stranger.Kill(time.Second); err != nil || !id.Alive() {
		t.Fatalf("the stranger was ended: %v", err)
	}
	if err := id.Kill(5 * time.Second); err != nil || id.Alive() {
		t.Errorf("it is still there: %v", err)
	}
}
