package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// CheckStatic refuses what could not start in an image that holds nothing else.
func CheckStatic(binary []byte) error {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("not a Linux program: %w; build it with GOOS=linux CGO_ENABLED=0", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it needs shared libraries; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// FullRef completes a short name: server becomes localhost/trimtab/server:dev.
// The tag is never latest, which would make the kubelet ask a registry.
func FullRef(name string) string {
	if !strings.Contains(name, "/") {
		name = "localhost/trimtab/" + name
	}
	if !strings.Contains(name[strings.LastIndexByte(name, '/'):], ":") {
		name += ":dev"
	}
	return name
}
