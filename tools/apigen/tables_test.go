// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"sort"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

func mustBuild(t *testing.T) (*Model, []GroupVersion, []Kind) {
	t.Helper()
	m, gvs, kinds, err := build(".")
	if err != nil {
		t.Fatal(err)
	}
	return m, gvs, kinds
}

// applySchema is the schema that client-go's apply configurations come with. Its package is internal: its text is read.
func applySchema(t *testing.T) map[string]smd.TypeDef {
	t.Helper()
	dir, err := packageDir("k8s.io/client-go/applyconfigurations")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(dir + "/internal/internal.go")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile("(?s)YAMLObject\\(`(.*)`\\)").FindSubmatch(src)
	parser, err := typed.NewParser(typed.YAMLObject(text[1]))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]smd.TypeDef{}
	for _, d := range parser.Schema.Types {
		out[d.Name] = d
	}
	return out
}

// TestListTypes compares how lists and structs merge with client-go's schema for server-side apply.
func TestListTypes(t *testing.T) {
	m, _, _ := mustBuild(t)
	defs := applySchema(t)
	compared := 0
	for _, ty := range m.types {
		def, ok := defs[ty.Name]
		if !ok || def.Map == nil {
			continue
		}
		if atomic := def.Map.ElementRelationship == smd.Atomic; atomic != ty.Atomic {
			t.Errorf("%s: atomic %v, client-go %v", ty.Name, ty.Atomic, atomic)
		}
		for _, f := range ty.Fields {
			sf, ok := def.Map.FindField(f.Name)
			if !ok || f.Shape != "SHAPE_LIST" || sf.Type.Inlined.List == nil {
				continue
			}
			compared++
			want := ""
			if sf.Type.Inlined.List.ElementRelationship == smd.Associative {
				if want = "set"; len(sf.Type.Inlined.List.Keys) > 0 {
					want = "map"
				}
			}
			got := f.ListType
			if got == "atomic" {
				got = ""
			}
			if got != want || strings.Join(f.ListKeys, ",") != strings.Join(sf.Type.Inlined.List.Keys, ",") {
				t.Errorf("%s.%s: %q %v, client-go %q %v", ty.Name, f.Name, got, f.ListKeys, want, sf.Type.Inlined.List.Keys)
			}
		}
	}
	if compared < 250 {
		t.Errorf("only %d lists compared", compared)
	}
}

// TestEveryKindHasARow finds kinds of a served version that resources.yaml forgets.
func TestEveryKindHasARow(t *testing.T) {
	_, gvs, kinds := mustBuild(t)
	s, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	known := map[schema.GroupVersionKind]bool{}
	for _, k := range kinds {
		known[schema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}] = true
	}
	// Registered in every group, or never served.
	skip := regexp.MustCompile(`Options$|^WatchEvent$|^Status$|^API|^InternalEvent$|^SerializedReference$|^ConversionReview$`)
	var missing []string
	for _, gv := range gvs {
		for kind := range s.KnownTypes(schema.GroupVersion{Group: gv.Group, Version: gv.Version}) {
			gvk := schema.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: kind}
			if !known[gvk] && !skip.MatchString(kind) {
				missing = append(missing, gvk.String())
			}
		}
	}
	sort.Strings(missing)
	if len(missing) > 0 {
		t.Errorf("no row for %v", missing)
	}
}

// TestEverythingIsDescribed: kubectl explain has a text for every type and field.
func TestEverythingIsDescribed(t *testing.T) {
	m, _, _ := mustBuild(t)
	for _, ty := range m.types {
		if ty.Doc == "" {
			t.Errorf("docs/ lacks %s", shortName(ty.Name))
		}
		for _, f := range ty.Fields {
			if f.Doc == "" && f.Name != "" {
				t.Errorf("docs/ lacks %s.%s", shortName(ty.Name), f.Name)
			}
		}
	}
}
