// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

// Docs are our own short descriptions: type name → "" (the type itself) or field name → text.
type Docs struct {
	text map[string]map[string]string
	used map[string]bool
}

// readDocs reads docs/*.yaml. Names are model names without "io.k8s.api." or "io.k8s.apimachinery.pkg.apis.". A type may
// be described in several files, each of its fields once.
func readDocs(dir string) (Docs, error) {
	d := Docs{map[string]map[string]string{}, map[string]bool{}}
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return d, fmt.Errorf("no descriptions in %s: %v", dir, err)
	}
	for _, path := range paths {
		if err := d.read(path); err != nil {
			return d, fmt.Errorf("%s: %w", path, err)
		}
	}
	return d, nil
}

func (d Docs) read(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var text map[string]map[string]string
	if err := yaml.UnmarshalStrict(data, &text); err != nil {
		return err
	}
	for t, fields := range text {
		if d.text[t] == nil {
			d.text[t] = map[string]string{}
		}
		for f, s := range fields {
			if d.text[t][f] != "" {
				return fmt.Errorf("%s.%s is described twice", t, f)
			}
			d.text[t][f] = s
		}
	}
	return nil
}

func (d Docs) fieldDoc(model, field string) string {
	short := shortName(model)
	if text := d.text[short][field]; text != "" {
		d.used[short+"."+field] = true
		return text
	}
	if field == "" {
		return listDoc(short)
	}
	return d.text["*"][field]
}

// listDoc describes FooList.
func listDoc(short string) string {
	name := short[strings.LastIndex(short, ".")+1:]
	if item, ok := strings.CutSuffix(name, "List"); ok && item != "" {
		return "A list of " + item + " objects."
	}
	return ""
}

func (d Docs) typeDoc(model string) string { return d.fieldDoc(model, "") }

// check reports descriptions of types or fields that don't exist.
func (d Docs) check() error {
	var wrong []string
	for t, fields := range d.text {
		for f := range fields {
			if t != "*" && !d.used[t+"."+f] {
				wrong = append(wrong, t+"."+f)
			}
		}
	}
	sort.Strings(wrong)
	if len(wrong) > 0 {
		return fmt.Errorf("docs/ describes what doesn't exist: %v", wrong)
	}
	return nil
}
