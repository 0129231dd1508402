package main

import (
	"os/exec"
	"syscall"
)

// detach lets cmd outlive the terminal it was started from.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// diesWithParent ends cmd when the keeper ends, even by SIGKILL.
func diesWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
