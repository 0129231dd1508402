//go:build !linux

package main

import "os/exec"

// Level 2 needs Linux; elsewhere these are never called.
func detach(*exec.Cmd) {}

func diesWithParent(*exec.Cmd) {}
