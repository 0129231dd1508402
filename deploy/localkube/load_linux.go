package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/image"
	"trimtab.dev/trimtab/deploy/localkube/supervisor"
)

func load(ctx context.Context, state string, args []string) error {
	f := flag.NewFlagSet("localkube load", flag.ContinueOnError)
	entry := f.String("entrypoint", "", "words of the image's entry point; default: the program alone")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	} else if err != nil {
		return remedy{err}
	}
	if f.NArg() == 0 {
		return remedy{errors.New("nothing to load; write localkube load localhost/trimtab/server:dev=BINARY")}
	}
	spec, err := running(state)
	if err != nil {
		return err
	}
	if spec.Level != 3 {
		say("level %d runs no containers: nothing to load\n", spec.Level)
		return nil
	}
	for _, what := range f.Args() {
		if err := loadOne(ctx, spec, what, strings.Fields(*entry)); err != nil {
			return err
		}
	}
	return nil
}

func loadOne(ctx context.Context, spec cluster.Spec, what string, entry []string) error {
	begin := time.Now()
	archive, err := os.CreateTemp(filepath.Join(spec.State, "tmp"), "image-*.tar")
	if err != nil {
		return fmt.Errorf("make archive: %w", err)
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	if err := fillArchive(archive, what, entry); err != nil {
		return err
	}
	if err := importAll(ctx, spec, filepath.Base(archive.Name())); err != nil {
		return fmt.Errorf("load %s: %w", what, err)
	}
	say("loaded %s on both nodes, %.1f s\n", what, time.Since(begin).Seconds())
	return nil
}

// fillArchive packs REF=BINARY[,LIBRARY...], or copies an archive that somebody else packed.
func fillArchive(w io.Writer, what string, entry []string) error {
	ref, file, pack := strings.Cut(what, "=")
	if !pack {
		return copyFile(w, what)
	}
	files := strings.Split(file, ",")
	binary, err := os.ReadFile(files[0])
	if err != nil {
		return remedy{fmt.Errorf("read binary: %w; write REF=BINARY", err)}
	}
	ref = image.FullRef(ref)
	buffered := bufio.NewWriterSize(w, 1<<20)
	name := strings.Split(path.Base(ref), ":")[0]
	if err := image.Pack(buffered, image.Spec{Ref: ref, Name: name, Binary: binary, Libraries: files[1:], Entrypoint: entry}); err != nil {
		return remedy{err}
	}
	return buffered.Flush()
}

func copyFile(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return remedy{fmt.Errorf("read archive: %w; write IMAGE.tar or REF=BINARY", err)}
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// importAll gives the archive to both nodes at the same time.
func importAll(ctx context.Context, spec cluster.Spec, archive string) error {
	control := supervisor.Dial(spec.State)
	faults := make(chan error)
	for _, n := range cluster.RealNodes {
		go func() {
			r, err := control.Run(ctx, spec.Tools.Ctr, "--address", spec.ContainerdSocket(n), "--namespace", "k8s.io",
				"images", "import", spec.Path("tmp", archive))
			if err == nil && r.Code != 0 {
				err = fmt.Errorf("node %s: %s", n.Name, strings.TrimSpace(r.Output))
			}
			faults <- err
		}()
	}
	var all []error
	for range cluster.RealNodes {
		all = append(all, <-faults)
	}
	return errors.Join(all...)
}
