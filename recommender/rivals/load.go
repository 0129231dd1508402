package main

import (
	"errors"
	"os"
	"path/filepath"

	"trimtab.dev/trimtab/recommender/replay"
)

// load reads the series of a folder, if one is given, and those of the files. It
// returns either all series or all faults.
func load(dir string, files []string) (all []replay.Series, err error) {
	if dir == "" && len(files) == 0 {
		return nil, errors.New("no series: give --traces FOLDER or CSV files")
	}
	var faults []error
	keep := func(s []replay.Series, err error) {
		all, faults = append(all, s...), append(faults, err)
	}
	if dir != "" {
		keep(folder(dir).All())
	}
	for _, f := range files {
		keep(folder(filepath.Dir(f)).Table(filepath.Base(f)))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return all, nil
}

func folder(dir string) replay.Folder {
	return replay.Folder{Files: os.DirFS(dir), Name: filepath.ToSlash(dir)}
}
