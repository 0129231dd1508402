package router

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	modelFile = "model.onnx"
	onlyOne   = "1" // version of a model whose file is in no folder of a version
)

// Scan finds the models of a folder, as Triton and KServe lay them out:
//
//	DIR/NAME/VERSION/model.onnx   any number of models and versions
//	DIR/NAME/model.onnx           version 1 of NAME
//	DIR/model.onnx                version 1 of a model that is called as DIR is
//
// Models come by name and versions from old to new, by number where they are numbers: the last takes the
// requests that name none. Passed over are names that begin with a dot, as those by which a volume is
// swapped, and folders without a model, which may be on their way. It is an error when there is no model at
// all or when one has both forms. Their runtime is for Standing to say.
func Scan(dir string) ([]ModelConfig, error) {
	if exists(filepath.Join(dir, modelFile)) {
		whole, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("scan models: %w", err)
		}
		return []ModelConfig{{Name: filepath.Base(whole), Versions: []VersionConfig{scanned(onlyOne, dir)}}}, nil
	}
	folders, err := foldersOf(dir)
	if err != nil {
		return nil, fmt.Errorf("scan models: %w", err)
	}
	var models []ModelConfig
	var faults []error
	for _, name := range folders {
		m, err := scanModel(filepath.Join(dir, name), name)
		faults = append(faults, err)
		if len(m.Versions) > 0 {
			models = append(models, m)
		}
	}
	if len(models) == 0 && errors.Join(faults...) == nil {
		faults = append(faults, fmt.Errorf("scan models: there is no NAME/VERSION/%s in %s", modelFile, dir))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return models, nil
}

func scanModel(dir, name string) (ModelConfig, error) {
	m := ModelConfig{Name: name}
	folders, err := foldersOf(dir)
	if err != nil {
		return m, fmt.Errorf("scan model %s: %w", name, err)
	}
	slices.SortFunc(folders, byVersion)
	for _, version := range folders {
		if at := filepath.Join(dir, version); exists(filepath.Join(at, modelFile)) {
			m.Versions = append(m.Versions, scanned(version, at))
		}
	}
	alone := exists(filepath.Join(dir, modelFile))
	switch {
	case alone && len(m.Versions) > 0:
		return m, fmt.Errorf("scan model %s: %s has both a %s and folders of versions", name, dir, modelFile)
	case alone:
		m.Versions = []VersionConfig{scanned(onlyOne, dir)}
	}
	return m, nil
}

func scanned(version, dir string) VersionConfig {
	return VersionConfig{Version: version, File: filepath.Join(dir, modelFile)}
}

// byVersion puts numbers in their order, before other names.
func byVersion(a, b string) int {
	m, noM := strconv.ParseUint(a, 10, 63)
	n, noN := strconv.ParseUint(b, 10, 63)
	switch {
	case noM == nil && noN == nil:
		return cmp.Or(cmp.Compare(m, n), cmp.Compare(a, b))
	case noM == nil:
		return -1
	case noN == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

func exists(file string) bool {
	info, err := twice(func() (fs.FileInfo, error) { return os.Stat(file) })
	return err == nil && info.Mode().IsRegular()
}

// foldersOf are the names of the folders in dir, links followed, by name.
func foldersOf(dir string) ([]string, error) {
	list, err := twice(func() ([]fs.DirEntry, error) { return os.ReadDir(dir) })
	if err != nil {
		return nil, err
	}
	var out []string
	for _, one := range list {
		if strings.HasPrefix(one.Name(), ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, one.Name())); err == nil && info.IsDir() {
			out = append(out, one.Name())
		}
	}
	return out, nil
}
