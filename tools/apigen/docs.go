// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"sort"

	"sigs.k8s.io/yaml"
)

// Docs are our own short descriptions: type name → "" (the type itself) or field name → text.
type Docs struct {
	text map[string]map[string]string
	used map[string]bool
}

// readDocs reads docs.yaml. Names are model names without "io.k8s.api." or "io.k8s.apimachinery.pkg.apis.".
func readDocs(path string) (Docs, error) {
	d := Docs{map[string]map[string]string{}, map[string]bool{}}
	data, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	return d, yaml.UnmarshalStrict(data, &d.text)
}

func (d Docs) fieldDoc(model, field string) string {
	short := shortName(model)
	if text := d.text[short][field]; text != "" {
		d.used[short+"."+field] = true
		return text
	}
	if field == "" {
		return ""
	}
	return d.text["*"][field]
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
		return fmt.Errorf("docs.yaml describes what doesn't exist: %v", wrong)
	}
	return nil
}
