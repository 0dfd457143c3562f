// SPDX-License-Identifier: Apache-2.0

// apigen writes the tables of src/api/gen from the published Kubernetes modules. See README.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
)

func build(dir string) (*Model, []GroupVersion, []Kind, error) {
	docs, err := readDocs(filepath.Join(dir, "docs"))
	if err != nil {
		return nil, nil, nil, err
	}
	gvs, err := readResources(filepath.Join(dir, "resources.yaml"))
	if err != nil {
		return nil, nil, nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, nil, nil, err
	}
	kinds, err := collectKinds(scheme, gvs)
	if err != nil {
		return nil, nil, nil, err
	}
	m := &Model{src: newSources(), types: map[reflect.Type]*Type{}, docs: docs}
	for _, k := range kinds {
		if _, err := m.add(k.Type); err != nil {
			return nil, nil, nil, err
		}
	}
	return m, gvs, kinds, docs.check()
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "k8s.io/api" {
				return d.Path + " " + d.Version
			}
		}
	}
	return "k8s.io/api"
}

func run(in, out string) error {
	m, gvs, kinds, err := build(in)
	if err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(out, "*.[ch]"))
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	e := &Emitter{dir: out, from: version()}
	if err := e.types(m.sorted()); err != nil {
		return err
	}
	if err := e.resources(gvs, kinds, m.types); err != nil {
		return err
	}
	return e.meson()
}

func main() {
	in := flag.String("in", ".", "directory of resources.yaml and docs")
	out := flag.String("out", "../../src/api/gen", "directory to write")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}
