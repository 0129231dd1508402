package main

import (
	"errors"
	"os"
	"path/filepath"

	"trimtab.dev/trimtab/recommender/replay"
)

// readSeries reads a file of series, or a folder of them. Every fault of every file comes at once.
func readSeries(path string) (all []replay.Series, err error) {
	about, err := os.Stat(path)
	if err != nil {
		return nil, badInput("%s: cannot be read: %v", path, errors.Unwrap(err))
	}
	in := func(dir string) replay.Folder {
		return replay.Folder{Files: os.DirFS(dir), Name: filepath.ToSlash(dir)}
	}
	if about.IsDir() {
		all, err = in(path).All()
	} else {
		all, err = in(filepath.Dir(path)).Table(filepath.Base(path))
	}
	if err != nil {
		return nil, badInput("%v", err)
	}
	return all, nil
}
